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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, FailureKind, PROFILES_FROM, Part};

    fn listing(origin: ListingOrigin, names: &[&str]) -> Listing {
        let failed = |name: &&str| FailedProfile {
            profile: ProfileName::new(name),
            what: Part::Profiles,
            failure: Failure { kind: FailureKind::InvalidEntry, http_status: None, code: None, message: String::new() },
        };
        Listing { origin, profiles: 2, failed: names.iter().map(failed).collect() }
    }

    #[test]
    fn an_unusable_entry_makes_the_status_partial_and_a_missing_list_makes_it_failed() {
        assert_eq!(Listing::default().status(), Status::Ok);
        assert_eq!(listing(ListingOrigin::Read, &[]).status(), Status::Ok);
        assert_eq!(listing(ListingOrigin::Read, &["Birch"]).status(), Status::Partial);
        assert_eq!(listing(ListingOrigin::Copy, &[PROFILES_FROM]).status(), Status::Partial);
        assert_eq!(listing(ListingOrigin::Missing, &[PROFILES_FROM]).status(), Status::Failed);
    }

    #[test]
    fn an_entry_has_recovered_when_the_list_was_read_and_the_entry_is_usable() {
        let birch = ProfileName::new("Birch");
        assert!(listing(ListingOrigin::Read, &[]).has_recovered(&birch));
        assert!(listing(ListingOrigin::Read, &["Cafe"]).has_recovered(&birch));
        assert!(!listing(ListingOrigin::Read, &["Cafe", "Birch"]).has_recovered(&birch));
        assert!(!listing(ListingOrigin::Copy, &[]).has_recovered(&birch));
    }

    #[test]
    fn a_run_about_some_profiles_is_told_of_the_list_and_of_no_entry() {
        let copy = listing(ListingOrigin::Copy, &[PROFILES_FROM, "Birch"]);
        assert_eq!(copy.without_entries(), listing(ListingOrigin::Copy, &[PROFILES_FROM]));
        assert_eq!(listing(ListingOrigin::Read, &["Birch"]).without_entries(), listing(ListingOrigin::None, &[]));
    }
}
