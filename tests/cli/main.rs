//! Tests of the program `expiry-alerts` with the stand-ins.

#![expect(clippy::expect_used, clippy::panic, reason = "the whole target is tests")]

mod alerting;
mod demo;
mod errors;
mod exit_codes;
mod formats;
mod handled;
mod rescue;

mod terminal;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "these tests do not invoke the function")]
mod support;

use std::process::{Output, Stdio};

use tokio::process::Command;

use support::World;

/// The exit code and the output of the program.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program with only the environment variables of the world.
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

/// Runs the program and checks what must hold in every test: no service rejected a request, and no secret was leaked.
async fn run(world: &World, arguments: &[&str]) -> Ended {
    let Output { status, stdout, stderr } = program(world, arguments).output().await.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ended = Ended { code: status.code().expect("it ends by itself"), stdout: text(stdout), stderr: text(stderr) };

    assert_eq!(world.violations(), [""; 0]);
    let said = [vec![ended.stdout.clone(), ended.stderr.clone()], world.sent_texts()].concat();
    for secret in world.secrets() {
        for text in &said {
            assert!(!text.contains(&secret), "`{secret}` is leaked in {text}");
        }
    }
    ended
}

/// Runs the program and expects this exit code.
async fn ends(world: &World, code: i32, arguments: &[&str]) -> Ended {
    let ended = run(world, arguments).await;
    assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended
}
