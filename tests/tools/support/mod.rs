//! Shared by these tests: external programs, a local Lambda, and AWS services.

#[path = "../../support/binary.rs"]
pub mod binary;
pub mod lambda;
pub mod moto;
pub mod program;
pub mod stand_ins;
