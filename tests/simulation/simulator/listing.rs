//! The list of `[profiles_from]`: some of the profiles come from it, and it cannot be read at times.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::world::{chance, profile_name};

/// How failures of the whole list are announced.
pub const LIST_NAME: &str = "profiles_from";

/// The list, and what the process knows of it.
#[derive(Clone, Debug)]
pub struct ProfileList {
    /// What the list contains.
    content: Content,
    /// For how many more events an account is missing from it.
    absent_for: BTreeMap<usize, u8>,
    pub is_readable: bool,
    /// What the process has read at last.
    known: Option<Content>,
}

#[derive(Clone, Debug)]
struct Content {
    accounts: BTreeSet<usize>,
    /// The names of the entries that cannot be used. The name may be that of another profile.
    invalid: BTreeSet<String>,
}

impl ProfileList {
    /// Creates a list of these accounts.
    pub fn new(accounts: BTreeSet<usize>) -> Self {
        let content = Content { accounts, invalid: BTreeSet::new() };
        Self { content, absent_for: BTreeMap::new(), is_readable: true, known: None }
    }

    /// Accounts and invalid entries come and go, and the list begins to fail or recovers. A new process has read no list.
    pub fn advance(&mut self, rng: &mut Rng, is_new_process: bool) {
        let back: Vec<_> = self
            .absent_for
            .extract_if(.., |_, events| {
                *events -= 1;
                *events == 0
            })
            .map(|(account, _)| account)
            .collect();
        self.content.accounts.extend(back);
        if let Some(account) = rng.choice(&self.content.accounts).copied().filter(|_| chance(rng, 4)) {
            self.content.accounts.remove(&account);
            self.absent_for.insert(account, rng.u8(1..8));
        }
        if chance(rng, 10) {
            let name = (*rng.choice(&["Profile 0", "A broken entry"]).expect("two names")).to_owned();
            if !self.content.invalid.remove(&name) {
                self.content.invalid.insert(name);
            }
        }
        self.is_readable = if self.is_readable { !chance(rng, 6) } else { chance(rng, 40) };
        if is_new_process {
            self.known = None;
        }
        if self.is_readable {
            self.known = Some(self.content.clone());
        }
    }

    /// The document at the URL of the list.
    pub fn document(&self) -> String {
        if !self.is_readable {
            return "[".to_owned();
        }
        let entry = |name: &str, key: &str| format!(r#"{{"name": "{name}", "key": "{key}"}}"#);
        let accounts = self.content.accounts.iter().map(|index| entry(&profile_name(*index), &format!("K{index}")));
        // Either the name is taken, or the blank key is invalid.
        let invalid = self.content.invalid.iter().map(|name| entry(name, " "));
        format!("[{}]", accounts.chain(invalid).collect::<Vec<_>>().join(","))
    }

    /// Whether the process knows that the list contains an account.
    pub fn contains(&self, account: usize) -> bool {
        self.known.as_ref().is_some_and(|known| known.accounts.contains(&account))
    }

    /// Whether a run can serve profiles of the list.
    pub fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The names of the entries that the process knows to be invalid.
    pub fn invalid(&self) -> impl Iterator<Item = &String> {
        self.known.iter().flat_map(|known| &known.invalid)
    }
}
