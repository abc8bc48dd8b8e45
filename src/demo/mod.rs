//! Stand-ins for the services that the function uses, and the data of the demo.
//!
//! Compiled only with the feature `demo`, which the deployed function never has.

pub mod data;
pub mod stand_ins;
