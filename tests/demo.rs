//! The demo shows the alerts without leaking a secret.

use std::fs;
use std::path::Path;

use media_expiry_alerts::cli::demo;
use media_expiry_alerts::cli::terminal::TerminalStyle;

#[tokio::test]
async fn the_demo_prints_the_messages_to_slack_and_email() {
    // Not the default folder, so that the test does not overwrite somebody's demo.
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{}", std::process::id()));
    let mut shown = Vec::new();
    let terminal = TerminalStyle { is_styled: false, columns: 80 };
    demo::run(&output, terminal, None, &mut shown).await.expect("the demo runs");
    let shown = String::from_utf8(shown).expect("text");

    let (slack, mail) = shown.split_once("── Email").expect("both are there");
    for text in [slack, mail] {
        for part in ["Harbor Dental", "4 of 5 profiles", "夏のセール 📸.png", "press-kit.pdf", "logo (final) (2).webp"]
        {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    }
    assert!(slack.contains("lookbook-winter-05.jpg and 33 more") && slack.contains("▣"), "{slack}");
    assert!(!output.join("slack-2.json").exists(), "one message has room for everything: {slack}");
    assert!(mail.contains("Subject:") && mail.contains("severity = post-at-risk"), "{mail}");
    assert_eq!(mail.matches("nothing-due").count(), 4, "the second run repeats nothing: {mail}");
    assert!(!shown.contains('\u{1b}'), "plain text has no codes of a terminal");

    for name in [
        "slack-1.json",
        "sns.json",
        "email.txt",
        "email.html",
        "teams.json",
        "teams.html",
        "report.html",
        "calendar.ics",
        "result.json",
        "config.toml",
        "block-kit-builder.html",
    ] {
        assert!(shown.contains(name), "{name}");
        let text = fs::read_to_string(output.join(name)).expect(name);
        assert!(!text.contains("DEMO000-") && !text.contains("/services/"), "a secret in {name}: {text}");
    }
    assert!(!shown.contains("DEMO000-") && !shown.contains("/services/"), "a secret in {shown}");
    for name in ["email.html", "teams.json", "teams.html"] {
        let text = fs::read_to_string(output.join(name)).expect(name);
        for part in ["Harbor Dental", "夏のセール 📸.png", "lookbook-winter-05.jpg and 33 more"] {
            assert!(text.contains(part), "`{part}` is not in {name}");
        }
    }
    let page = fs::read_to_string(output.join("block-kit-builder.html")).expect("a page");
    assert!(page.contains("https://app.slack.com/block-kit-builder/#%7B%22blocks%22%3A%5B%7B%22"), "{page}");
    fs::remove_dir_all(output).expect("the directory is ours");
}

#[tokio::test]
async fn a_failed_demo_reports_the_reason() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("no-demo-{}", std::process::id()));
    fs::write(&file, "in the way").expect("a file");
    let terminal = TerminalStyle { is_styled: false, columns: 80 };
    let error = demo::run(&file.join("demo"), terminal, None, &mut Vec::new()).await.expect_err("there is a file");
    assert!(error.to_string().contains("Not a directory"), "{error}");
    fs::remove_file(file).expect("the file is ours");
}
