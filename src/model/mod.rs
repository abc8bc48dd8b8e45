//! The domain types: profiles, files, posts, thresholds, and text that is safe to show.
//!
//! The other layers parse outside input into these types once and rely on them from then on. This module imports nothing
//! from the rest of the crate, does no I/O and reads no clock.

mod copies;
mod discovery;
mod level;
mod listing;
mod media;
mod packed;
mod post;
mod profile;
mod status;
pub mod text;
pub mod threshold;
mod zone;

pub use copies::{Copies, CopyAddress, FailedCopy, KeptCopy};
pub use discovery::{AyrshareProfile, Discovery, DiscoveryStatus, IdentifiedProfile, comparable_title};
pub use level::Level;
pub use listing::{Listing, ListingOrigin};
pub use media::{File, Item, Media, MediaKind, State};
pub use packed::Packed;
pub use post::{MediaAtRisk, PostAtRisk, RiskReason, ScheduledPost, UnverifiedUrl};
pub use profile::{FailedProfile, Failure, FailureKind, PROFILES_FROM, Part, ProfileName, Tags};
pub use status::Status;
pub use threshold::{Threshold, Thresholds};
pub use zone::{UnknownZone, Zone};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
