//! Copying files into the store before they are gone: which ones, in which order, and in how much time.
//!
//! A file whose copy is there already, with the same size, is not copied again. So whatever a run has no time for, or a
//! process that is killed leaves undone, is done by the next run. A file that cannot be copied is named with the reason.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::download::{CopyFailure, Downloads};
use crate::config::RescueFiles;
use crate::model::text::thousands;
use crate::model::{Copies, FailedCopy, Item, KeptCopy, ProfileName, State};
use crate::net::Deadline;
use crate::scan::survey::Survey;
use crate::store::copies::copy_key;
use crate::store::{Store, StoreError};

/// How many files are copied at the same time. Each has a part of an upload in memory.
const MAX_AT_ONCE: usize = 3;
/// How many copies are looked for at the same time.
const MAX_LOOKUPS: usize = 16;
/// After this many failures of the store, the run stops copying.
const MAX_STORE_FAILURES: usize = 3;
/// How many failures are written to the log one by one.
const MAX_LOGGED: usize = 20;

/// Whether a run makes copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// It only finds out which copies there are.
    Find,
    /// It makes those that are missing.
    Make,
}

/// Copies files into a store.
#[derive(Clone, Copy)]
pub struct Rescue<'a> {
    /// Where the files are read.
    pub downloads: Downloads<'a>,
    /// Where the copies are kept.
    pub store: &'a Store,
    /// Receives the progress of copying.
    pub on_progress: &'a (dyn Fn(CopyProgress<'_>) + Sync),
}

/// A step in the progress of copying.
#[derive(Clone, Copy, Debug)]
pub enum CopyProgress<'p> {
    /// Copying begins. Sent once, before all other steps.
    Planned {
        /// The number of files, without those that have a copy already.
        files: usize,
        /// The sum of the sizes that their galleries list.
        bytes: u64,
    },
    /// A file is being copied.
    Started {
        /// Its index among the files that are copied. It is the same in all steps.
        index: usize,
        /// The file.
        item: &'p Item,
        /// Its size.
        bytes: u64,
    },
    /// More bytes of a file were copied.
    Advanced {
        /// Its index.
        index: usize,
        /// How many.
        bytes: u64,
    },
    /// A file was copied, or could not be copied. Files that were never started get this step, too.
    Ended {
        /// Its index.
        index: usize,
        /// The file.
        item: &'p Item,
        /// Why it was not copied, if it was not.
        failure: Option<&'p CopyFailure>,
    },
}

/// Selects the files to copy, the most urgent first: those that a post will lack, then by expiry.
#[must_use]
pub fn files_to_copy(survey: &Survey, files: &RescueFiles) -> Vec<Arc<Item>> {
    let of_items = |item: &&Arc<Item>| match files {
        RescueFiles::OfPosts => false,
        RescueFiles::Expiring(within) => item.remaining(survey.now).is_some_and(|left| within.is_entered(left)),
        RescueFiles::All => true,
    };
    let posts = survey.posts_by_media();
    let mut found: Vec<_> = survey.items.iter().filter(of_items).chain(&survey.to_copy).cloned().collect();
    let urgency = |item: &Arc<Item>| {
        let expiry = item.media.expires_at.unwrap_or(Timestamp::MAX);
        // An expired file cannot be copied any more. It may have an earlier copy.
        (item.state == State::Expired, posts.of(item).is_empty(), expiry)
    };
    found.sort_by_key(urgency);
    found
}

/// A file to copy, with all its listings.
struct Job<'i> {
    key: String,
    /// The profile in the key.
    owner: &'i ProfileName,
    /// The same file may be listed in several galleries, and it may be in several posts.
    items: Vec<&'i Arc<Item>>,
}

impl Job<'_> {
    fn item(&self) -> &Item {
        self.items[0]
    }

    fn is_expired(&self) -> bool {
        self.items.iter().all(|item| item.state == State::Expired)
    }
}

/// Groups the listings of the same file.
///
/// The key has the first profile by name, and not the most urgent one, so that it is the same in each run.
fn jobs(files: &[Arc<Item>]) -> Vec<Job<'_>> {
    let mut leaders: HashMap<_, &Arc<Item>> = HashMap::new();
    for item in files {
        let Some(source) = source(item) else { continue };
        let leader = leaders.entry(source).or_insert(item);
        let rank = |item: &'_ Arc<Item>| (item.profile.clone(), item.media.identity().to_owned());
        if rank(item) < rank(leader) {
            *leader = item;
        }
    }
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut by_key = HashMap::new();
    for item in files {
        let leader = source(item).and_then(|source| leaders.get(&source).copied()).unwrap_or(item);
        let key = copy_key(&leader.profile, &leader.media);
        let index = *by_key.entry(key.clone()).or_insert_with(|| {
            jobs.push(Job { key, owner: &leader.profile, items: Vec::new() });
            jobs.len() - 1
        });
        jobs[index].items.push(item);
    }
    jobs
}

/// What the same file has in common in all galleries that list it.
fn source(item: &Item) -> Option<(&str, Option<u64>)> {
    Some((item.media.url.as_deref()?, item.media.size_bytes))
}

/// Counts the failures of the store, so that a run stops copying when the store is unavailable.
#[derive(Default)]
struct StoreFailures(AtomicUsize);

impl StoreFailures {
    fn are_too_many(&self) -> bool {
        MAX_STORE_FAILURES <= self.0.load(Ordering::Relaxed)
    }

    fn note(&self, failure: &CopyFailure) {
        if matches!(failure, CopyFailure::Store(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Rescue<'_> {
    /// Copies files in this order until the deadline, or only finds out which of them have a copy.
    pub async fn copy(&self, files: &[Arc<Item>], mode: CopyMode, until: Deadline) -> Copies {
        let jobs = jobs(files);
        let store_failures = StoreFailures::default();
        let mut copies = Copies::on();
        // Even with very many copies, checking all of them must leave time to make one.
        let found = self.find_all(&jobs, &store_failures, until.within(until.remaining() / 2)).await;
        let mut missing = Vec::new();
        for (job, found) in jobs.iter().zip(found) {
            match found {
                Ok(Some(size)) => keep(&mut copies, job, size, false),
                Ok(None) if mode == CopyMode::Make && !job.is_expired() => missing.push(job),
                Ok(None) => {}
                Err(failure) if mode == CopyMode::Make => fail(&mut copies, job, &failure),
                Err(failure) => tracing::debug!("a copy cannot be looked up: {failure:?}"),
            }
        }
        if mode == CopyMode::Make {
            for (job, outcome) in self.make_all(missing, &store_failures, until).await {
                match outcome {
                    Ok(size) => keep(&mut copies, job, size, true),
                    Err(failure) => fail(&mut copies, job, &failure),
                }
            }
            self.store.delete_abandoned_uploads();
            log(&copies);
        }
        copies
    }

    async fn find_all(
        &self,
        jobs: &[Job<'_>],
        store_failures: &StoreFailures,
        until: Deadline,
    ) -> Vec<Result<Option<u64>, CopyFailure>> {
        let find = async |job: &Job<'_>| {
            if store_failures.are_too_many() {
                return Err(CopyFailure::OutOfTime);
            }
            self.find(job, until).await.inspect_err(|failure| store_failures.note(failure))
        };
        stream::iter(jobs).map(find).buffered(MAX_LOOKUPS).collect().await
    }

    /// Makes copies. They begin in order, so that only the least urgent files are left if the time runs out. A large file does
    /// not delay those after it.
    async fn make_all<'j, 'i>(
        &self,
        missing: Vec<&'j Job<'i>>,
        store_failures: &StoreFailures,
        until: Deadline,
    ) -> Vec<(&'j Job<'i>, Result<u64, CopyFailure>)> {
        let sizes = missing.iter().filter_map(|job| job.item().media.size_bytes);
        let bytes = sizes.fold(0, u64::saturating_add);
        let files = missing.len();
        (self.on_progress)(CopyProgress::Planned { files, bytes });
        let make = async |(index, job): (usize, &'j Job<'i>)| {
            let outcome = if store_failures.are_too_many() || until.remaining().is_zero() {
                Err(CopyFailure::OutOfTime)
            } else {
                // While others wait, a slow file gets half of the time, so that files that never end in time do not keep
                // the others from being copied.
                let others_wait = index + MAX_AT_ONCE < files;
                let until = if others_wait { until.within(until.remaining() / 2) } else { until };
                self.make(job, index, until).await.inspect_err(|failure| store_failures.note(failure))
            };
            (self.on_progress)(CopyProgress::Ended { index, item: job.item(), failure: outcome.as_ref().err() });
            (index, job, outcome)
        };
        let outcomes = stream::iter(missing.into_iter().enumerate()).map(make).buffer_unordered(MAX_AT_ONCE);
        let mut outcomes: Vec<_> = outcomes.collect().await;
        outcomes.sort_by_key(|(index, _, _)| *index);
        outcomes.into_iter().map(|(_, job, outcome)| (job, outcome)).collect()
    }

    /// The size of the copy of a file, if there is one with the size that the gallery lists.
    async fn find(&self, job: &Job<'_>, until: Deadline) -> Result<Option<u64>, CopyFailure> {
        let found = until.bound(self.store.size(&job.key, until)).await.ok_or(CopyFailure::OutOfTime)??;
        let listed = job.item().media.size_bytes;
        Ok(found.filter(|size| listed.is_none_or(|listed| listed == *size)))
    }

    async fn make(&self, job: &Job<'_>, index: usize, until: Deadline) -> Result<u64, CopyFailure> {
        let mut download = self.downloads.open(&job.item().media, until).await?;
        let size = download.size_bytes;
        (self.on_progress)(CopyProgress::Started { index, item: job.item(), bytes: size });
        let mut upload = self.store.upload(&job.key, &download.content_type, size)?;
        let copied = async {
            while let Some(piece) = download.next_piece(until).await? {
                upload.write(&piece, until).await.map_err(|error| out_of_time_or(error, until))?;
                (self.on_progress)(CopyProgress::Advanced { index, bytes: piece.len() as u64 });
                // With a fast host and a fast store, no `await` ever waits. The other tasks of the run must get their turn.
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        match copied.await {
            Ok(()) => upload.finish(until).await.map_err(|error| out_of_time_or(error, until)).map(|()| size),
            Err(failure) => {
                upload.abort().await;
                Err(failure)
            }
        }
    }
}

/// A request that ended at the deadline does not count as a failure of the store.
fn out_of_time_or(error: StoreError, until: Deadline) -> CopyFailure {
    if until.remaining().is_zero() { CopyFailure::OutOfTime } else { CopyFailure::Store(error) }
}

fn keep(copies: &mut Copies, job: &Job<'_>, size: u64, is_new: bool) {
    let copy = Arc::new(KeptCopy::new(job.owner.clone(), job.key.clone(), size, is_new));
    for item in &job.items {
        copies.add(item.profile.clone(), item.media.identity().to_owned(), Arc::clone(&copy));
    }
}

fn fail(copies: &mut Copies, job: &Job<'_>, failure: &CopyFailure) {
    let (reason, is_too_large) = match failure {
        CopyFailure::OutOfTime => {
            for item in unique(&job.items) {
                copies.add_waiting(item.profile.clone());
            }
            return;
        }
        CopyFailure::TooLarge(size) => {
            let size = thousands(i64::try_from(*size).unwrap_or(i64::MAX));
            (format!("its {size} bytes are more than rescue.max_file_size allows"), true)
        }
        CopyFailure::Unreadable { reason, .. } => (reason.clone(), false),
        CopyFailure::Store(error) => (error.to_string(), false),
    };
    copies.failed.extend(unique(&job.items).map(|item| FailedCopy {
        profile: item.profile.clone(),
        id: item.media.id.clone(),
        file_name: item.label(),
        reason: reason.clone(),
        is_too_large,
    }));
}

/// Returns the listings of a file without duplicates. A file that several posts will lack has the same listing several times.
fn unique<'j, 'i>(items: &'j [&'i Arc<Item>]) -> impl Iterator<Item = &'i Item> + 'j {
    let is_first = |(index, item): &(usize, &&Arc<Item>)| {
        let identity = |item: &Item| (item.profile.clone(), item.media.identity().to_owned());
        !items[..*index].iter().any(|before| identity(before) == identity(item))
    };
    items.iter().enumerate().filter(is_first).map(|(_, item)| &***item)
}

fn log(copies: &Copies) {
    for failed in copies.failed.iter().take(MAX_LOGGED) {
        let FailedCopy { profile, file_name, reason, .. } = failed;
        tracing::warn!(profile = profile.as_str(), file_name, "a file is not copied: {reason}");
    }
    tracing::info!(
        made = copies.made(),
        kept = copies.kept(),
        failed = copies.failed.len(),
        waiting = copies.waiting(),
        "copied files into the store"
    );
}
