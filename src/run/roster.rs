//! The profiles of one run.

use crate::config::{Config, Profile};
use crate::model::{ProfileName, Tags};

/// The profiles that a run can check.
#[derive(Debug)]
pub struct Roster<'a> {
    configured: &'a [Profile],
}

impl<'a> Roster<'a> {
    /// Returns the profiles of `[[profiles]]`.
    #[must_use]
    pub fn configured(config: &'a Config) -> Self {
        Self { configured: &config.profiles }
    }

    /// Returns all profiles, in their order in the configuration.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> + Clone {
        self.configured.iter()
    }

    /// Returns the name and the tags of each profile.
    pub fn known(&self) -> impl Iterator<Item = (&ProfileName, &Tags)> + Clone {
        self.profiles().map(|profile| (&profile.name, &profile.tags))
    }
}
