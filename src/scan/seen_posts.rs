//! Which scheduled posts were read. This distinguishes a post that is safe again from one that was published or deleted. Pure.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use crate::model::ProfileName;
use crate::scan::used_files::HASHER;

/// The scheduled posts that were read, and whether all that matters about their media is known.
///
/// A run may read hundreds of thousands of posts, so it holds hashes.
#[derive(Clone, Debug, Default)]
pub struct SeenPosts(HashMap<u64, bool>);

/// What is known about a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostState {
    /// It is scheduled, and the availability of each of its files is known.
    Known,
    /// It is scheduled, but the availability of some of its files is unknown.
    Unknown,
    /// It is not scheduled: it was published or deleted.
    NotScheduled,
}

impl SeenPosts {
    /// Adds a post of a profile. If two posts share an identity, their state is known only if that of both is.
    pub fn add(&mut self, profile: &ProfileName, identity: &str, is_known: bool) {
        *self.0.entry(HASHER.hash_one((profile, identity))).or_insert(true) &= is_known;
    }

    /// Returns the state of a post of a profile. `NotScheduled` is certain only if all posts of the profile were read.
    #[must_use]
    pub fn state(&self, profile: &ProfileName, identity: &str) -> PostState {
        match self.0.get(&HASHER.hash_one((profile, identity))) {
            Some(true) => PostState::Known,
            Some(false) => PostState::Unknown,
            None => PostState::NotScheduled,
        }
    }
}
