//! The HTTP routes and responses, in the format of API Gateway.
//!
//! This layer authorizes and parses requests, and renders the responses. It neither scans nor sends: the `lambda` layer runs
//! the command of a [`Route`].

pub mod accept;
pub mod report;
pub mod request;
mod response;
mod routes;

pub use self::response::{MAX_RESPONSE_BYTES, Response};
pub use self::routes::{
    CopyRequest, MarkRequest, Route, bad_request, empty_link, no_copy_now, no_such_file, not_read, not_recorded, route,
};

#[cfg(test)]
mod tests;
