//! Tests of the function with other implementations of its services: the Lambda Runtime API of cargo-lambda, and the AWS
//! services of moto.
//!
//! These tests need the tools in `tools/requirements.txt`, so plain `cargo test` skips them. `make test` installs the tools
//! and runs all tests. After `make tools`, run a single test with `cargo test --test tools NAME`. A missing tool fails the
//! test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cargo_lambda;
mod email;
mod ledger;
mod moto;
mod profiles_from;
mod rescue;
#[path = "../simulation/simulator/mod.rs"]
mod simulator;
mod sources;
mod store;
mod support;
