//! `expiry-alerts` as people and cron jobs run it: the real program against the stand-ins.

#![expect(clippy::expect_used, clippy::panic, reason = "the whole target is tests")]

mod alerting;
mod demo;
mod exit_codes;
mod formats;
mod refusals;
mod terminal;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the function is not woken here")]
mod support;

use std::process::{Output, Stdio};

use tokio::process::Command;

use support::World;

/// How the program ended, and what it said.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program in a world, without anything else in its environment.
fn program(world: &World, arguments: &[&str]) -> Command {
    world.write_config();
    let mut command = Command::new(env!("CARGO_BIN_EXE_expiry-alerts"));
    command
        .args(arguments)
        .env_clear()
        .envs(&world.variables)
        .current_dir(world.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the program, and holds what it said and sent against what must always hold.
async fn run(world: &World, arguments: &[&str]) -> Ended {
    let Output { status, stdout, stderr } = program(world, arguments).output().await.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ended = Ended { code: status.code().expect("it ends by itself"), stdout: text(stdout), stderr: text(stderr) };

    assert_eq!(world.violations(), [""; 0]);
    let said = [vec![ended.stdout.clone(), ended.stderr.clone()], world.told()].concat();
    for secret in world.secrets() {
        for text in &said {
            assert!(!text.contains(&secret), "`{secret}` is told in {text}");
        }
    }
    ended
}

/// Runs the program and expects it to end with this code.
async fn ends(world: &World, code: i32, arguments: &[&str]) -> Ended {
    let ended = run(world, arguments).await;
    assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended
}
