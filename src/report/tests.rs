use std::cell::Cell;
use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::digest::fixtures::{hostile_survey, item, now, survey, survey_of, unwatched};
use crate::digest::test_surveys;
use crate::model::{Copies, KeptCopy, Media, MediaAtRisk, Part, ProfileName, RiskReason, State, UnverifiedUrl};

fn question() -> Question {
    Question { horizon: Threshold::parse("7d").ok(), ..Question::default() }
}

/// Renders with empty JSON, which this module does not produce itself.
fn rendered(survey: &Survey, format: Format, max_bytes: usize) -> Rendered {
    render(Report::new(survey, None), format, &question(), max_bytes, str::len, &|_| String::new(), "")
}

fn body(survey: &Survey, format: Format) -> String {
    rendered(survey, format, usize::MAX).body
}

/// Returns the body of the page without its style and script.
fn page(survey: &Survey) -> String {
    page_of(&Report::new(survey, None), &question())
}

fn page_of(report: &Report<'_>, question: &Question) -> String {
    let (page, _) = html::render(report, question);
    let (_, main) = page.split_once("<header>").expect("a header");
    main.split_once("<script>").expect("a script").0.to_owned()
}

/// Returns what stands between each `start` and the next `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    text.split(start).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0)).collect()
}

/// A survey of Acme with so many files, which expire in five hours, and a post for each number, which lacks so many of them.
fn survey_of_posts(files: usize, lacking: &[usize]) -> Survey {
    let name = |index: usize| format!("{index}.png");
    let file = |index: usize| {
        let mut file = item("Acme", &name(index), Some(5 * 60));
        file.media.id = Some(name(index));
        file
    };
    let post = |(index, lacking): (usize, &usize)| {
        let post = test_surveys::post(9, Some(5));
        let lacks = |index: usize| MediaAtRisk {
            id: Some(name(index)),
            owner: Some(post.profile.clone()),
            file_name: Some(name(index)),
            ..post.media[0].clone()
        };
        PostAtRisk { id: Some(format!("p{index}")), media: (0..*lacking).map(lacks).collect(), ..post }
    };
    test_surveys::survey((0..files).map(file).collect(), lacking.iter().enumerate().map(post).collect())
}

#[test]
fn a_page_of_everything() {
    // The snapshot is the same for each version.
    let page = page(&survey()).replace(&format!("media-expiry-alerts {VERSION}"), "media-expiry-alerts VERSION");
    insta::assert_snapshot!(page);
}

/// Returns the text of the page, without its markup, as people in this zone read it.
fn read_in(zone: &str, survey: &Survey) -> String {
    let question = Question { zone: Zone::parse(zone).expect("a time zone"), ..question() };
    let page = page_of(&Report::new(survey, None), &question);
    page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
}

#[test]
fn a_page_has_the_times_and_days_of_its_zone() {
    let mut survey = survey_of(1);
    let expires_at = "2026-11-25T23:30:00Z".parse().expect("a time");
    Arc::make_mut(&mut survey.items[0]).media.expires_at = Some(expires_at);
    let check = |zone: &str, time: &str, day: &str, times_are: &str| {
        let page = read_in(zone, &survey);
        for text in [
            time,
            &format!("{day}: 1 file expires"),
            &format!("Files that expire on each day, in {times_are}."),
            &format!("Times are in {times_are}."),
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(zone == "UTC" || !page.contains("UTC"), "{page}");
    };
    check("UTC", "Wed 25 Nov 2026, 23:30 UTC", "Wednesday 25 November", "UTC");
    check("Europe/Berlin", "Thu 26 Nov 2026, 00:30 CET", "Thursday 26 November", "the time zone Europe/Berlin");
    check("America/New_York", "Wed 25 Nov 2026, 18:30 EST", "Wednesday 25 November", "the time zone America/New_York");
}

#[test]
fn a_page_reads_right_when_the_clocks_change() {
    let check = |now: &str, expires_at: [&str; 2], expected: [&str; 2], day: &str| {
        let mut survey = survey_of(2);
        survey.now = now.parse().expect("a time");
        for (item, expires_at) in survey.items.iter_mut().zip(expires_at) {
            Arc::make_mut(item).media.expires_at = Some(expires_at.parse().expect("a time"));
        }
        let page = read_in("Europe/Berlin", &survey);
        for text in expected.into_iter().chain([day]) {
            assert!(page.contains(text), "{text}: {page}");
        }
    };
    // The hour before three happens twice.
    check(
        "2026-10-24T22:30:00Z",
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
        ["Expires in 2 hours Sun 25 Oct 2026, 02:30 CEST", "Expires in 3 hours Sun 25 Oct 2026, 02:30 CET"],
        "Sunday 25 October: 2 files expire",
    );
    // The hour after two does not exist.
    check(
        "2026-03-28T23:00:00Z",
        ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
        ["Expires in 90 minutes Sun 29 Mar 2026, 01:30 CET", "Expires in 2 hours Sun 29 Mar 2026, 03:30 CEST"],
        "Sunday 29 March: 2 files expire",
    );
}

#[test]
fn a_table_of_everything() {
    insta::assert_snapshot!(body(&survey(), Format::Csv).replace('\r', ""));
}

#[test]
fn a_calendar_of_everything() {
    insta::assert_snapshot!(body(&survey(), Format::Ics).replace('\r', ""));
}

#[test]
fn an_empty_report_says_all_clear_only_if_everything_was_checked() {
    let clear = page(&survey_of(0));
    assert!(clear.contains("<h1>All clear: no file expires within 7 days</h1>"), "{clear}");
    assert!(clear.contains("There is nothing to do."));

    let mut survey = survey();
    survey.items.clear();
    survey.posts_at_risk.clear();
    let unclear = page(&survey);
    assert!(unclear.contains("<h1>1 of 3 profiles could not be checked</h1>"), "{unclear}");
    assert!(!unclear.to_lowercase().contains("all clear"));
}

#[test]
fn a_page_names_the_profiles_that_nobody_watches_and_a_table_has_no_place_for_them() {
    let mut survey = survey_of(0);
    survey.discovery = unwatched([(Some("Birch <b>& Co".to_owned()), "r1".to_owned())]);
    let page = page(&survey);
    assert!(page.contains("<h1>No file expires within 7 days, but 1 profile is not watched</h1>"), "{page}");
    assert!(page.contains("Nobody watches 1 profile: Birch &#60;b&#62;&#38; Co. Its media can"), "{page}");
    assert!(!page.contains("There is nothing to do."), "{page}");
    assert!(!body(&survey, Format::Csv).contains("Birch"));
}

#[test]
fn a_headline_without_files_says_what_could_not_be_checked() {
    let mut without_posts = survey_of_posts(0, &[]);
    without_posts.profiles[0].posts = Some(Err(test_surveys::failure()));
    let mut without_profile = survey_of_posts(0, &[]);
    let failure = test_surveys::failure();
    without_profile.listing.failed =
        vec![FailedProfile { profile: ProfileName::new("Birch"), what: Part::Profiles, failure }];
    for (survey, expected) in [
        (without_posts, "No file expires, but some scheduled posts could not be checked"),
        (without_profile, "No file expires, but some profiles are not watched"),
    ] {
        assert_eq!(between(&page(&survey), "<h1>", "</h1>"), [expected]);
    }
}

#[test]
fn a_page_counts_what_is_left_out_in_its_headline_and_totals() {
    let survey = survey_of_posts(3, &[1, 1, 1]);
    let all = Report::new(&survey, None);
    let page = page_of(&Report { items: &survey.items[..1], posts: &survey.posts_at_risk[..2], ..all }, &question());
    let headline = "3 scheduled posts will fail and 3 files expire within 1 day";
    assert_eq!(between(&page, "<h1>", "</h1>"), [headline]);
    let totals = "<li class=\"tone-risk\"><a href=\"#posts\"><b>3</b> posts will fail</a></li>\
                  <li class=\"tone-none\"><span><b>0</b> expired</span></li>\
                  <li class=\"tone-soon\"><a href=\"#within-86400\"><b>3</b> within 1 day</a></li>";
    assert_eq!(between(&page.replace('\n', ""), "<ul class=\"totals\">", "</ul>"), [totals]);
}

#[test]
fn a_page_counts_what_is_left_out_for_each_section_profile_and_day() {
    let mut survey = survey_of_posts(2, &[1, 1, 1]);
    survey.items.insert(1, Arc::new(item("Zenith", "b.png", Some(5 * 60))));
    survey.items.push(Arc::new(item("Acme", "c.png", Some(3 * 24 * 60))));
    let all = Report::new(&survey, None);
    let page = page_of(&Report { items: &survey.items[..2], posts: &survey.posts_at_risk[..1], ..all }, &question());
    assert_eq!(between(&page, "<span class=\"count\">", "</span>"), ["3", "3"]);
    let profiles = between(&page, "<section class=\"panel profiles\"", "</section>")[0];
    let numbers = |line: &str| {
        between(line, "<td", "</td>").iter().filter_map(|cell| cell.split('>').nth(1)).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = between(profiles, "<tr><th scope=\"row\">", "</tr>").into_iter().map(numbers).collect();
    assert_eq!(lines, ["3 0 3 0", "0 0 1 0"]);
    let days = between(&page, "<span class=\"visually-hidden\">", "</span>");
    let today = "Monday 23 November: 3 files expire, 3 posts will fail";
    assert_eq!((days[0], days[3]), (today, "Thursday 26 November: 1 file expires"));
}

#[test]
fn a_headline_speaks_of_all_files_also_of_those_that_are_left_out() {
    let survey = survey_of(300);
    let page = page_of(&Report { items: &survey.items[..1], ..Report::new(&survey, None) }, &question());
    assert_eq!(between(&page, "<h1>", "</h1>"), ["300 files expire within 7 days"]);
}

#[test]
fn a_page_shows_a_hundred_links_that_could_not_be_checked_and_counts_the_rest() {
    let check = |links: usize, more: &[&str]| {
        let mut survey = survey_of(0);
        let link = |index: usize| UnverifiedUrl {
            profile: ProfileName::new("Head office"),
            post_id: None,
            url: format!("https://a.example/{index}.png"),
            http_status: Some(403),
        };
        survey.unverified = (0..links).map(link).collect();
        let page = page(&survey);
        assert_eq!(page.matches("<bdi class=\"url\">https://a.example/").count(), 100, "{links}");
        assert_eq!(between(&page, "<p>And ", "</p>"), more, "{links}");
    };
    check(100, &[]);
    check(101, &["1 link more."]);
}

#[test]
fn a_post_shows_its_first_files_and_counts_the_rest() {
    let check = |files: usize, on_page: &[&str], in_calendar: &[&str]| {
        let survey = survey_of_posts(0, &[files]);
        assert_eq!(between(&page(&survey), "<li>and ", "</li>"), on_page, "{files}");
        let calendar = body(&survey, Format::Ics).replace("\r\n ", "");
        assert_eq!(between(&calendar, "\\nand ", "\\n"), in_calendar, "{files}");
    };
    check(8, &[], &[]);
    check(9, &["1 file more"], &[]);
    check(20, &["12 files more"], &[]);
    check(21, &["13 files more"], &["1 file more"]);
}

#[test]
fn a_file_says_how_many_posts_need_it() {
    let survey = survey_of_posts(3, &[2, 1]);
    let needed = [
        "<a href=\"#post-0\">2 scheduled posts need it and will fail</a>",
        "<a href=\"#post-0\">1 scheduled post needs it and will fail</a>",
    ];
    assert_eq!(between(&page(&survey), "<p class=\"needed\">", "</p>"), needed);

    let file = |name: &str, needed: &str| {
        let advice = "Download what you still need and upload it again\\, which gives it a new URL.";
        format!("{name}\\nExpires 2026-11-23 11:00 UTC\\nProfile: Acme{needed}\\n\\n{advice}")
    };
    let expected = [
        file("0.png", "\\n2 scheduled posts will fail without it."),
        file("1.png", "\\n1 scheduled post will fail without it."),
        file("2.png", ""),
    ];
    let descriptions = values(&body(&survey, Format::Ics), "DESCRIPTION");
    assert_eq!(descriptions[0], "Checked 1 of 1 profile.");
    // The two posts come before the files.
    assert_eq!(descriptions[3..], expected);
}

#[test]
fn a_page_says_which_file_of_a_post_has_a_copy() {
    let mut survey = survey_of_posts(0, &[2]);
    let profile = ProfileName::new("Acme");
    let copy = KeptCopy::new(profile.clone(), "copies/Acme/1.png".to_owned(), 1, false);
    let mut copies = Copies::on();
    copies.add(profile, "1.png", Arc::new(copy));
    survey.copies = Arc::new(copies);
    let page = page(&survey);
    let files = between(&page, "<span class=\"file\">", "</li>");
    let has_copy = |file: &&str| file.ends_with(" · A copy is kept</span>");
    assert_eq!(files.iter().map(has_copy).collect::<Vec<_>>(), [false, true], "{page}");
}

#[test]
fn a_form_about_a_file_that_is_not_shown_is_answered_with_a_page() {
    let page = html::missing_file();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert_eq!(between(&page, "<h1>", "</h1>"), ["This file is not in the report"]);
}

#[test]
fn only_https_becomes_a_link() {
    let check = |url: &str, expected: Option<&str>| {
        assert_eq!(safe_url(url).map(String::from).as_deref(), expected, "{url}");
    };
    check("https://a.example/b c\"<>.png", Some("https://a.example/b%20c%22%3C%3E.png"));
    check("HTTPS://A.example", Some("https://a.example/"));
    check("https://bücher.example/a_b.png", Some("https://xn--bcher-kva.example/a_b.png"));
    check("https://a_b.example./x", Some("https://a_b.example./x"));
    check("https://192.0.2.1:8443/x", Some("https://192.0.2.1:8443/x"));
    for no_host in
        ["a;script-src", "*", "*.example", "a,b", "a'b", "'self'", "a..b", ".", "[2001:db8::1]", "a b", "u@a"]
    {
        check(&format!("https://{no_host}/x.png"), None);
    }
    check("http://a.example/b.png", None);
    check("https://user@a.example/", None);
    check("https://:word@a.example/", None);
    for wrong in ["javascript:alert(1)", "data:text/html,x", "//a.example", "/a.png", "https://", "", "a"] {
        check(wrong, None);
    }
}

#[test]
fn a_fingerprint_depends_on_the_content_and_not_on_the_run() {
    let first = survey();
    let fingerprint = |survey: &Survey, format: Format| rendered(survey, format, usize::MAX).fingerprint;
    let mut again = first.clone();
    again.now = now() + SignedDuration::from_millis(1_500);
    let mut later = again.clone();
    later.now = now() + SignedDuration::from_hours(1);
    let mut changed = first.clone();
    Arc::make_mut(&mut changed.items[0]).media.file_name = Some("another.png".to_owned());
    for format in Format::ALL {
        let known = fingerprint(&first, format);
        assert_eq!(known, fingerprint(&again, format), "{format:?}");
        assert_ne!(known, fingerprint(&changed, format), "{format:?}");
        // Only the page contains relative times.
        assert_eq!(known == fingerprint(&later, format), format != Format::Html, "{format:?}");
    }
    let of_all: std::collections::BTreeSet<_> = Format::ALL.map(|format| fingerprint(&first, format)).into();
    assert_eq!(of_all.len(), 4);
}

#[test]
fn entries_that_do_not_fit_are_counted() {
    let whole = survey_of(1_000);
    for format in [Format::Html, Format::Csv, Format::Ics] {
        let rendered = rendered(&whole, format, 120_000);
        assert!(rendered.body.len() <= 120_000, "{format:?}: {} bytes", rendered.body.len());
        assert!(90_000 < rendered.body.len(), "{format:?}: {} bytes", rendered.body.len());
        let file = match format {
            Format::Json | Format::Html => "<li class=\"card\"",
            Format::Csv => "campaign-",
            Format::Ics => "SUMMARY:Expires",
        };
        let shown = rendered.body.matches(file).count();
        assert_eq!(shown + rendered.left_out, 1_000, "{format:?}");
        assert!(rendered.body.contains(&rendered.left_out.to_string()), "{format:?}");
    }
}

#[test]
fn the_last_line_of_a_table_says_how_many_files_are_left_out() {
    let survey = survey_of(3);
    let table = super::csv::render(&Report { items: &survey.items[..1], ..Report::new(&survey, None) });
    let last = "… and 2 more that there is no room for: ask for fewer with `profile` or `within`,,,,,,,,,,";
    assert_eq!(table.lines().next_back(), Some(last));
}

#[test]
fn a_report_without_any_room_leaves_out_every_file_post_and_failure() {
    let survey = survey();
    let report = Report::new(&survey, None);
    let rendered = render(report, Format::Json, &question(), 0, str::len, &|_| "{}".to_owned(), "");
    // Seven files, a post, and a profile that could not be checked.
    assert_eq!((rendered.body.as_str(), rendered.left_out), ("{}", 9));
}

#[test]
fn a_report_that_is_much_too_long_is_shortened_in_few_rounds() {
    let mut survey = survey_of(1_000);
    survey.discovery = unwatched((0..=MAX_UNWATCHED).map(|index| (None, index.to_string())));
    let rounds = Cell::new(0);
    let size = |text: &str| {
        rounds.set(rounds.get() + 1);
        assert!(rounds.get() <= 5, "{} bytes are left", text.len());
        text.len()
    };
    let report = Report::new(&survey, None);
    let rendered = render(report, Format::Csv, &question(), 120_000, size, &|_| String::new(), "");
    assert!((300..600).contains(&rendered.left_out), "{}", rendered.left_out);
}

#[test]
fn unwatched_profiles_are_left_out_before_files() {
    let mut survey = survey_of(3);
    survey.discovery = unwatched((0..2 * MAX_UNWATCHED).map(|index| (None, index.to_string())));
    let to_json = |report: &Report<'_>| "x".repeat(1_000 * (report.unwatched.len() + report.items.len()));
    let max_bytes = 1_000 * (MAX_UNWATCHED + 3);
    let rendered = render(Report::new(&survey, None), Format::Json, &question(), max_bytes, str::len, &to_json, "");
    assert_eq!((rendered.body.len(), rendered.left_out), (max_bytes, 0));
}

#[test]
fn a_report_leaves_out_in_advance_only_what_it_has_no_room_for() {
    // The shortest entries of files: they have neither a name nor a URL.
    let shortest = |is_dated: bool| {
        let mut survey = survey_of(1_000);
        for item in &mut survey.items {
            let item = Arc::make_mut(item);
            let expires_at = item.media.expires_at.filter(|_| is_dated);
            item.profile = ProfileName::new("A");
            item.media = Media { id: Some("a".to_owned()), expires_at, ..Media::default() };
            if expires_at.is_none() {
                (item.state, item.threshold) = (State::Undated, None);
            }
        }
        survey
    };
    for (format, is_dated) in
        [Format::Html, Format::Csv, Format::Ics].into_iter().flat_map(|it| [(it, true), (it, false)])
    {
        let all = shortest(is_dated);
        let bytes = |files: usize| {
            let mut survey = all.clone();
            survey.items.truncate(files);
            body(&survey, format).len()
        };
        let (of_file, least) = ((bytes(1_000) - bytes(500)) / 500, format.min_bytes_of_file(&all.items[0]));
        assert!(least <= of_file && of_file <= least + least / 2, "{format:?}: {of_file}");
        let many = Report::new(&all, None).without_what_cannot_fit(format, 100 * least);
        let left_out = if least == 0 { 0 } else { 900 };
        assert_eq!(many.items_left_out(), left_out, "{format:?}");
    }
}

#[test]
fn files_that_expire_after_the_chart_are_counted() {
    let mut far = survey_of(3);
    Arc::make_mut(&mut far.items[2]).media.expires_at = Some(now() + SignedDuration::from_hours(24 * 36_500));
    let page = page(&far);
    assert!(page.contains("1 file expires later than that."), "{page}");
    assert_eq!(page.matches("class=\"bar\"").count(), 29);
}

#[test]
fn a_chart_reaches_to_the_horizon_but_shows_at_most_two_weeks_without_files() {
    let survey = survey_of(1);
    let check = |horizon: &str, days: usize| {
        let question = Question { horizon: Threshold::parse(horizon).ok(), ..Question::default() };
        let page = page_of(&Report::new(&survey, None), &question);
        assert_eq!(page.matches("class=\"bar\"").count(), days, "{horizon}");
    };
    // Today is one more.
    check("2d", 8);
    check("10d", 11);
    check("30d", 15);
}

#[test]
fn a_calendar_counts_what_is_left_out_and_shows_today_what_has_no_date() {
    let mut survey = survey_of_posts(3, &[1, 1, 1]);
    Arc::make_mut(&mut survey.posts_at_risk[0]).scheduled_at = None;
    for name in ["Birch", "Cedar", "Dogwood"] {
        let mut profile = test_surveys::profile(name);
        profile.failed = Some(test_surveys::failure());
        survey.profiles.push(profile);
    }
    let all = Report::new(&survey, None);
    let mut report = Report { items: &survey.items[..1], posts: &survey.posts_at_risk[..2], ..all };
    report.failed.truncate(2);
    let calendar = ics::render(&report);
    assert_eq!(
        values(&calendar, "DESCRIPTION")[0],
        "Checked 1 of 4 profiles. Could not be checked (3): Birch (Ayrshare denies access to this profile (HTTP 403)) \
         and Cedar (Ayrshare denies access to this profile (HTTP 403))."
    );
    let summaries = values(&calendar, "SUMMARY");
    assert_eq!(summaries.last().map(String::as_str), Some("3 items more that there is no room for"));
    // The first post, and the entry for what is left out.
    assert_eq!(values(&calendar, "DTSTART;VALUE=DATE"), ["20261123", "20261123"]);
}

#[test]
fn a_calendar_says_why_each_post_will_fail() {
    let mut survey = survey_of_posts(1, &[1]);
    let all = |reason: RiskReason| [None, Some(now())].map(|expires_at| (reason, expires_at));
    let reasons = [RiskReason::AlreadyGone, RiskReason::ExpiresBeforePost, RiskReason::LinkExpiresBeforePost].map(all);
    let post = Arc::make_mut(&mut survey.posts_at_risk[0]);
    let media = |(reason, expires_at)| MediaAtRisk { expires_at, reason, ..post.media[0].clone() };
    post.media = reasons.into_iter().flatten().map(media).collect();
    post.id = None;
    Arc::make_mut(&mut survey.items[0]).media.id = None;
    let text = values(&body(&survey, Format::Ics), "DESCRIPTION")[1].replace("\\n", "\n");
    let reasons: Vec<_> = text.lines().filter(|line| line.contains(" its file ") || line.starts_with("Its ")).collect();
    let expected = [
        "Its file 0.png is gone already",
        "Its file 0.png is gone already",
        "Its file 0.png expires before that",
        "Its file 0.png expires 2026-11-23 06:00 UTC",
        r"The link to its file 0.png ends before that\; use a link that lasts",
        r"The link to its file 0.png ends at the latest on 2026-11-23 06:00 UTC\; use a link that lasts",
    ];
    assert_eq!(reasons[..6], expected);
    // A file and a post without an id have a UID too, which does not depend on their dates.
    let uids = values(&body(&survey, Format::Ics), "UID");
    survey.now += SignedDuration::from_hours(1);
    assert_eq!((uids.len(), values(&body(&survey, Format::Ics), "UID")), (2, uids));
}

#[test]
fn a_calendar_does_not_count_files_without_a_date_as_left_out() {
    let items = [item("Acme", "a.png", Some(5)), item("Acme", "b.png", Some(6)), item("Acme", "c.png", None)];
    let survey = test_surveys::survey(items.to_vec(), Vec::new());
    let all = || Report::new(&survey, None);
    let summaries = values(&ics::render(&Report { items: &survey.items[..1], ..all() }), "SUMMARY");
    assert_eq!(summaries.last().map(String::as_str), Some("1 item more that there is no room for"));
    assert!(!ics::render(&Report { items: &survey.items[..2], ..all() }).contains("no room for"));
    let bytes = body(&survey, Format::Ics).len() - 1;
    assert!(0 < rendered(&survey, Format::Ics, bytes).left_out);
}

/// Parses a calendar (RFC 5545): unfolds its lines and returns their names and values.
fn lines(calendar: &str) -> Vec<(String, String)> {
    let unfolded = calendar.strip_suffix("\r\n").expect("an end").replace("\r\n ", "");
    let split = |line: &str| {
        assert!(!line.contains(['\r', '\n']), "{line}");
        let (name, value) = line.split_once(':').expect("a value");
        (name.to_owned(), value.to_owned())
    };
    unfolded.split("\r\n").map(split).collect()
}

/// Returns the values of the lines of a calendar that have this name.
fn values(calendar: &str, name: &str) -> Vec<String> {
    lines(calendar).into_iter().filter(|(line, _)| line == name).map(|(_, value)| value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn text_from_outside_cannot_add_markup(survey in hostile_survey()) {
        let whole = survey;

        let html = page(&whole);
        // The only elements are those of the template, and no value breaks out of its attribute.
        for tag in html.split('<').skip(1) {
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            let known = [
                "a", "b", "bdi", "button", "div", "footer", "h1", "h2", "h3", "header", "img", "input", "label", "li",
                "main", "nav", "ol", "option", "p", "path", "rect", "section", "select", "span", "strong", "svg",
                "table", "tbody", "td", "th", "thead", "time", "tr", "ul", "use",
            ];
            prop_assert!(known.contains(&name.as_str()), "<{}", tag);
            prop_assert_eq!(tag.split('>').next().expect("a tag").matches('"').count() % 2, 0, "<{}", tag);
        }
        for attribute in ["href=\"", "src=\""] {
            for url in html.split(attribute).skip(1) {
                prop_assert!(["https://", "#", "?"].iter().any(|start| url.starts_with(start)), "{}", url);
            }
        }
        let is_steering = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        prop_assert!(!html.contains(is_steering));
        let shown = html.matches("<li class=\"card\"").count();
        prop_assert_eq!(shown, whole.items.len());
        prop_assert_eq!(html.matches("<li class=\"card post\"").count(), whole.posts_at_risk.len());

        let table = body(&whole, Format::Csv);
        let mut reader = ::csv::Reader::from_reader(table.trim_start_matches('\u{FEFF}').as_bytes());
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("records");
        prop_assert_eq!(records.len(), whole.items.len());
        for record in &records {
            for (column, cell) in record.iter().enumerate() {
                prop_assert!(column == 4 || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{}", cell);
            }
        }

        let calendar = body(&whole, Format::Ics);
        prop_assert!(calendar.split("\r\n").all(|line| line.len() <= 75));
        let lines = lines(&calendar);
        let dated = whole.items.iter().filter(|item| item.media.expires_at.is_some()).count();
        let begun = lines.iter().filter(|(name, value)| name == "BEGIN" && value == "VEVENT").count();
        prop_assert_eq!(begun, dated + whole.posts_at_risk.len());
        let uids: std::collections::BTreeSet<_> = lines.iter().filter(|(name, _)| name == "UID").collect();
        prop_assert_eq!(uids.len(), begun);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_report_never_exceeds_its_limit(survey in hostile_survey(), max_bytes in 60_000_usize..200_000) {
        for format in Format::ALL {
            let rendered = rendered(&survey, format, max_bytes);
            prop_assert!(rendered.body.len() <= max_bytes, "{:?}: {}", format, rendered.body.len());
        }
    }
}
