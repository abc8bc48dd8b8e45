//! The formats and the output file of `report`.

use std::fs;
use std::process::Stdio;

use media_expiry_alerts::demo::stand_ins::Reply;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::support::{ACME_KEY, World, file};
use crate::{ends, program};

/// The beginning of each format, and a text that it contains.
const FORMATS: [(&str, &str, &str); 5] = [
    ("table", "Expires within 1 day: 1\n", "today.png"),
    ("json", "{\"run_id\":", "\"today.png\""),
    ("csv", "\u{FEFF}profile,state,threshold,", ",today.png,image,"),
    ("ics", "BEGIN:VCALENDAR\r\n", "SUMMARY:today.png"),
    ("html", "<!DOCTYPE html>", "today.png"),
];

async fn world() -> World {
    World::with_gallery(&[file("today.png", 5)]).await
}

#[tokio::test]
async fn the_format_option_selects_the_format() {
    let world = world().await;
    for (format, begins, has) in FORMATS {
        let ended = ends(&world, 0, &["report", "--format", format, "--output", "-"]).await;
        assert!(ended.stdout.starts_with(begins) && ended.stdout.ends_with('\n'), "{format}: {}", ended.stdout);
        assert!(ended.stdout.contains(has.trim_start_matches("SUMMARY:")), "{format}: {}", ended.stdout);
        assert_eq!(ended.stderr, "", "{format}");
    }
    let result: Value =
        serde_json::from_str(&ends(&world, 0, &["report", "-f", "json"]).await.stdout).expect("JSON and nothing else");
    assert_eq!((&result["action"], &result["status"]), (&json!("report"), &json!("ok")));
    assert_eq!(world.sent_texts(), [""; 0], "a report sends nothing");
}

#[tokio::test]
async fn the_file_extension_selects_the_format() {
    let world = world().await;
    for (format, begins, _) in FORMATS {
        let name =
            if format == "table" { "report.txt".to_owned() } else { format!("report.{}", format.to_uppercase()) };
        let ended = ends(&world, 0, &["report", "--output", &name]).await;
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "cron would mail any output");
        let written = fs::read_to_string(world.path(&name)).expect("a file");
        assert!(written.starts_with(begins), "{format}: {written}");
    }
    ends(&world, 0, &["report", "--output", "page.txt", "--format", "html"]).await;
    assert!(fs::read_to_string(world.path("page.txt")).expect("a file").starts_with("<!DOCTYPE html>"));
    let ended = ends(&world, 2, &["report", "--output", "report.pdf"]).await;
    assert!(ended.stderr.contains("the file extension of report.pdf is not known"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_page_in_a_file_has_no_links_to_other_formats() {
    let page = ends(&world().await, 0, &["report", "--format", "html"]).await.stdout;
    assert!(!page.contains("format=csv"), "there is no server behind it");
}

#[tokio::test]
async fn a_failed_run_does_not_replace_csv_and_calendar_files() {
    let world = world().await;
    for name in ["report.csv", "report.ics", "report.html"] {
        ends(&world, 0, &["report", "--output", name]).await;
    }
    world.ayrshare.change_api_key("another one");
    for (name, is_kept) in [("report.csv", true), ("report.ics", true), ("report.html", false)] {
        let ended = crate::program(&world, &["report", "--output", name]).output().await.expect("an end");
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.contains(&format!("error: {name} was not replaced\n")), is_kept, "{stderr}");
        let text = fs::read_to_string(world.path(name)).expect("a file");
        assert_eq!(text.contains("today.png"), is_kept, "{name}: {text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_replaced_through_a_symbolic_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let world = world().await;
    let path = world.path("kept.csv");
    fs::write(&path, "yesterday").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    symlink(&path, world.path("latest.csv")).expect("a link");
    ends(&world, 0, &["report", "--output", "latest.csv"]).await;
    assert!(fs::read_to_string(&path).expect("a file").contains("today.png"));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(world.path("latest.csv")).expect("a link").is_symlink());
    ends(&world, 0, &["report", "--output", "/dev/null", "--format", "csv"]).await;
}

#[tokio::test]
async fn a_closed_pipe_is_not_an_error() {
    // More than the pipe buffers, so that the program still writes after the reader has closed it.
    let files: Vec<_> = (0..3_000).map(|number| file(&format!("campaign-{number}.png"), 5)).collect();
    let world = World::with_gallery(&files).await;
    for format in ["table", "json", "csv", "ics", "html"] {
        let mut child = program(&world, &["report", "--format", format]).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        stdout.read_line(&mut first).await.expect("a line");
        drop(stdout);
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).await.expect("text");
        let status = child.wait().await.expect("an end");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{format}");
        assert!(!first.is_empty(), "{format}");
    }
    for arguments in [&["--help"][..], &["completions", "bash"]] {
        let status = program(&world, arguments).stdout(closed()).status().await.expect("an end");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

/// A pipe whose reader is closed.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[tokio::test]
async fn a_report_can_be_limited_to_profiles_and_a_duration() {
    let world = world().await;
    world.ayrshare.gallery(Some(ACME_KEY), &[file("acme.png", 48)]);
    world.ayrshare.media_first(None, [Reply::json(200, &json!([file("office.png", 48), file("soon.png", 2)]))]);
    let one = ends(&world, 0, &["report", "--profile", "Acme Coffee"]).await.stdout;
    assert!(one.contains("acme.png") && !one.contains("today.png"), "{one}");
    let both = ends(&world, 0, &["report", "--profile", "Acme Coffee", "--profile", "Head office", "--within", "6h"])
        .await
        .stdout;
    assert!(both.contains("soon.png") && !both.contains("acme.png") && !both.contains("office.png"), "{both}");
}
