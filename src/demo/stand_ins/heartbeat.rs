//! A stand-in for a dead-man's switch such as healthchecks.io.

use std::io;

use axum::http::Method;

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The path. Real services have a UUID in it too.
const PATH: &str = "/8d2f0a3c-6b1e-4d57-9c0a-2f4e6b8d0a1c";

/// Records heartbeat calls.
pub struct Heartbeat {
    paths: Vec<String>,
    replies: Script,
}

/// A stand-in for a dead-man's switch.
pub type HeartbeatStandIn = Server<Heartbeat>;

impl HeartbeatStandIn {
    /// Starts a stand-in that answers `OK`.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::serve(Heartbeat { paths: Vec::new(), replies: Script::always(Reply::text(200, "OK")) }).await
    }

    /// The heartbeat URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
    }

    /// The calls so far: `""` for success, `"/fail"` for failure.
    #[must_use]
    pub fn beats(&self) -> Vec<String> {
        self.service().paths.clone()
    }

    /// Answers the next requests with these replies.
    pub fn reply_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().replies.first(replies);
    }
}

impl Service for Heartbeat {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        request.check_headers(&[], violations);
        match (&request.method, request.path.strip_prefix(PATH)) {
            (&Method::GET, Some(beat @ ("" | "/fail"))) if request.query.is_empty() => {
                self.paths.push(beat.to_owned());
                self.replies.next_reply().into()
            }
            _ => violations.unknown(request).into(),
        }
    }
}
