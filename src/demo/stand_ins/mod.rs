//! Stand-ins for Ayrshare, the host of its files, Slack, SES, Teams, SNS, S3, a signed webhook and a
//! heartbeat. They are HTTP servers on this machine.
//!
//! Each stand-in checks every request against the rules of the real service, and against what must never be sent to it.
//! [`Server::violations`] lists the broken rules. The real services would have accepted the requests of a run without
//! violations. A test can script the replies, for example to simulate failures. A stand-in stops when it is dropped.

mod ayrshare;
mod heartbeat;
mod media_host;
mod s3;
mod server;
mod ses;
mod slack;
mod sns;
mod teams;
mod webhook;

pub use ayrshare::{Ayrshare, AyrshareStandIn, Call, account_profile, listed_file, scheduled_post};
pub use heartbeat::{Heartbeat, HeartbeatStandIn};
pub use media_host::{MediaHost, MediaHostStandIn, generated_pieces};
pub use s3::{S3, S3StandIn};
pub use server::{Answer, Reply, Request, Script, Server, Service, Violations};
pub use ses::{Mail, Ses, SesStandIn};
#[cfg(feature = "fuzzing")]
pub use slack::check_message as check_slack_message;
pub use slack::{Slack, SlackStandIn};
pub use sns::{Publication, Sns, SnsStandIn};
#[cfg(feature = "fuzzing")]
pub use teams::check_message as check_teams_message;
pub use teams::{Teams, TeamsStandIn};
pub use webhook::{Delivery, WebhookReceiver, WebhookStandIn};
