//! The Lambda function: the events that it accepts, its responses and errors, and its log.

mod error;
pub mod event;
mod function;
pub mod logging;

pub use self::error::FunctionError;
pub use self::function::{Function, Invocation};
