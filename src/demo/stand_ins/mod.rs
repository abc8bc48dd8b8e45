//! Stand-ins for Ayrshare, Slack, SNS, a signed webhook and a heartbeat: real HTTP servers on this machine.
//!
//! Each holds every request that it gets against what the real service takes (and against what must never be sent to
//! it), and keeps what it objects to as [`Server::violations`]: a run whose stand-ins have none would have been
//! understood by the real ones. What they answer can be scripted, to the failures that the real ones cannot be asked
//! for. A stand-in ends when it is dropped.

mod ayrshare;
mod heartbeat;
mod server;
mod slack;
mod sns;
mod webhook;

pub use ayrshare::{Ayrshare, AyrshareStandIn, Call, listed_file, scheduled_post};
pub use heartbeat::{Heartbeat, HeartbeatStandIn};
pub use server::{Answer, Reply, Request, Script, Server, Service, Violations};
pub use slack::{Slack, SlackStandIn};
pub use sns::{Publication, Sns, SnsStandIn};
pub use webhook::{Delivery, WebhookReceiver, WebhookStandIn};
