//! Stand-ins for the services that the function talks to, and the demo on them. Only behind the feature `demo`, which
//! the function on Lambda never has.

pub mod stand_ins;
