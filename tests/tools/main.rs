//! The function among real parts: the Lambda Runtime API of cargo-lambda, and SNS, SQS and DynamoDB as moto serves
//! them.
//!
//! These tests need the tools of `tools/requirements.txt`, so plain `cargo test` leaves them out. `make test` installs
//! the tools and runs them; after `make tools` one of them runs with `cargo test --test tools NAME`. A tool that is
//! missing is a failure.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cargo_lambda;
mod ledger;
mod moto;
#[path = "../simulation/simulator/mod.rs"]
mod simulator;
mod sources;
mod support;
