//! The HTTP routes: which request asks for what, and the responses in the format that API Gateway expects.
//!
//! This layer decides what a request may ask for and renders the response. It neither scans nor sends: the `lambda` layer
//! runs the command of a [`Route`] in between.

pub mod accept;
pub mod report;
pub mod request;
mod response;
mod routes;

pub use self::response::{MAX_RESPONSE_BYTES, Response};
pub use self::routes::{Route, bad_request, empty_link, route};

#[cfg(test)]
mod tests;
