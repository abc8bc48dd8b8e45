//! Copying files into the store before they are gone: which ones, in which order, and in how much time.
//!
//! A file whose copy is there already, with the same size, is not copied again. So whatever a run has no time for, or a
//! process that is killed leaves undone, is done by the next run. A file that cannot be copied is named with the reason.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::download::{CopyFailure, Downloads};
use crate::config::RescueFiles;
use crate::model::text::thousands;
use crate::model::{Copies, FailedCopy, Item, KeptCopy, State};
use crate::net::Deadline;
use crate::scan::survey::Survey;
use crate::store::copies::copy_key;
use crate::store::{Store, StoreError};

/// How many files are copied at the same time. Each has a part of an upload in memory.
const MAX_AT_ONCE: usize = 3;
/// How many copies are looked for at the same time.
const MAX_LOOKUPS: usize = 16;
/// How many files a run copies, and knows copies of. Their names must fit into its memory beside everything else.
const MAX_FILES: usize = 100_000;
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

/// A listing of a file, with the place of the file in the order of urgency.
type ListedItem<'i> = (usize, &'i Item);

/// A file to copy. There may be hundreds of thousands, so it is small.
struct Job<'l> {
    /// Where it is listed: in several galleries, or once for each post that lacks it. The key has the first profile by name,
    /// and not the most urgent one, so that it is the same in each run.
    listings: &'l [ListedItem<'l>],
    /// Whether its gallery lists a more urgent file with the same id.
    has_twin: bool,
}

impl<'l> Job<'l> {
    fn item(&self) -> &'l Item {
        self.listings[0].1
    }

    fn key(&self) -> String {
        copy_key(&self.item().profile, &self.item().media)
    }

    fn is_expired(&self) -> bool {
        self.listings.iter().all(|(_, item)| item.state == State::Expired)
    }

    /// The file in each gallery that lists it.
    fn items(&self) -> impl Iterator<Item = &'l Item> {
        self.listings.chunk_by(|(_, item), (_, next)| identity(item) == identity(next)).map(|listings| listings[0].1)
    }
}

/// Groups the listings of the same file, so that they stand together.
fn listings(files: &[Arc<Item>]) -> Vec<ListedItem<'_>> {
    let mut listings: Vec<_> = files.iter().map(Arc::as_ref).enumerate().collect();
    listings.sort_unstable_by_key(|(place, item)| (source(item), identity(item), *place));
    listings
}

/// The files to copy, the most urgent first.
fn jobs<'l>(listings: &'l [ListedItem<'l>]) -> Vec<Job<'l>> {
    let same_file = listings.chunk_by(|(_, item), (_, next)| source(item) == source(next));
    let mut jobs: Vec<_> = same_file.map(|listings| Job { listings, has_twin: false }).collect();
    jobs.sort_unstable_by_key(|job| job.listings.iter().map(|(place, _)| *place).min());
    let mut seen = HashSet::with_capacity(jobs.len());
    for job in &mut jobs {
        job.has_twin = !seen.insert(identity(job.item()));
    }
    jobs
}

/// What all listings of a file have in common. A file without a URL has only one.
fn source(item: &Item) -> Result<(&str, Option<u64>), (&str, &str)> {
    item.media.url.as_deref().map(|url| (url, item.media.size_bytes)).ok_or_else(|| identity(item))
}

fn identity(item: &Item) -> (&str, &str) {
    (item.profile.as_str(), item.media.identity())
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
        let listings = listings(files);
        let jobs = jobs(&listings);
        let (jobs, too_many) = jobs.split_at(jobs.len().min(MAX_FILES));
        let store_failures = StoreFailures::default();
        let mut copies = Copies::on();
        for job in too_many.iter().filter(|job| mode == CopyMode::Make && !job.is_expired()) {
            fail(&mut copies, job, &CopyFailure::OutOfTime);
        }
        // Even with very many copies, checking all of them must leave time to make one.
        let find_until = until.within(until.remaining() / 2);
        let find = async |job| (job, self.find(job, &store_failures, find_until).await);
        let mut found = pin!(stream::iter(jobs).map(find).buffered(MAX_LOOKUPS));
        let mut missing = Vec::new();
        while let Some((job, found)) = found.next().await {
            match found {
                Ok(Some(size)) => keep(&mut copies, job, size, false),
                Ok(None) | Err(CopyFailure::SameId) if mode == CopyMode::Find || job.is_expired() => {}
                Ok(None) => missing.push(job),
                Err(failure) if mode == CopyMode::Make && !job.is_expired() => fail(&mut copies, job, &failure),
                Err(failure) => {
                    copies.is_incomplete = true;
                    tracing::debug!("a copy cannot be looked up: {failure:?}");
                }
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

    /// The size of the copy of a file, if there is one with the size that the gallery lists.
    async fn find(
        &self,
        job: &Job<'_>,
        store_failures: &StoreFailures,
        until: Deadline,
    ) -> Result<Option<u64>, CopyFailure> {
        if job.has_twin {
            return Err(CopyFailure::SameId);
        }
        if store_failures.are_too_many() {
            return Err(CopyFailure::OutOfTime);
        }
        let found = until.bound(self.store.size(&job.key(), until)).await.ok_or(CopyFailure::OutOfTime)?;
        let found = found.map_err(|error| out_of_time_or(error, until));
        let found = found.inspect_err(|failure| store_failures.note(failure))?;
        let listed = job.item().media.size_bytes;
        Ok(found.filter(|size| listed.is_none_or(|listed| listed == *size)))
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
                let made = self.make(job, index, until).await.inspect_err(|failure| store_failures.note(failure));
                match made {
                    // The first files had all the time that there is. The next run will hardly do better.
                    Err(CopyFailure::OutOfTime) if index < MAX_AT_ONCE => Err(CopyFailure::TooSlow),
                    made => made,
                }
            };
            (self.on_progress)(CopyProgress::Ended { index, item: job.item(), failure: outcome.as_ref().err() });
            (index, job, outcome)
        };
        let outcomes = stream::iter(missing.into_iter().enumerate()).map(make).buffer_unordered(MAX_AT_ONCE);
        let mut outcomes: Vec<_> = outcomes.collect().await;
        outcomes.sort_by_key(|(index, _, _)| *index);
        outcomes.into_iter().map(|(_, job, outcome)| (job, outcome)).collect()
    }

    async fn make(&self, job: &Job<'_>, index: usize, until: Deadline) -> Result<u64, CopyFailure> {
        let mut download = self.downloads.open(&job.item().media, until).await?;
        let size = download.size_bytes;
        (self.on_progress)(CopyProgress::Started { index, item: job.item(), bytes: size });
        let mut upload = self.store.upload(&job.key(), &download.content_type, size)?;
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
    let copy = Arc::new(KeptCopy::new(job.item().profile.clone(), job.key(), size, is_new));
    for item in job.items() {
        copies.add(item.profile.clone(), item.media.identity(), Arc::clone(&copy));
    }
}

fn fail(copies: &mut Copies, job: &Job<'_>, failure: &CopyFailure) {
    let (reason, is_too_large) = match failure {
        CopyFailure::OutOfTime => {
            for item in job.items() {
                copies.add_waiting(item.profile.clone());
            }
            return;
        }
        CopyFailure::TooLarge(size) => {
            let size = thousands(i64::try_from(*size).unwrap_or(i64::MAX));
            (format!("its {size} bytes are more than rescue.max_file_size allows"), true)
        }
        CopyFailure::TooSlow => ("it could not be read to its end in the time of a run".to_owned(), false),
        CopyFailure::SameId => ("its gallery lists another file with the same id".to_owned(), false),
        CopyFailure::Unreadable { reason, .. } => (reason.clone(), false),
        CopyFailure::Store(error) => (error.to_string(), false),
    };
    copies.failed.extend(job.items().map(|item| FailedCopy {
        profile: item.profile.clone(),
        id: item.media.id.clone(),
        file_name: item.label(),
        reason: reason.clone(),
        is_too_large,
    }));
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
