//! The whole function, as Lambda runs it: the real binary, the real requests.

mod announcing;
mod failures;

#[path = "../support/mod.rs"]
mod support;
