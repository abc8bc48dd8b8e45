//! Stand-ins for the services that the function talks to, and the demo's data.
//!
//! Only behind the feature `demo`, which the function on Lambda never has.

pub mod data;
pub mod stand_ins;
