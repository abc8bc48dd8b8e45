//! The chart of how many files expire on each day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::tone;
use crate::digest::Urgency;
use crate::model::text::count;
use crate::model::{State, Threshold};
use crate::report::{Question, Report};

/// The smallest and largest number of days.
const DAYS: std::ops::RangeInclusive<usize> = 7..=28;

/// The chart of how many files expire on each day.
pub struct Days {
    pub all: Vec<Day>,
    /// How many files expire after the last day, as text.
    pub later: Option<String>,
    pub has_posts: bool,
}

/// A day of the coming weeks.
pub struct Day {
    pub weekday: String,
    pub number: String,
    /// The name of the month on its first day and on the first day of the chart; otherwise empty.
    pub month: String,
    pub description: String,
    pub files: usize,
    pub posts: usize,
    /// The height of its bar, in percent.
    pub height: usize,
    pub tone: &'static str,
}

pub(super) fn days(report: &Report<'_>, question: &Question) -> Option<Days> {
    let date = |at: Timestamp| question.zone.date(at);
    let today = date(report.survey.now);
    let offset = |at: Timestamp| usize::try_from((date(at) - today).get_days()).ok();
    // The number of files that expire on each day, and the shortest threshold that one of them has entered.
    let mut expiring: BTreeMap<usize, (usize, Option<&Threshold>)> = BTreeMap::new();
    for item in report.survey.items.iter().filter(|item| item.state == State::Expiring) {
        let Some(day) = item.media.expires_at.and_then(offset) else { continue };
        let (files, tightest) = expiring.entry(day).or_insert((0, item.threshold.as_ref()));
        *files += 1;
        *tightest = item.threshold.as_ref().min(*tightest);
    }
    let last = *expiring.keys().next_back()?;
    let horizon = question.horizon.as_ref().map_or(usize::MAX, |horizon| {
        usize::try_from(horizon.span().as_secs().div_ceil(24 * 60 * 60)).unwrap_or(usize::MAX)
    });
    let shown = last.max(horizon.min(*DAYS.end() / 2)).clamp(*DAYS.start(), *DAYS.end());

    let mut days: Vec<_> = (0..=shown).filter_map(|offset| day(today, offset)).collect();
    let mut later = 0;
    for (offset, (files, tightest)) in expiring {
        let Some(day) = days.get_mut(offset) else {
            later += files;
            continue;
        };
        day.files = files;
        day.tone = tightest.map_or("later", |threshold| tone(&Urgency::Within(threshold.clone())));
    }
    let mut has_posts = false;
    for at in report.survey.posts_at_risk.iter().filter_map(|post| post.scheduled_at) {
        if let Some(day) = offset(at).and_then(|offset| days.get_mut(offset)) {
            day.posts += 1;
            has_posts = true;
        }
    }
    let most = days.iter().map(|day| day.files).max().unwrap_or_default().max(1);
    for day in &mut days {
        // A single file must still be visible next to a day with hundreds.
        day.height = if day.files == 0 { 0 } else { (day.files * 100 / most).max(4) };
        let files =
            if day.files == 1 { "1 file expires".to_owned() } else { format!("{} expire", count(day.files, "file")) };
        day.description += &if day.files == 0 { "no file expires".to_owned() } else { files };
        if 0 < day.posts {
            day.description += &format!(", {} will fail", count(day.posts, "post"));
        }
    }
    let verb = if later == 1 { "expires" } else { "expire" };
    let later = (0 < later).then(|| format!("{} {verb} later than that.", count(later, "file")));
    Some(Days { all: days, later, has_posts })
}

fn day(today: Date, offset: usize) -> Option<Day> {
    let date = today.checked_add(SignedDuration::from_hours(24 * i64::try_from(offset).ok()?)).ok()?;
    let begins = offset == 0 || date.day() == 1;
    Some(Day {
        weekday: date.strftime("%a").to_string(),
        number: date.day().to_string(),
        month: if begins { date.strftime("%b").to_string() } else { String::new() },
        description: date.strftime("%A %-d %B: ").to_string(),
        files: 0,
        posts: 0,
        height: 0,
        tone: "later",
    })
}
