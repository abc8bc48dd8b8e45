//! Compares the configured profiles with those that Ayrshare lists, and finds the ones that nobody watches. Pure.
//!
//! A `refId` decides where both sides have one. Only then does the title, which people can change and which may come
//! twice. Three rules keep a watched profile from being called unwatched:
//!
//! - If a listed profile is left over, Ayrshare is asked for the `refId` of the configured profiles that have told none yet
//!   ([`Comparison::to_ask`]). While none is left over, each name that equals a title may stand for it: there are as many
//!   configured profiles as listed ones.
//! - If several listed profiles share a title and fewer configured ones have it as their name, the name identifies nobody.
//! - If a configured profile cannot be identified at all, each profile that is left over may be this one. Then nothing is
//!   claimed, and the comparison is [`DiscoveryStatus::Unavailable`].
//!
//! The primary profile is not listed, so it may stay unidentified.

use std::collections::{HashMap, HashSet};

use globset::GlobSet;

use crate::model::{
    AyrshareProfile, Discovery, DiscoveryStatus, IdentifiedProfile, ProfileName, comparable_title, text::nfc,
};

/// The title of the primary profile at Ayrshare.
const PRIMARY_TITLE: &str = "Primary Profile";

/// The most configured names that equal a title and are verified with Ayrshare. Verifying many more would make a run noticeably
/// longer, and would only prove that no key is configured under the name of another profile.
const MAX_VERIFIED: usize = 1_000;

/// What to compare.
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryRules<'a> {
    /// `alerts.ignore_profiles`: profiles whose title matches one of these globs need no alert. The globs are in Unicode
    /// NFC.
    pub ignore: &'a GlobSet,
    /// Whether every configured profile is to be identified, and not only those that matter to the comparison.
    pub identifies_all: bool,
}

/// A configured profile that is compared.
#[derive(Clone, Debug)]
pub struct ConfiguredProfile {
    /// The name in the configuration.
    pub name: ProfileName,
    /// Whether it is the primary profile.
    pub is_primary: bool,
    /// Its `refId`, if it is known.
    pub ref_id: Option<String>,
}

/// A comparison in progress.
#[derive(Debug)]
pub struct Comparison<'a> {
    rules: DiscoveryRules<'a>,
    listed: Vec<AyrshareProfile>,
    configured: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    profile: ConfiguredProfile,
    /// The identity that Ayrshare has reported.
    user: Option<AyrshareProfile>,
    is_asked: bool,
}

/// How a configured profile was matched with a listed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    RefId(usize),
    Title(usize),
    /// Its `refId` is known, and is not in the list.
    NotListed,
    /// Nobody knows which listed profile it is.
    Unidentified,
}

/// The matches of all profiles.
struct Matches {
    /// In the order of the configuration.
    configured: Vec<Match>,
    /// The listed profiles that match no configured one and are not ignored.
    left_over: Vec<usize>,
}

impl<'a> Comparison<'a> {
    /// Compares the configured profiles with the listed ones, as far as they are known.
    ///
    /// A listed profile that has neither a `refId` nor a title can neither be compared nor named, and is left out.
    #[must_use]
    pub fn new(
        listed: Vec<AyrshareProfile>,
        configured: impl IntoIterator<Item = ConfiguredProfile>,
        rules: DiscoveryRules<'a>,
    ) -> Self {
        // A profile may come twice when the list changes between two of its pages.
        let mut ref_ids = HashSet::new();
        let is_new = |profile: &AyrshareProfile| match &profile.ref_id {
            Some(ref_id) => ref_ids.insert(ref_id.clone()),
            None => profile.title.is_some(),
        };
        let listed = listed.into_iter().filter(is_new).collect();
        let candidate = |profile| Candidate { profile, user: None, is_asked: false };
        Self { rules, listed, configured: configured.into_iter().map(candidate).collect() }
    }

    /// Returns the indices of the configured profiles that Ayrshare should be asked about next; none when that would
    /// tell nothing new.
    #[must_use]
    pub fn to_ask(&self) -> Vec<usize> {
        let Matches { configured, left_over } = self.matches();
        let may_ask = |index: &usize| {
            let Candidate { profile, is_asked, .. } = &self.configured[*index];
            profile.ref_id.is_none() && !is_asked
        };
        let such = |is_such: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..configured.len()).filter(may_ask).filter(|index| is_such(*index)).collect()
        };
        if self.rules.identifies_all {
            return such(&|_| true);
        }
        let is_by_title = |index: usize| matches!(configured[index], Match::Title(_));
        // The primary profile is not listed, so its name may be the title of another profile.
        let needed = such(&|index| {
            if is_by_title(index) { self.configured[index].profile.is_primary } else { !left_over.is_empty() }
        });
        if !needed.is_empty() || left_over.is_empty() {
            return needed;
        }
        let to_verify = such(&is_by_title);
        if to_verify.len() <= MAX_VERIFIED { to_verify } else { Vec::new() }
    }

    /// Takes what Ayrshare answered about the configured profile at `index`.
    pub fn learn(&mut self, index: usize, user: Option<AyrshareProfile>) {
        let Some(candidate) = self.configured.get_mut(index) else { return };
        candidate.is_asked = true;
        candidate.profile.ref_id = user.as_ref().and_then(|user| user.ref_id.clone());
        candidate.user = user;
    }

    /// Returns the result of the comparison.
    #[must_use]
    pub fn finish(self) -> Discovery {
        let Matches { configured, left_over } = self.matches();
        let identified = if self.rules.identifies_all { self.identified(&configured) } else { Vec::new() };
        let is_unidentified = configured.contains(&Match::Unidentified);
        if !left_over.is_empty() && is_unidentified {
            return Discovery { identified, ..Discovery::unavailable() };
        }
        let mut unwatched: Vec<_> = left_over.into_iter().map(|index| self.listed[index].clone()).collect();
        unwatched.sort();
        Discovery { status: DiscoveryStatus::Ok, unwatched: unwatched.into(), identified }
    }

    fn identified(&self, matches: &[Match]) -> Vec<IdentifiedProfile> {
        let identify = |(candidate, found): (&Candidate, &Match)| {
            let listed = match found {
                Match::RefId(index) | Match::Title(index) => self.listed.get(*index),
                Match::NotListed | Match::Unidentified => None,
            };
            let at_ayrshare = listed.or(candidate.user.as_ref())?.clone();
            let ConfiguredProfile { name, is_primary, .. } = &candidate.profile;
            let name_differs = |title: &String| comparable_title(title) != comparable_title(name.as_str());
            // Nobody can choose the title of the primary profile.
            let title_differs = !is_primary && at_ayrshare.title.as_ref().is_some_and(name_differs);
            let is_known = at_ayrshare != AyrshareProfile::default();
            is_known.then(|| IdentifiedProfile { profile: name.clone(), at_ayrshare, title_differs })
        };
        self.configured.iter().zip(matches).filter_map(identify).collect()
    }

    fn matches(&self) -> Matches {
        let by_ref_id: HashMap<_, _> = self.listed.iter().enumerate().filter_map(by_ref_id).collect();
        let mut configured: Vec<_> = self
            .configured
            .iter()
            .map(|candidate| match &candidate.profile.ref_id {
                Some(ref_id) => by_ref_id.get(ref_id.as_str()).map_or(Match::NotListed, |index| Match::RefId(*index)),
                None => Match::Unidentified,
            })
            .collect();
        let mut is_watched = vec![false; self.listed.len()];
        for found in &configured {
            if let Match::RefId(index) = found {
                is_watched[*index] = true;
            }
        }
        self.match_titles(&mut configured, &mut is_watched);
        for (candidate, found) in self.configured.iter().zip(&mut configured) {
            if candidate.profile.is_primary && *found == Match::Unidentified {
                *found = Match::NotListed;
            }
        }
        let is_ignored = |profile: &AyrshareProfile| {
            let title = profile.title.as_deref();
            title.is_some_and(|title| self.rules.ignore.is_match(&*nfc(title)))
        };
        let is_left_over = |index: &usize| !is_watched[*index] && !is_ignored(&self.listed[*index]);
        let left_over = (0..self.listed.len()).filter(is_left_over).collect();
        Matches { configured, left_over }
    }

    /// Matches what no `refId` has matched by title.
    fn match_titles(&self, configured: &mut [Match], is_watched: &mut [bool]) {
        let mut titled: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, profile) in self.listed.iter().enumerate().filter(|(index, _)| !is_watched[*index]) {
            if let Some(title) = &profile.title {
                titled.entry(comparable_title(title)).or_default().push(index);
            }
        }
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, candidate) in self.configured.iter().enumerate() {
            if matches!(configured[index], Match::RefId(_)) {
                continue;
            }
            let name = comparable_title(candidate.profile.name.as_str());
            let is_listed_as_primary = candidate.profile.is_primary && !titled.contains_key(&name);
            named.entry(if is_listed_as_primary { PRIMARY_TITLE.to_owned() } else { name }).or_default().push(index);
        }
        for (title, names) in named {
            let Some(mut listed) = titled.remove(&title) else { continue };
            let (known, unknown): (Vec<_>, Vec<_>) =
                names.into_iter().partition(|index| configured[*index] == Match::NotListed);
            // A profile whose `refId` is known can only be a listed one that has none.
            for name in known {
                if let Some(at) = listed.iter().position(|index| self.listed[*index].ref_id.is_none()) {
                    let index = listed.remove(at);
                    configured[name] = Match::Title(index);
                    is_watched[index] = true;
                }
            }
            if listed.len() <= unknown.len() {
                for (name, index) in unknown.into_iter().zip(listed) {
                    configured[name] = Match::Title(index);
                    is_watched[index] = true;
                }
            }
        }
    }
}

fn by_ref_id((index, profile): (usize, &AyrshareProfile)) -> Option<(&str, usize)> {
    Some((profile.ref_id.as_deref()?, index))
}

#[cfg(test)]
mod tests {
    use globset::{Glob, GlobSetBuilder};

    use super::*;

    fn configured(profiles: &[(&str, Option<&str>)]) -> Vec<ConfiguredProfile> {
        let profile = |(name, ref_id): &(&str, Option<&str>)| ConfiguredProfile {
            name: ProfileName::new(name),
            is_primary: *name == "Head office",
            ref_id: ref_id.map(ToOwned::to_owned),
        };
        profiles.iter().map(profile).collect()
    }

    fn listed(profiles: &[(&str, &str)]) -> Vec<AyrshareProfile> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        profiles.iter().map(|(title, ref_id)| AyrshareProfile { title: some(title), ref_id: some(ref_id) }).collect()
    }

    /// Compares until there is nothing left to ask. `users` is what Ayrshare knows of the keys; it says nothing of others.
    fn compare(
        of_configuration: &[(&str, Option<&str>)],
        of_account: &[(&str, &str)],
        users: &[(&str, &str, &str)],
        ignore: &[&str],
    ) -> (Discovery, Vec<String>) {
        let mut globs = GlobSetBuilder::new();
        for glob in ignore {
            globs.add(Glob::new(&nfc(glob)).expect("a glob"));
        }
        let ignore = globs.build().expect("globs");
        let rules = DiscoveryRules { ignore: &ignore, identifies_all: false };
        let mut comparison = Comparison::new(listed(of_account), configured(of_configuration), rules);
        let mut asked = Vec::new();
        loop {
            let to_ask = comparison.to_ask();
            if to_ask.is_empty() {
                return (comparison.finish(), asked);
            }
            for index in to_ask {
                let name = of_configuration[index].0;
                assert!(!asked.contains(&name.to_owned()), "asked twice about {name}");
                asked.push(name.to_owned());
                let user = users.iter().find(|(user, ..)| *user == name);
                comparison.learn(index, user.map(|(_, title, ref_id)| listed(&[(title, ref_id)]).remove(0)));
            }
        }
    }

    /// Checks which profiles are unwatched (`None`: it is not known), and about which ones Ayrshare is asked.
    #[track_caller]
    fn check(
        of_configuration: &[(&str, Option<&str>)],
        of_account: &[(&str, &str)],
        users: &[(&str, &str, &str)],
        expected: Option<&[(&str, &str)]>,
        expected_asked: &[&str],
    ) {
        let (discovery, asked) = compare(of_configuration, of_account, users, &[]);
        let status = if expected.is_some() { DiscoveryStatus::Ok } else { DiscoveryStatus::Unavailable };
        assert_eq!(discovery.status, status, "{discovery:?}");
        assert_eq!(discovery.unwatched.to_vec(), listed(expected.unwrap_or_default()));
        assert_eq!(asked, expected_asked);
    }

    #[test]
    fn a_ref_id_decides_whatever_the_title_is() {
        let known = [("Acme", Some("r1")), ("Birch", Some("r2"))];
        check(&known, &[("Acme GmbH", "r1"), ("Birch", "r2")], &[], Some(&[]), &[]);
        check(&known, &[("Acme", "r3"), ("Acme GmbH", "r1"), ("", "r2")], &[], Some(&[("Acme", "r3")]), &[]);
    }

    #[test]
    fn names_stand_for_titles_while_nothing_is_left_over() {
        check(&[("Acme", None), ("Cafe\u{301} ", None)], &[("Caf\u{e9}", "r1"), (" Acme", "r2")], &[], Some(&[]), &[]);
        check(&[("Acme", None)], &[("Acme", "")], &[], Some(&[]), &[]);
        check(&[("Acme", Some("r1"))], &[("Acme", "")], &[], Some(&[]), &[]);
        check(&[("Acme", None)], &[], &[], Some(&[]), &[]);
    }

    #[test]
    fn a_name_that_is_the_title_of_another_profile_is_found_out() {
        let account = [("Acme", "r2"), ("Acme GmbH", "r1")];
        check(&[("Acme", None)], &account, &[("Acme", "Acme GmbH", "r1")], Some(&[("Acme", "r2")]), &["Acme"]);
        // Ayrshare does not say, so the title has to do.
        check(&[("Acme", None)], &account, &[], Some(&[("Acme GmbH", "r1")]), &["Acme"]);
    }

    #[test]
    fn only_those_without_a_title_are_asked_about_first() {
        let configured = [("Acme", None), ("Client 7", None), ("Birch", Some("r3"))];
        let account = [("Acme", "r1"), ("Seven", "r2"), ("Birch", "r3")];
        check(&configured, &account, &[("Client 7", "Seven", "r2")], Some(&[]), &["Client 7"]);
    }

    #[test]
    fn nothing_is_claimed_while_a_configured_profile_may_be_the_one() {
        let configured = [("Acme", Some("r1")), ("Client 7", None)];
        check(&configured, &[("Acme", "r1"), ("Seven", "r2")], &[], None, &["Client 7"]);
        check(&configured, &[("Acme", "r1")], &[], Some(&[]), &[]);
        // The `refId` of one that is not in the list is known: it is none of the others.
        let users = [("Client 7", "", "r9")];
        check(&configured, &[("Acme", "r1"), ("Seven", "r2")], &users, Some(&[("Seven", "r2")]), &["Client 7"]);
    }

    #[test]
    fn titles_that_repeat_identify_nobody_unless_all_are_configured() {
        let account = [("Acme", "r1"), ("Acme", "r2")];
        check(&[("Acme", None)], &account, &[], None, &["Acme"]);
        check(&[("Acme", None)], &account, &[("Acme", "Acme", "r2")], Some(&[("Acme", "r1")]), &["Acme"]);
        check(&[("Acme", None), ("Acme ", None)], &account, &[], Some(&[]), &[]);
        // The primary profile has a name of its own, which is also the title of the profile of a client.
        check(
            &[("Head office", None)],
            &[("Head office", "r1"), ("Primary Profile", "r0")],
            &[],
            Some(&[("Primary Profile", "r0")]),
            &["Head office"],
        );
        check(&[], &[("Acme", "r1"), ("Acme", "r1"), ("", "")], &[], Some(&[("Acme", "r1")]), &[]);
    }

    #[test]
    fn the_primary_profile_may_be_listed_or_not() {
        let office = [("Head office", None)];
        check(&office, &[], &[], Some(&[]), &[]);
        check(&office, &[("Acme", "r1")], &[], Some(&[("Acme", "r1")]), &["Head office"]);
        check(&office, &[("Acme", "r1")], &[("Head office", "Primary Profile", "r1")], Some(&[]), &["Head office"]);
        check(&office, &[("Primary Profile", "r1")], &[], Some(&[]), &["Head office"]);
        // A client's profile may have the name of the primary one.
        let users = [("Head office", "Primary Profile", "r0")];
        check(&office, &[("Head office", "r1")], &users, Some(&[("Head office", "r1")]), &["Head office"]);
    }

    #[test]
    fn ignored_titles_are_neither_named_nor_asked_about() {
        let account = [("Sandbox 1", "r1"), ("Cafe\u{301} test", "r2"), ("", "r3")];
        let (discovery, asked) = compare(&[("Client 7", Some("r3"))], &account, &[], &["Sandbox *", "Caf\u{e9}*"]);
        assert_eq!((discovery.status, discovery.unwatched.len(), asked.len()), (DiscoveryStatus::Ok, 0, 0));
        let (discovery, _) = compare(&[], &account, &[], &["*"]);
        assert_eq!(discovery.unwatched.to_vec(), listed(&[("", "r3")]), "a profile without a title matches no glob");
    }

    #[test]
    fn a_check_identifies_everybody() {
        let rules = DiscoveryRules { ignore: &GlobSet::empty(), identifies_all: true };
        let profiles = configured(&[("Head office", None), ("Acme", Some("r1")), ("Birch", None), ("Client 7", None)]);
        let mut comparison = Comparison::new(listed(&[("Acme GmbH", "r1"), ("Birch", "r2")]), profiles, rules);
        assert_eq!(comparison.to_ask(), [0, 2, 3]);
        comparison.learn(0, listed(&[("Primary Profile", "r0")]).pop());
        comparison.learn(2, listed(&[("Birch", "r2")]).pop());
        comparison.learn(3, None);
        assert!(comparison.to_ask().is_empty());
        let discovery = comparison.finish();
        let identified: Vec<_> = discovery
            .identified
            .iter()
            .map(|one| (one.profile.as_str(), one.at_ayrshare.label(), one.title_differs))
            .collect();
        assert_eq!(
            identified,
            [
                ("Head office", "Primary Profile".to_owned(), false),
                ("Acme", "Acme GmbH".to_owned(), true),
                ("Birch", "Birch".to_owned(), false)
            ]
        );
        assert_eq!((discovery.status, discovery.unwatched.len()), (DiscoveryStatus::Ok, 0));
    }

    #[test]
    fn a_check_names_those_that_it_has_identified_even_if_another_one_is_unknown() {
        let rules = DiscoveryRules { ignore: &GlobSet::empty(), identifies_all: true };
        let profiles = configured(&[("Acme", Some("r1")), ("Client 7", None)]);
        let mut comparison = Comparison::new(listed(&[("Acme", "r1"), ("Seven", "r2")]), profiles, rules);
        comparison.learn(1, None);
        let discovery = comparison.finish();
        assert_eq!((discovery.status, discovery.identified.len()), (DiscoveryStatus::Unavailable, 1));
    }

    #[test]
    fn thousands_of_names_are_not_verified() {
        let names: Vec<_> = (0..=MAX_VERIFIED).map(|number| format!("Client {number}")).collect();
        let profiles: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        let mut account: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        account.push(("Birch", "r"));
        let (discovery, asked) = compare(&profiles, &account, &[], &[]);
        assert_eq!((discovery.unwatched.to_vec(), asked.len()), (listed(&[("Birch", "r")]), 0));
    }
}
