//! Counts the instructions of the core. The counts are the same on every machine, so a change that costs more fails the build.
//!
//! `make instructions` runs these benchmarks under callgrind. Each has a recorded count, and it is an error to exceed it by
//! more than 5 %. If a change is worth its cost, record the new count here and give the reason in the commit message.
//!
//! The counts are of the build that `.cargo/optimized.toml` describes. They are higher than those of the function that is
//! deployed, because most dependencies are not optimized. They only show what a change costs.

#![expect(
    missing_docs,
    clippy::must_use_candidate,
    reason = "gungraun makes public functions and modules of the benches"
)]

mod data;

use std::hint::black_box;
use std::sync::Arc;

use globset::GlobSet;
use gungraun::{Callgrind, EventKind, prelude::*};
use media_expiry_alerts::channel::{Message, RunJson, slack, sns};
use media_expiry_alerts::config::SnsFormat;
use media_expiry_alerts::digest::Digest;
use media_expiry_alerts::model::ScheduledPost;
use media_expiry_alerts::model::{Media, PostAtRisk};
use media_expiry_alerts::report::{Format, Question};
use media_expiry_alerts::run::command::Action;
use media_expiry_alerts::run::result::RunResult;
use media_expiry_alerts::scan::rules::Rules;
use media_expiry_alerts::scan::select::Gallery;
use media_expiry_alerts::scan::survey::Survey;
use media_expiry_alerts::scan::used_files::FilesInPosts;

/// The number of files in the gallery.
const FILES: usize = 5_000;

/// Allows at most 5 % more than the recorded count.
fn recorded(instructions: u64) -> LibraryBenchmarkConfig {
    let limit = instructions + instructions / 20;
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

// Reads a response body and selects the files that expire.
#[library_benchmark(config = recorded(31_164_000))]
#[bench::gallery(data::body(0, FILES))]
fn read(body: String) -> Gallery {
    data::read(0, black_box(&body), &[])
}

// The same, while keeping the files that scheduled posts use.
#[library_benchmark(config = recorded(45_049_000))]
#[bench::gallery((data::body(0, FILES), data::posts(0, FILES)))]
fn read_with_posts((body, posts): (String, Vec<ScheduledPost>)) -> Gallery {
    data::read(0, black_box(&body), &posts)
}

// Selects the files that expire. Most do not, and must cost almost nothing.
#[library_benchmark(config = recorded(1_719_000))]
#[bench::gallery(data::files(FILES))]
fn select(files: Vec<Media>) -> (Gallery, Vec<Media>) {
    let (profile, thresholds, ignore) = (data::name(0), data::thresholds(), GlobSet::empty());
    let rules = Rules { check_posts: false, ..data::rules(&thresholds, &ignore) };
    let mut gallery = Gallery::default();
    for file in black_box(&files) {
        gallery.add(&profile, file, &rules, &FilesInPosts::default());
    }
    (gallery, files)
}

// Finds the posts that will fail because of a gallery.
#[library_benchmark(config = recorded(9_037_000))]
#[bench::gallery((data::read(0, &data::body(0, FILES), &data::posts(0, FILES)), data::posts(0, FILES)))]
fn hold_posts((gallery, posts): (Gallery, Vec<ScheduledPost>)) -> Vec<Arc<PostAtRisk>> {
    data::survey_of(vec![data::scan(0, gallery, black_box(&posts))]).posts_at_risk
}

// Finds 4,000 posts that will fail because of 4,000 files of another profile.
#[library_benchmark(config = recorded(75_889_000))]
#[bench::profiles((data::read(0, &data::body(0, 4_000), &data::risky_posts(0, 4_000)), data::risky_posts(0, 4_000)))]
fn posts_of_another_profile((gallery, posts): (Gallery, Vec<ScheduledPost>)) -> Vec<Arc<PostAtRisk>> {
    let scans = vec![data::scan(0, gallery, &[]), data::scan(1, Gallery::default(), black_box(&posts))];
    data::survey_of(scans).posts_at_risk
}

// Creates the digest of 30 profiles for a channel.
#[library_benchmark(config = recorded(597_000))]
#[bench::profiles(data::survey(30, 200))]
fn digest(survey: Survey) -> (Digest, Survey) {
    (digest_of(black_box(&survey)), survey)
}

fn digest_of(survey: &Survey) -> Digest {
    let profiles: Vec<_> = survey.profiles.iter().map(|profile| profile.name.clone()).collect();
    Digest::new(survey, &profiles, &data::thresholds())
}

#[library_benchmark(config = recorded(34_836_000))]
#[bench::profiles(digest_of(&data::survey(30, 200)))]
fn slack_message(digest: Digest) -> (Vec<Message>, Digest) {
    (slack::render(black_box(&digest), None), digest)
}

/// A mail asks for no JSON.
const NO_JSON: RunJson<'_> = RunJson { run_id: "run", channel: "mail", within: &|_| (String::new(), false) };

fn digest_and_result() -> (Digest, RunResult) {
    let survey = data::survey(30, 200);
    (digest_of(&survey), RunResult::of_survey(survey.clone(), "run", Action::Alert))
}

#[library_benchmark(config = recorded(5_384_000))]
#[bench::profiles(digest_and_result())]
fn mail((digest, result): (Digest, RunResult)) -> (Message, Digest, RunResult) {
    (sns::render(black_box(&digest), SnsFormat::Text, NO_JSON), digest, result)
}

#[library_benchmark]
#[bench::html(args = (digest_and_result(), Format::Html), config = recorded(34_215_000))]
#[bench::csv(args = (digest_and_result(), Format::Csv), config = recorded(11_430_000))]
#[bench::json(args = (digest_and_result(), Format::Json), config = recorded(9_588_000))]
fn page((_, result): (Digest, RunResult), format: Format) -> (String, RunResult) {
    let question = Question::default();
    let rendered = black_box(&result).report(format, &question, usize::MAX, str::len);
    (rendered.body, result)
}

library_benchmark_group!(
    name = core,
    benchmarks =
        [read, read_with_posts, select, hold_posts, posts_of_another_profile, digest, slack_message, mail, page]
);
main!(library_benchmark_groups = core);
