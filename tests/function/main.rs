//! Tests of the whole function as Lambda runs it: the real binary with real requests.

#![expect(clippy::expect_used, clippy::panic, reason = "the whole target is tests")]

mod actions;
mod announcing;
mod configuration;
mod dates;
mod email;
mod failures;
mod handled;
mod http;
mod large;
mod ledger;
mod posts;
mod profiles_from;
mod report;
mod rescue;
mod snapshots;
mod store;
mod teams;
mod telemetry;
mod unwatched;

#[path = "../support/mod.rs"]
mod support;
