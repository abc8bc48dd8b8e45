//! Terminal output: its width, and no control characters from outside.

use media_expiry_alerts::demo::stand_ins::scheduled_post;
use unicode_width::UnicodeWidthStr as _;

use crate::ends;
use crate::support::{World, file, in_hours};

#[tokio::test]
async fn control_characters_from_outside_are_removed() {
    let hostile =
        ["\u{1b}[31mred\u{7}.png", "gpj.\u{202E}evil\u{2066}.png", "a\r\nb\u{85}c\u{9b}2J.png", "<b>'\"&=1+1.png"];
    let long = format!("{}.png", "長".repeat(4_000));
    let mut files: Vec<_> = hostile.iter().map(|name| file(name, 5)).collect();
    files.push(file(&long, 5));
    let mut world = World::with_gallery(&files).await;
    let text = format!("\u{1b}]0;title\u{7}\u{202E}{}", "text ".repeat(1_000));
    world.ayrshare.posts(None, &[scheduled_post("post", &text, &["x\u{1b}[2J"], &[&files[0]], in_hours(24))]);

    for columns in ["40", "60", "80", "200"] {
        world.variables.insert("COLUMNS".into(), columns.into());
        for arguments in [&["report"][..], &["alert", "--dry-run", "--channel", "social-team"]] {
            let shown = ends(&world, 0, arguments).await.stdout;
            for line in shown.lines() {
                let is_harmless =
                    |c: char| !c.is_control() && !('\u{200E}'..='\u{206F}').contains(&c) || "“”…·•⚠".contains(c);
                assert!(line.chars().all(is_harmless), "{columns}: {line:?}");
                assert!(line.width() <= columns.parse().expect("a number"), "{columns}: {line}");
            }
            assert!(shown.contains("[31mred.png") && shown.contains("a b"), "harmless characters are kept: {shown}");
        }
    }
    world.variables.remove("COLUMNS");
    let shown = ends(&world, 0, &["report"]).await.stdout;
    assert!(shown.contains("<b>'\"&=1+1.png\n"), "nothing is shortened without need: {shown}");
    assert!(!shown.contains('\u{1b}'), "a pipe gets no colours");
}

#[tokio::test]
async fn times_are_in_the_zone_of_the_machine_or_in_utc() {
    let mut old = file("old.png", -1);
    old["timeCreated"] = "2025-07-30T20:23:49Z".into();
    old["expiresAt"] = "2025-09-05T22:00:48Z".into();
    let mut world = World::with_gallery(&[old]).await;
    let tokyo = ("2025-09-06 07:00 JST", "Sat 6 Sep 2025, 07:00 JST");
    let sao_paulo = ("2025-09-05 19:00 -03:00", "Fri 5 Sep 2025, 19:00 -03:00");
    let utc = ("2025-09-05 22:00 UTC", "Fri 5 Sep 2025, 22:00 UTC");
    for (zone, option, (in_table, on_page)) in [
        ("Asia/Tokyo", "-v", tokyo),
        (":America/Sao_Paulo", "-v", sao_paulo),
        ("Asia/Tokyo", "--utc", utc),
        ("No/Such_Zone", "-v", utc),
    ] {
        world.variables.insert("TZ".into(), zone.into());
        for (format, expected) in [("table", in_table), ("html", on_page), ("csv", "2025-09-05T22:00:48Z")] {
            let shown = ends(&world, 0, &["report", "--format", format, option]).await.stdout;
            assert!(shown.contains(expected), "{zone} {option} {format}: {shown}");
        }
    }
}

#[tokio::test]
async fn help_texts() {
    let world = World::new().await;
    insta::assert_snapshot!("help", ends(&world, 0, &["--help"]).await.stdout);
    insta::assert_snapshot!("help_of_report", ends(&world, 0, &["report", "--help"]).await.stdout);
    insta::assert_snapshot!("help_of_alert", ends(&world, 0, &["alert", "--help"]).await.stdout);
}

#[tokio::test]
async fn the_version() {
    let world = World::new().await;
    let expected = concat!("expiry-alerts ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(ends(&world, 0, &["--version"]).await.stdout, expected);
}

#[tokio::test]
async fn every_shell_has_completions() {
    let world = World::new().await;
    for (shell, mark) in [
        ("bash", "complete -F _expiry__alerts"),
        ("zsh", "#compdef expiry-alerts"),
        ("fish", "complete -c expiry-alerts"),
        ("elvish", "edit:completion:arg-completer[expiry-alerts]"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName 'expiry-alerts'"),
    ] {
        let script = ends(&world, 0, &["completions", shell]).await.stdout;
        assert!(script.contains(mark) && script.contains("dry-run"), "{shell}: {script}");
    }
    ends(&world, 2, &["completions", "cmd"]).await;
}

/// The script finds the options by the internal name of a command, so each of these names needs a branch.
#[tokio::test]
async fn bash_completes_the_options_of_every_command() {
    let script = ends(&World::new().await, 0, &["completions", "bash"]).await.stdout;
    let names: Vec<_> =
        script.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"')).collect();
    assert!(10 < names.len(), "{script}");
    for name in names.iter().filter(|name| !name.is_empty()) {
        assert!(script.lines().any(|line| line.trim() == format!("{name})")), "{name} has no options in {script}");
    }
}
