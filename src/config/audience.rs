//! Which profiles a channel is alerted about.

use std::borrow::Cow;
use std::collections::HashSet;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Profile;
use crate::model::text::nfc;
use crate::model::{ProfileName, Tags};

/// The characters that make an entry of `channels[].profiles` a glob.
const GLOB_CHARACTERS: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// Which profiles a channel is alerted about.
///
/// It is a rule and not a list of names, because the profiles of `[profiles_from]` are known only once a run has read
/// them.
#[derive(Clone, Debug, Default)]
pub enum Audience {
    /// Every profile.
    #[default]
    All,
    /// The profiles with one of these names, or with one of these tags.
    Some(Selection),
}

/// The profiles with one of these names, or with one of these tags. All text is in Unicode NFC.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    names: HashSet<String>,
    globs: Vec<Glob>,
    /// All of `globs`.
    glob_set: GlobSet,
    tags: HashSet<String>,
}

impl Audience {
    /// Returns whether the channel is alerted about every profile, whatever it is called.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Selects the profiles of the channel from all profiles of a run, and keeps their order.
    ///
    /// A glob that is the exact name of a profile selects this profile only. Otherwise a name with brackets could select other
    /// profiles, too.
    pub fn select<'p, P>(&self, profiles: P) -> Vec<&'p ProfileName>
    where
        P: Iterator<Item = (&'p ProfileName, &'p Tags)> + Clone,
    {
        let Self::Some(selection) = self else { return profiles.map(|(name, _)| name).collect() };
        let rule = selection.without_globs_that_are_names(profiles.clone().map(|(name, _)| name));
        profiles.filter(|(name, tags)| rule.includes(name.as_str(), tags)).map(|(name, _)| name).collect()
    }

    /// Returns whether the channel may be alerted about profiles that are not among `configured`.
    #[must_use]
    pub fn may_include_others(&self, configured: &[Profile]) -> bool {
        let Self::Some(Selection { names, globs, tags, .. }) = self else { return true };
        let configured: HashSet<_> = configured.iter().map(|profile| nfc(profile.name.as_str())).collect();
        let is_configured = |name: &str| configured.contains(name);
        !tags.is_empty()
            || globs.iter().any(|glob| !is_configured(glob.glob()))
            || names.iter().any(|name| !is_configured(name))
    }

    /// Returns whether the channel is alerted about a profile. For many profiles, [`Audience::select`] is faster.
    #[must_use]
    pub fn includes(&self, name: &ProfileName, tags: &Tags) -> bool {
        match self {
            Self::All => true,
            Self::Some(selection) => selection.includes(name.as_str(), tags),
        }
    }
}

impl Selection {
    /// Creates the rule from entries of `channels[].profiles` and `channels[].tags`.
    ///
    /// # Errors
    ///
    /// Returns an error if the globs are too large in total.
    pub fn new(names: HashSet<String>, globs: Vec<Glob>, tags: HashSet<String>) -> Result<Self, globset::Error> {
        let glob_set = build(&globs)?;
        Ok(Self { names, globs, glob_set, tags })
    }

    fn without_globs_that_are_names<'p>(&self, profiles: impl Iterator<Item = &'p ProfileName>) -> Cow<'_, Self> {
        if self.globs.is_empty() {
            return Cow::Borrowed(self);
        }
        let globs: HashSet<_> = self.globs.iter().map(Glob::glob).collect();
        let existing: HashSet<_> = profiles.filter_map(|name| globs.get(&*nfc(name.as_str())).copied()).collect();
        if existing.is_empty() {
            return Cow::Borrowed(self);
        }
        let globs: Vec<_> = self.globs.iter().filter(|glob| !existing.contains(glob.glob())).cloned().collect();
        let names = self.names.iter().cloned().chain(existing.into_iter().map(ToOwned::to_owned)).collect();
        // This cannot fail, because the set of all globs was built before, and this is a part of it.
        let glob_set = build(&globs).unwrap_or_default();
        Cow::Owned(Self { names, globs, glob_set, tags: self.tags.clone() })
    }

    fn includes(&self, name: &str, tags: &Tags) -> bool {
        let name = nfc(name);
        self.names.contains(&*name)
            // Matching an empty `GlobSet` costs more than everything else here.
            || !self.globs.is_empty() && self.glob_set.is_match(&*name)
            || !self.tags.is_empty() && tags.iter().any(|tag| self.tags.contains(tag))
    }
}

fn build(globs: &[Glob]) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob.clone());
    }
    builder.build()
}

/// Returns whether an entry of `channels[].profiles` is a glob, unless a profile has exactly this name.
#[must_use]
pub fn is_glob(entry: &str) -> bool {
    entry.contains(GLOB_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn audience(entries: &[&str], tags: &[&str]) -> Audience {
        let (globs, names): (Vec<&str>, Vec<&str>) = entries.iter().partition(|entry| is_glob(entry));
        let globs = globs.iter().map(|glob| Glob::new(&nfc(glob)).expect("a glob")).collect();
        let owned = |texts: &[&str]| texts.iter().map(|text| nfc(text).into_owned()).collect();
        Audience::Some(Selection::new(owned(&names), globs, owned(tags)).expect("globs that fit"))
    }

    fn select(audience: &Audience, profiles: &[(&str, &[&str])]) -> Vec<String> {
        let profiles: Vec<_> =
            profiles.iter().map(|(name, tags)| (ProfileName::new(name), Tags::new(tags.iter().copied()))).collect();
        let known = profiles.iter().map(|(name, tags)| (name, tags));
        audience.select(known).into_iter().map(ToString::to_string).collect()
    }

    const NONE: &[&str] = &[];

    #[test]
    fn names_globs_and_tags_select_their_union() {
        let profiles: &[(&str, &[&str])] = &[
            ("Head office", &[]),
            ("Acme Coffee", &["emea", "retail"]),
            ("Acme Tea", &[]),
            ("Birch", &["emea"]),
            ("Cedar", &["apac"]),
        ];
        let check = |entries: &[&str], tags: &[&str], expected: &[&str]| {
            assert_eq!(select(&audience(entries, tags), profiles), expected, "{entries:?} {tags:?}");
        };
        check(&["Acme *"], NONE, &["Acme Coffee", "Acme Tea"]);
        check(&["Head office", "*Tea"], NONE, &["Head office", "Acme Tea"]);
        check(NONE, &["emea"], &["Acme Coffee", "Birch"]);
        check(&["Cedar", "Acme ?ea"], &["retail"], &["Acme Coffee", "Acme Tea", "Cedar"]);
        check(&["{Birch,Cedar}"], NONE, &["Birch", "Cedar"]);
        check(&["acme*", "Nobody *"], &["EMEA"], &[]);
        assert_eq!(select(&Audience::All, profiles).len(), 5);
    }

    #[test]
    fn a_name_with_the_characters_of_a_glob_selects_itself_only() {
        let profiles: &[(&str, &[&str])] = &[("Acme [EU]", NONE), ("Acme E", NONE), ("*", NONE)];
        assert_eq!(select(&audience(&["Acme [EU]"], NONE), profiles), ["Acme [EU]"]);
        assert_eq!(select(&audience(&["Acme [EU]"], NONE), &profiles[1..]), ["Acme E"]);
        assert_eq!(select(&audience(&["*"], NONE), profiles), ["*"]);
        assert_eq!(select(&audience(&["*"], NONE), &profiles[..2]), ["Acme [EU]", "Acme E"]);
    }

    #[test]
    fn text_is_compared_however_its_accents_are_written() {
        let profiles: &[(&str, &[&str])] = &[("Cafe\u{301} 1", &["re\u{301}gion"]), ("Caf\u{e9} 2", NONE)];
        let audience = |entries, tags| select(&audience(entries, tags), profiles);
        assert_eq!(audience(&["Caf\u{e9} 1", "Cafe\u{301} 2"], NONE).len(), 2);
        assert_eq!(audience(&["Caf\u{e9}*"], NONE).len(), 2);
        assert_eq!(audience(NONE, &["r\u{e9}gion"]), ["Cafe\u{301} 1"]);
    }

    #[test]
    fn many_profiles_are_selected_for_many_channels_in_linear_time() {
        let profile = |index: usize| {
            (ProfileName::new(&format!("Client {index}")), Tags::new([format!("team-{}", index % 50).as_str()]))
        };
        let profiles: Vec<_> = (0..20_000).map(profile).collect();
        let known = || profiles.iter().map(|(name, tags)| (name, tags));
        let started = Instant::now();
        let mut selected = 0;
        for channel in 0..10 {
            let (glob, tag) = (format!("Client {channel}*"), format!("team-{channel}"));
            selected += audience(&[&glob], &[&tag]).select(known()).len();
        }
        assert!(10_000 < selected);
        // Without optimization on a busy machine. Quadratic work would take far longer.
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
