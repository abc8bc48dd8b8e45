//! The outcome of reading `[profiles_from]`.

use serde::{Deserialize, Serialize};

use super::{FailedProfile, ProfileName, Status};

/// The outcome of reading `[profiles_from]` at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Where the profiles of the list come from.
    pub origin: ListingOrigin,
    /// How many profiles the list gave.
    pub profiles: usize,
    /// Why the list, or an entry of it, cannot be used.
    pub failed: Vec<FailedProfile>,
}

/// Where the profiles of a list come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingOrigin {
    /// There is no list, or the run is about some of its profiles only.
    #[default]
    None,
    /// The list was read.
    Read,
    /// The list could not be read, and a copy of it from an earlier run is used.
    Copy,
    /// The list could not be read, and there is no copy.
    Missing,
}

impl Listing {
    /// Returns whether a problem with the list, or with an entry of this name, is resolved: the list was read, and no entry of
    /// this name is unusable.
    #[must_use]
    pub fn has_recovered(&self, profile: &ProfileName) -> bool {
        self.origin == ListingOrigin::Read && self.failed.iter().all(|failed| failed.profile != *profile)
    }

    /// Returns the status of a run that checked every profile that it knows.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.origin {
            ListingOrigin::Missing => Status::Failed,
            _ if self.failed.is_empty() => Status::Ok,
            _ => Status::Partial,
        }
    }

    /// Returns the part that concerns a run about some profiles only: why the list could not be read, and no entry.
    #[must_use]
    pub fn without_entries(&self) -> Self {
        let failed = self.failed.iter().filter(|failed| failed.is_of_list()).cloned().collect();
        let origin = if self.origin == ListingOrigin::Read { ListingOrigin::None } else { self.origin };
        Self { origin, profiles: self.profiles, failed }
    }
}
