//! Tells the right people, once, before media uploaded to Ayrshare expires.
//!
//! The modules are layers: each one uses only those above it in this list. ARCHITECTURE.md shows how data flows through
//! them, and `tests/architecture.rs` checks the order.

pub mod model;
pub mod net;

pub mod config;
pub mod scan;

pub mod ledger;

pub mod digest;

pub mod channel;
pub mod report;

pub mod store;

pub mod run;

pub mod http;
pub mod lambda;

#[cfg(feature = "demo")]
pub mod demo;

#[cfg(feature = "cli")]
pub mod cli;
