//! How the time of the core grows with its input. Run it with `cargo bench --bench curves`.

mod data;

use divan::{Bencher, counter::ItemsCount};
use media_expiry_alerts::channel::slack;
use media_expiry_alerts::digest::Digest;

fn main() {
    divan::main();
}

#[divan::bench(args = [200, 5_000, 100_000], consts = [false, true])]
fn read<const WITH_POSTS: bool>(bencher: Bencher<'_, '_>, files: usize) {
    let body = data::body(0, files);
    let posts = if WITH_POSTS { data::posts(0, files) } else { Vec::new() };
    bencher.counter(ItemsCount::new(files)).bench(|| data::read(0, &body, &posts));
}

#[divan::bench(args = [200, 5_000, 100_000])]
fn hold_posts(bencher: Bencher<'_, '_>, files: usize) {
    let body = data::body(0, files);
    bencher
        .counter(ItemsCount::new(files))
        .with_inputs(|| (data::read(0, &body, &data::posts(0, files)), data::posts(0, files)))
        .bench_values(|(gallery, posts)| data::survey_of(vec![data::scan(0, gallery, &posts)]));
}

#[divan::bench(args = [1, 30, 200, 1_000])]
fn digest_and_slack(bencher: Bencher<'_, '_>, profiles: usize) {
    let survey = data::survey(profiles, 200);
    let names: Vec<_> = (0..profiles).map(data::name).collect();
    let thresholds = data::thresholds();
    bencher
        .counter(ItemsCount::new(survey.items.len()))
        .bench(|| slack::render(&Digest::new(&survey, &names, &thresholds), None));
}
