//! The format of a snapshot in the store.
//!
//! A snapshot is a manifest and the parts that it names. A part is compressed JSON, one line for each profile, item, post and
//! URL, so that neither writing nor reading holds more than one part in memory. The manifest is written last and replaces
//! the one before, so a snapshot that was not written to its end is never seen. It has the length and the hash of each part.
//!
//! Whatever does not match is a snapshot that cannot be used, and never a snapshot with less in it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::iter::{self, Peekable};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError};
use crate::config::Config;
use crate::model::text::json;
use crate::model::{Item, KeptCopy, MediaAtRisk, PostAtRisk, ProfileName, Threshold, UnverifiedUrl};
use crate::net::Deadline;
use crate::scan::survey::{Survey, SurveyedProfile};

/// The end of the key of a part.
pub(super) const PART_SUFFIX: &str = ".jsonl.gz";
/// The folder of the store that everything about snapshots is in.
const FOLDER: &str = "snapshots";
/// The key of the manifest.
const MANIFEST: &str = "snapshots/latest.json";
/// What a manifest says it is.
const FORMAT: &str = "media-expiry-alerts snapshot";
/// It changes when an older program could misread a snapshot. A snapshot that lacks a field is rejected in any case.
const VERSION: u32 = 1;
/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: usize = 1024 * 1024;
/// A part ends with the line that reaches this many bytes before compression.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// The largest part before compression. It is larger than [`PART_BYTES`], because the last line of a part may be long.
const MAX_PART_BYTES: usize = 2 * PART_BYTES;
/// The largest part that is read. Text that does not compress grows a little.
const MAX_COMPRESSED_BYTES: usize = PART_BYTES + PART_BYTES / 4;
/// The most parts of a snapshot: about 700,000 items.
const MAX_PARTS: usize = 32;
/// The age at which the remains of an earlier run are deleted, in a store without a lifecycle.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// The longest time that Lambda gives a run.
const LONGEST_RUN: Duration = Duration::from_mins(15);

/// The settings that decide what a snapshot contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct SnapshotRules {
    /// The thresholds of all channels.
    thresholds: BTreeSet<Threshold>,
    /// The globs of `alerts.ignore`.
    ignore: BTreeSet<String>,
    /// The globs of `alerts.ignore_profiles`.
    ignore_profiles: BTreeSet<String>,
    scheduled_posts: bool,
    check_media_urls: bool,
    discover_profiles: bool,
    /// Whether there is a list of more profiles.
    profiles_from: bool,
}

impl SnapshotRules {
    /// The rules of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            thresholds: config.channels.iter().flat_map(|channel| channel.thresholds.iter().cloned()).collect(),
            ignore: config.alerts.ignore_patterns.clone(),
            ignore_profiles: config.alerts.ignore_profiles_patterns.clone(),
            scheduled_posts: config.ayrshare.scheduled_posts,
            check_media_urls: config.ayrshare.check_media_urls,
            discover_profiles: config.ayrshare.discover_profiles,
            profiles_from: config.profiles_from.is_some(),
        }
    }

    /// Whether a snapshot that was made by these rules contains everything that one by the rules `other` would contain.
    #[must_use]
    pub fn cover(&self, other: &Self) -> bool {
        // With the longest threshold of the other rules, the rest is the same for both.
        let with_other = Self { thresholds: other.thresholds.clone(), ..self.clone() };
        with_other == *other && other.thresholds.last() <= self.thresholds.last()
    }
}

/// What is known about the snapshot in the store before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// The run that made the snapshot.
    pub run_id: String,
    /// When the run started.
    pub started_at: Timestamp,
    /// The settings that the snapshot was made by.
    pub rules: SnapshotRules,
    parts: Vec<PartSummary>,
}

/// What a part must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartSummary {
    bytes: usize,
    sha256: String,
}

impl PartSummary {
    fn of(part: &[u8]) -> Self {
        Self { bytes: part.len(), sha256: hex::encode(Sha256::digest(part)) }
    }
}

/// Replaces the snapshot in the store.
///
/// # Errors
///
/// Fails when the store cannot be written before the deadline, or when the snapshot is too large. The previous snapshot then
/// stays.
pub async fn save(
    store: &Store,
    survey: &Survey,
    run_id: &str,
    rules: SnapshotRules,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let cannot = |reason: String| StoreError::failed("be written", reason);
    if !is_plain(run_id) {
        return Err(cannot("the run has an unusual id".to_owned()));
    }
    // If the previous manifest cannot be read, its parts are deleted later. Another program may have written it.
    let before = newest(store, deadline).await.ok().flatten();
    if before.as_ref().is_some_and(|before| is_newer(before.started_at, survey.now)) {
        return Ok(());
    }
    let mut writer = PartWriter::new(lines_of(survey));
    let mut parts = Vec::new();
    while let Some(part) = writer.next_part().map_err(|error| cannot(error.to_string()))? {
        if MAX_PARTS <= parts.len() || MAX_COMPRESSED_BYTES < part.len() {
            return Err(cannot(format!("the snapshot is too large; it may have {MAX_PARTS} parts")));
        }
        store.put(&part_key(run_id, parts.len()), &part, deadline).await?;
        parts.push(PartSummary::of(&part));
    }
    let (format, run_id) = (FORMAT.to_owned(), run_id.to_owned());
    let manifest = Manifest { format, version: VERSION, run_id, started_at: survey.now, rules, parts };
    store.put(MANIFEST, json(&manifest).as_bytes(), deadline).await?;

    if let Some(before) = before.filter(|before| before.run_id != manifest.run_id) {
        for index in 0..before.parts.len() {
            // Parts that cannot be deleted now are deleted by the lifecycle of the bucket, or a day later in a folder.
            let _ = store.delete(&part_key(&before.run_id, index), deadline).await;
        }
    }
    store.delete_abandoned(FOLDER, ABANDONED_AFTER);
    Ok(())
}

/// Whether the stored snapshot is from a run that started after ours and finished before it. A snapshot from further in the
/// future was made with a wrong clock, so it does not count as newer.
fn is_newer(before: Timestamp, ours: Timestamp) -> bool {
    let ahead = before.duration_since(ours);
    ahead.is_positive() && ahead.unsigned_abs() < LONGEST_RUN
}

/// Reads what the newest snapshot in the store is. Returns `None` when none was kept yet.
///
/// # Errors
///
/// Fails when the store cannot be read before the deadline, or when what is there is not a manifest of this version.
pub async fn newest(store: &Store, deadline: Deadline) -> Result<Option<Manifest>, StoreError> {
    let Some(bytes) = store.get(MANIFEST, MAX_MANIFEST_BYTES, deadline).await? else { return Ok(None) };
    let unusable = |reason: &str| StoreError::unusable(reason);
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|_| unusable("its manifest is not what this version writes"))?;
    if manifest.format != FORMAT || manifest.version != VERSION {
        return Err(unusable("another version of this program wrote it"));
    }
    let has_fair_parts = manifest.parts.iter().all(|part| part.bytes <= MAX_COMPRESSED_BYTES);
    if !is_plain(&manifest.run_id) || !(1..=MAX_PARTS).contains(&manifest.parts.len()) || !has_fair_parts {
        return Err(unusable("its manifest names what this program would not write"));
    }
    Ok(Some(manifest))
}

/// Reads a snapshot.
///
/// # Errors
///
/// Fails when the store cannot be read before the deadline, or when a part is missing or is not what was written.
pub async fn read(store: &Store, manifest: &Manifest, deadline: Deadline) -> Result<Survey, StoreError> {
    let mut reader = SnapshotReader::new(&manifest.rules);
    for (index, expected) in manifest.parts.iter().enumerate() {
        let unusable = |reason: &str| StoreError::unusable(format!("part {index} {reason}"));
        let part = store.get(&part_key(&manifest.run_id, index), expected.bytes, deadline).await?;
        let part = part.ok_or_else(|| unusable("is missing"))?;
        if PartSummary::of(&part) != *expected {
            return Err(unusable("is not the one that was written"));
        }
        reader.add_part(&part).map_err(|_| unusable("has content that this version does not write"))?;
    }
    let survey = reader.finish().filter(|survey| survey.now == manifest.started_at);
    survey.ok_or_else(|| StoreError::unusable("its parts do not belong together"))
}

/// The key of a part.
fn part_key(run_id: &str, index: usize) -> String {
    format!("{FOLDER}/{run_id}-{index}{PART_SUFFIX}")
}

/// Whether an id can be a part of a key. A manifest may come from anybody who can write to the store.
fn is_plain(run_id: &str) -> bool {
    (1..=64).contains(&run_id.len()) && run_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// One line of a part.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    /// The survey without its lists: the first line.
    Survey(Box<Cow<'a, Survey>>),
    Profile(Box<Cow<'a, SurveyedProfile>>),
    Item(Box<Cow<'a, Item>>),
    Post(Box<PostLine<'a>>),
    Unverified(Box<Cow<'a, UnverifiedUrl>>),
    Copy(Box<CopyLine<'a>>),
}

/// The copy of a file that a profile lists.
#[derive(Serialize, Deserialize)]
struct CopyLine<'a> {
    profile: Cow<'a, ProfileName>,
    /// What identifies the file in the gallery.
    file: Cow<'a, str>,
    copy: Cow<'a, KeptCopy>,
}

/// A post at risk. The shape in which results show a post lacks what is said here of the galleries.
#[derive(Serialize, Deserialize)]
struct PostLine<'a> {
    post: Cow<'a, PostAtRisk>,
    /// For each file of the post: the profile whose gallery lists it, and its name there.
    galleries: Vec<(Option<ProfileName>, Option<String>)>,
}

fn lines_of(survey: &Survey) -> impl Iterator<Item = Line<'_>> {
    let profile = |profile| Line::Profile(Box::new(Cow::Borrowed(profile)));
    let item = |item| Line::Item(Box::new(Cow::Borrowed(item)));
    iter::once(Line::Survey(Box::new(Cow::Borrowed(survey))))
        .chain(survey.profiles.iter().map(profile))
        .chain(survey.items.iter().map(Arc::as_ref).map(item))
        .chain(survey.posts_at_risk.iter().map(|post| Line::Post(Box::new(PostLine::of(post)))))
        .chain(survey.unverified.iter().map(|url| Line::Unverified(Box::new(Cow::Borrowed(url)))))
        .chain(survey.copies.iter().map(|(profile, file, copy)| {
            let (profile, file, copy) = (Cow::Borrowed(profile), Cow::Borrowed(file), Cow::Borrowed(copy));
            Line::Copy(Box::new(CopyLine { profile, file, copy }))
        }))
}

impl<'a> PostLine<'a> {
    fn of(post: &'a PostAtRisk) -> Self {
        let galleries = post.media.iter().map(|media| (media.owner.clone(), media.file_name.clone())).collect();
        Self { post: Cow::Borrowed(post), galleries }
    }
}

/// Compresses lines into parts, one at a time.
struct PartWriter<'a, I: Iterator<Item = Line<'a>>> {
    lines: Peekable<I>,
}

impl<'a, I: Iterator<Item = Line<'a>>> PartWriter<'a, I> {
    fn new(lines: I) -> Self {
        Self { lines: lines.peekable() }
    }

    fn next_part(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.lines.peek().is_none() {
            return Ok(None);
        }
        // Fast, because a small function has little CPU, and the lines are alike.
        let mut part = GzEncoder::new(Vec::new(), Compression::fast());
        let mut line = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES
            && let Some(next) = self.lines.next()
        {
            line.clear();
            serde_json::to_writer(&mut line, &next)?;
            line.push(b'\n');
            bytes += line.len();
            if MAX_PART_BYTES < bytes {
                return Err(io::Error::other("an entry of the snapshot is too large"));
            }
            part.write_all(&line)?;
        }
        part.finish().map(Some)
    }
}

/// A line is not what this program writes.
#[derive(Debug, PartialEq, Eq)]
struct InvalidLine;

/// Puts a survey together again.
struct SnapshotReader {
    survey: Option<Survey>,
    /// The names of the profiles and the thresholds, which hundreds of thousands of items share.
    names: HashSet<ProfileName>,
    thresholds: BTreeSet<Threshold>,
}

impl SnapshotReader {
    fn new(rules: &SnapshotRules) -> Self {
        Self { survey: None, names: HashSet::new(), thresholds: rules.thresholds.clone() }
    }

    fn add_part(&mut self, part: &[u8]) -> Result<(), InvalidLine> {
        let limit = u64::try_from(MAX_PART_BYTES + 1).unwrap_or(u64::MAX);
        let mut lines = BufReader::new(GzDecoder::new(part).take(limit));
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(|_| InvalidLine)? == 0 {
                break;
            }
            // A line that the limit has cut off has no end.
            let line = line.strip_suffix(b"\n").ok_or(InvalidLine)?;
            self.add_line(serde_json::from_slice(line).map_err(|_| InvalidLine)?)?;
        }
        // Whatever follows would be lost.
        let end = lines.into_inner();
        if end.limit() == 0 { Err(InvalidLine) } else { Ok(()) }
    }

    fn add_line(&mut self, line: Line<'_>) -> Result<(), InvalidLine> {
        let Self { survey, names, thresholds } = self;
        let Some(survey) = survey else {
            let Line::Survey(first) = line else { return Err(InvalidLine) };
            *survey = Some(first.into_owned());
            return Ok(());
        };
        let known = |name: &ProfileName| names.get(name).cloned().ok_or(InvalidLine);
        match line {
            Line::Survey(_) => return Err(InvalidLine),
            Line::Profile(profile) => {
                let profile = profile.into_owned();
                if !names.insert(profile.name.clone()) {
                    return Err(InvalidLine);
                }
                survey.profiles.push(profile);
            }
            Line::Item(item) => {
                let mut item = item.into_owned();
                let threshold =
                    item.threshold.take().map(|threshold| thresholds.get(&threshold).cloned().ok_or(InvalidLine));
                let item = Item { profile: known(&item.profile)?, threshold: threshold.transpose()?, ..item };
                survey.items.push(Arc::new(item));
            }
            Line::Post(line) => {
                let PostLine { post, galleries } = *line;
                let post = post.into_owned();
                if post.media.len() != galleries.len() {
                    return Err(InvalidLine);
                }
                let media = post.media.into_iter().zip(galleries);
                let media = media.map(|(media, (owner, file_name))| {
                    Ok(MediaAtRisk { owner: owner.as_ref().map(known).transpose()?, file_name, ..media })
                });
                let post =
                    PostAtRisk { profile: known(&post.profile)?, media: media.collect::<Result<_, _>>()?, ..post };
                survey.posts_at_risk.push(Arc::new(post));
            }
            Line::Unverified(url) => {
                let url = url.into_owned();
                survey.unverified.push(UnverifiedUrl { profile: known(&url.profile)?, ..url });
            }
            Line::Copy(line) => {
                let CopyLine { profile, file, copy } = *line;
                let copies = Arc::make_mut(&mut survey.copies);
                copies.is_on = true;
                copies.add(known(&profile)?, &file, Arc::new(copy.into_owned()));
            }
        }
        Ok(())
    }

    fn finish(self) -> Option<Survey> {
        self.survey
    }
}

#[cfg(test)]
mod tests;
