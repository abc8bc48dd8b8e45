//! What the tests with tools share: programs that end with their test, a Lambda, and the services of AWS.

#[path = "../../support/binary.rs"]
pub mod binary;
pub mod lambda;
pub mod moto;
pub mod program;
pub mod stand_ins;
