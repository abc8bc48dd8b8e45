//! The command `demo`, and the report that it serves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::World;
use crate::{ends, program};

/// The files of a folder, by name.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a file").file_name().into_string().expect("a name of text")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_demo_writes_only_to_the_given_folder() {
    let world = World::new().await;
    let shown = ends(&world, 0, &["demo", "--output", "shown"]).await.stdout;
    assert!(shown.contains("── shown ──") && shown.contains("report.html"), "{shown}");
    let page = fs::read_to_string(world.path("shown/report.html")).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("lookbook-winter-38.jpg"), "{page}");
    assert_eq!(names(&world.path("")), ["config.json", "shown"], "nothing is written elsewhere");
}

#[tokio::test]
async fn a_demo_reuses_the_folder_of_an_earlier_demo() {
    let world = World::new().await;
    ends(&world, 0, &["demo", "--output", "shown"]).await;
    let first = names(&world.path("shown"));
    fs::write(world.path("shown/slack-9.json"), "of a longer demo").expect("a file");
    fs::write(world.path("shown/notes.txt"), "of a person").expect("a file");
    let shown = ends(&world, 0, &["demo", "--output", "shown"]).await.stdout;
    assert!(shown.contains("Slack, #social-team"), "everything is new again: {shown}");
    fs::remove_file(world.path("shown/notes.txt")).expect("a person's file is left alone");
    assert_eq!(names(&world.path("shown")), first);
}

#[tokio::test]
async fn a_folder_with_other_files_is_rejected_and_not_changed() {
    let world = World::new().await;
    for name in ["holiday.jpg", "config.toml", "ledger.json"] {
        let folder = world.path(&format!("of-{name}"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join(name), "precious").expect("a file");
        let ended = ends(&world, 2, &["demo", "--output", &format!("of-{name}")]).await;
        assert!(ended.stderr.contains("is not empty and was not written by a demo"), "{}", ended.stderr);
        assert_eq!(names(&folder), [name]);
        assert_eq!(fs::read_to_string(folder.join(name)).expect("a file"), "precious");
    }
}

/// An installed program must not write to `target/`, not even if cargo started it in another project.
#[tokio::test]
async fn the_default_folder_is_a_new_temporary_one() {
    let mut world = World::new().await;
    fs::create_dir(world.path("temporary")).expect("a folder");
    let temporary = world.path("temporary").display().to_string();
    world.variables.insert("TMPDIR".into(), temporary);
    world.variables.insert("CARGO_MANIFEST_DIR".into(), world.path("").display().to_string());
    for _ in 0..2 {
        let shown = ends(&world, 0, &["demo"]).await.stdout;
        assert!(shown.contains("── temporary/expiry-alerts-demo-"), "{shown}");
    }
    assert_eq!(names(&world.path("temporary")).len(), 2, "each demo has a folder of its own");
    assert_eq!(names(&world.path("")), ["config.json", "temporary"], "nothing is written elsewhere");
}

#[tokio::test]
async fn the_report_is_served_until_the_demo_ends() {
    let world = World::new().await;
    let mut child = program(&world, &["demo", "--output", "shown", "--serve"]).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let until = tokio::time::timeout(Duration::from_mins(2), async {
        loop {
            let line = lines.next_line().await.expect("text").expect("it says where");
            if let Some((_, url)) = line.split_once("The report is at ") {
                return url.to_owned();
            }
        }
    });
    let url = until.await.expect("it serves");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let http = media_expiry_alerts::net::client().expect("a client");
    let get = async |url: String| {
        let answer = http.get(url).header("accept", "text/html, */*;q=0.1").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let (status, page) = get(url.clone()).await;
    assert!(status == 200 && page.starts_with("<!DOCTYPE html>") && page.contains("format=csv"), "{status}: {page}");
    let (status, table) = get(format!("{url}?format=csv&profile=Acme+Coffee")).await;
    assert!(status == 200 && table.contains("latte-art.mov") && !table.contains("press-kit.pdf"), "{status}: {table}");
    assert_eq!(get(format!("{url}?within=banana")).await.0, 400);

    let mail = fs::read_to_string(world.path("shown/email.txt")).expect("a mail");
    let origin = url.trim_end_matches("/report");
    let (_, link) = mail.split_once(&format!("{origin}/r/")).expect("a link in the mail");
    let token: String = link.chars().take_while(|c| !c.is_whitespace()).collect();
    let (status, page) = get(format!("{origin}/r/{token}")).await;
    assert!(status == 200 && page.contains("press-kit.pdf"), "{status}: {page}");
    assert_eq!(get(format!("{origin}/r/{}", &token[1..])).await.0, 404);

    let (_, copy) = page.split_once("/copies/").expect("a copy of a file that a post will lack");
    let copy: String = copy.chars().take_while(char::is_ascii_hexdigit).collect();
    let answer = http.get(format!("{origin}/r/{token}/copies/{copy}")).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 303);
    let place = answer.headers()["location"].to_str().expect("text").to_owned();
    let download = http.get(place).send().await.expect("an answer");
    assert_eq!(download.status().as_u16(), 200);
    assert!(download.headers()["content-disposition"].to_str().expect("text").starts_with("attachment; "));
    assert_eq!(download.bytes().await.expect("a file").len(), 480_000);
    child.kill().await.expect("it is our process");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let ended = ends(&world, 1, &["demo", "--output", "shown", "--serve", &port]).await;
    assert!(ended.stderr.contains(&format!("cannot bind port {port} of this machine")), "{}", ended.stderr);
}
