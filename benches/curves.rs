//! How the time of the core grows with its input. Run it with `cargo bench --bench curves`.

mod data;

use divan::{Bencher, counter::ItemsCount};
use media_expiry_alerts::channel::slack;
use media_expiry_alerts::digest::Digest;
use media_expiry_alerts::scan::survey::Survey;

fn main() {
    divan::main();
}

#[divan::bench(args = [200, 5_000, 100_000], consts = [false, true])]
fn read<const KEEP_PLACES: bool>(bencher: Bencher<'_, '_>, files: usize) {
    let body = data::body(0, files);
    bencher.counter(ItemsCount::new(files)).bench(|| data::read(0, &body, KEEP_PLACES));
}

#[divan::bench(args = [200, 5_000, 100_000])]
fn hold_posts(bencher: Bencher<'_, '_>, files: usize) {
    let body = data::body(0, files);
    bencher
        .counter(ItemsCount::new(files))
        .with_inputs(|| (data::read(0, &body, true), data::posts(0, files)))
        .bench_values(|(gallery, posts)| Survey::new(data::now(), vec![data::scan(0, gallery, posts)]));
}

#[divan::bench(args = [1, 30, 200, 1_000])]
fn digest_and_slack(bencher: Bencher<'_, '_>, profiles: usize) {
    let survey = data::survey(profiles, 200);
    let names: Vec<_> = (0..profiles).map(data::name).collect();
    let thresholds = data::thresholds();
    bencher
        .counter(ItemsCount::new(survey.items.len()))
        .bench(|| slack::render(&Digest::new(&survey, &names, &thresholds)));
}
