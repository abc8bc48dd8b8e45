//! Shared by these tests: external programs, a local Lambda, and AWS services.

#[path = "../../support/binary.rs"]
pub mod binary;
#[expect(dead_code, reason = "these tests send only requests without a body, as an HTTP API does")]
#[path = "../../support/http.rs"]
pub mod http;
pub mod lambda;
pub mod moto;
pub mod program;
pub mod stand_ins;
