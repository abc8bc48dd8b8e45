//! The demo as a command, and the report that it serves.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::World;
use crate::{ends, program};

#[tokio::test]
async fn the_demo_puts_what_there_is_to_look_at_where_it_says() {
    let world = World::new().await;
    let shown = ends(&world, 0, &["demo"]).await.stdout;
    assert!(shown.contains("── expiry-alerts-demo ──") && shown.contains("report.html"), "{shown}");
    let page = std::fs::read_to_string(world.path("expiry-alerts-demo/report.html")).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("lookbook-winter-38.jpg"), "{page}");
}

#[tokio::test]
async fn the_report_is_served_until_the_demo_ends() {
    let world = World::new().await;
    let mut child = program(&world, &["demo", "--serve"]).spawn().expect("the program starts");
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

    let mail = std::fs::read_to_string(world.path("expiry-alerts-demo/email.txt")).expect("a mail");
    let origin = url.trim_end_matches("/report");
    let (_, link) = mail.split_once(&format!("{origin}/r/")).expect("a link in the mail");
    let token: String = link.chars().take_while(|c| !c.is_whitespace()).collect();
    let (status, page) = get(format!("{origin}/r/{token}")).await;
    assert!(status == 200 && page.contains("press-kit.pdf"), "{status}: {page}");
    assert_eq!(get(format!("{origin}/r/{}", &token[1..])).await.0, 404);
    child.kill().await.expect("it is our process");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let ended = ends(&world, 1, &["demo", "--serve", &port]).await;
    assert!(ended.stderr.contains(&format!("port {port} of this machine cannot be had")), "{}", ended.stderr);
}
