//! Tells the right people, once, before media uploaded to Ayrshare expires.
//!
//! ARCHITECTURE.md says how the modules fit together. In short: [`event`] makes a [`command`] of what woke the
//! function, [`scan`] reads the galleries through [`ayrshare`], [`select`] and [`survey`] say what matters, [`digest`]
//! says it in words, [`channel`] says it in each service's way, and [`run_result`] is the answer.
//! [`report`] makes a page, a table or a calendar of it, and [`link`] signs the way there.

pub mod accept;
pub mod announce;
pub mod api;
pub mod aws;
pub mod ayrshare;
pub mod channel;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clients;
pub mod command;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod digest;
mod edge;
pub mod environment;
pub mod event;
#[cfg(test)]
mod fixtures;
pub mod function;
mod heartbeat;
pub mod ledger;
pub mod link;
pub mod model;
pub mod net;
#[cfg(feature = "demo")]
mod once;
pub mod posts;
pub mod ready;
pub mod redact;
pub mod report;
pub mod run;
pub mod run_result;
mod scan;
pub mod select;
pub mod survey;
pub mod telemetry;
#[cfg(feature = "demo")]
pub mod terminal;
pub mod threshold;
pub mod words;
