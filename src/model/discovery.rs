//! The profiles of the account as Ayrshare lists them, and which of them nobody watches.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::profile::ProfileName;
use super::text::{nfc, one_line};

/// A profile of the account as Ayrshare lists it. It has a title, a `refId` or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AyrshareProfile {
    /// The title, which people can change and which need not be unique.
    pub title: Option<String>,
    /// Ayrshare's own id of the profile, which never changes.
    pub ref_id: Option<String>,
}

impl AyrshareProfile {
    /// Returns what people call the profile: its title, or its `refId` if it has none.
    #[must_use]
    pub fn label(&self) -> String {
        let title = one_line(self.title.as_deref().unwrap_or_default());
        if title.is_empty() {
            let ref_id = one_line(self.ref_id.as_deref().unwrap_or_default());
            return format!("the profile with refId {ref_id}");
        }
        title
    }
}

/// Returns a title in the form in which titles are compared: trimmed, and in Unicode NFC.
#[must_use]
pub fn comparable_title(title: &str) -> String {
    nfc(title.trim()).into_owned()
}

/// The outcome of comparing the configured profiles with those that Ayrshare lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Whether they were compared.
    pub status: DiscoveryStatus,
    /// The listed profiles that are not configured and not ignored, by title. Empty unless `status` is `Ok`.
    pub unwatched: Arc<[AyrshareProfile]>,
    /// Which configured profile is which at Ayrshare, as far as it is known. Only `check` asks for it.
    pub identified: Vec<IdentifiedProfile>,
}

impl Discovery {
    /// A comparison that was not possible.
    #[must_use]
    pub fn unavailable() -> Self {
        Self { status: DiscoveryStatus::Unavailable, ..Self::default() }
    }
}

/// Whether the configured profiles were compared with those that Ayrshare lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscoveryStatus {
    /// They were compared.
    Ok,
    /// The configuration or the kind of run does not ask for it.
    #[default]
    Off,
    /// The plan does not have the list, it could not be read, or a configured profile could not be identified.
    Unavailable,
}

/// A configured profile, and what it is called at Ayrshare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifiedProfile {
    /// The name in the configuration.
    pub profile: ProfileName,
    /// The profile at Ayrshare.
    #[serde(flatten)]
    pub at_ayrshare: AyrshareProfile,
    /// Whether Ayrshare's title is another one than the name.
    pub title_differs: bool,
}
