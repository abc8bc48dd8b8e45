//! The tables of the measurements, as Markdown that is readable as plain text.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

use jiff::Timestamp;

use crate::figures::{
    Bound, Cold, Figures, Goal, MB, Scan, init_cpu, invocation, ms, peak_mb, run_cpu, run_wall, whole_cpu,
};
use crate::gallery::{DUE, POSTS};
use crate::large::Large;
use crate::product::{Cost, Life, Product};
use crate::samples::Samples;

/// A table. Its first row is the heading.
type Rows = Vec<Vec<String>>;

/// Renders all measurements, and which targets are met.
pub fn render(figures: &Figures, goals: &[Goal], load: &str, took: Duration) -> String {
    let mut text = format!("# The function beside its peers\n\n{}\n", surroundings(load, took));
    text += &format!(
        "The tables show the median, the smallest and largest sample in parentheses, and the ratio (×) to this function. \
         {DUE} files are due in\neach run. All versions sent the same content to Slack and SNS.\n\n"
    );
    text += "## Cold starts: one profile of 200 items, no latency\n\n";
    text += &cold_tables(figures);
    if let Some(scan) = figures.scans.iter().find(|scan| (scan.profiles, scan.items) == (200, 200)) {
        text += "## A whole cold run: 200 profiles of 200 items\n\n";
        text += &layout(&whole_run_rows(figures, scan));
    }
    for items in [200, 5_000] {
        text += &format!("## Scans: galleries of {items} items, 50 ms of latency, 8 side by side\n\n");
        let scans: Vec<_> = figures.scans.iter().filter(|scan| scan.items == items).collect();
        text += &layout(&scan_rows(figures, &scans));
    }
    text += &format!(
        "## Scans with scheduled posts: galleries of 200 items, {POSTS} posts a profile, 50 ms of latency\n\n"
    );
    text += &layout(&scan_rows(figures, &figures.scans_with_posts.iter().collect::<Vec<_>>()));
    text += &of_large_accounts(&figures.large);
    text += "## Figures to reach\n\n";
    text += &layout(&goal_rows(goals));
    text
}

/// Renders the large accounts.
pub fn of_large_accounts(accounts: &[Large]) -> String {
    format!("## Large accounts: galleries of 200 items, {POSTS} posts a profile, 50 ms of latency\n\n")
        + &layout(&large_rows(accounts))
        + "The link is answered by a process that starts for it, from the store in a folder, without a request to Ayrshare. Its \
           wall time is from\nthe start of the process to its answer.\n\n"
}

fn cold_tables(figures: &Figures) -> String {
    let of = |head: [&str; 4], cells: [&dyn Fn(&Cold) -> Samples; 3]| {
        let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
        for (product, cold) in figures.products.iter().zip(&figures.cold) {
            let cell = |figure: &&dyn Fn(&Cold) -> Samples| cell(&figure(cold), &figure(&figures.cold[0]));
            rows.push([vec![product.name.to_owned()], cells.iter().map(cell).collect()].concat());
        }
        layout(&rows)
    };
    let cpu = |cost: &Cost| cost.cpu;
    let wall = |cost: &Cost| cost.wall;
    let mut text = of(
        ["CPU, ms", "until ready", "first invocation", "second"],
        [&|cold| cold.init(cpu), &|cold| invocation(&cold.unlimited, 0, cpu), &|cold| {
            invocation(&cold.unlimited, 1, cpu)
        }],
    );
    text += &of(
        ["wall, ms", "until ready", "first invocation", "second"],
        [&|cold| cold.init(wall), &|cold| invocation(&cold.unlimited, 0, wall), &|cold| {
            invocation(&cold.unlimited, 1, wall)
        }],
    );
    match &figures.no_share {
        Some(why) => text += &format!("Under the CPU share of a 128 MB function: not measured, {why}.\n\n"),
        None => {
            text += &of(
                ["128 MB share: wall, ms", "until ready: not limited", "first invocation", "second"],
                [
                    &|cold| cold.limited.iter().map(|life| crate::figures::ms(life.init.wall)).collect(),
                    &|cold| invocation(&cold.limited, 0, wall),
                    &|cold| invocation(&cold.limited, 1, wall),
                ],
            );
        }
    }
    text += &layout(&size_rows(figures));
    text + "The zip is what is uploaded. For Python it excludes boto3 and the runtime client, which the managed runtime provides; \
            for Node it is the\nbundle. The Python packages are compiled to bytecode before the measurement, which is not \
            the case after an upload.\n\n"
}

#[expect(clippy::cast_precision_loss, reason = "an artifact is far below 2^52 bytes")]
fn size_rows(figures: &Figures) -> Rows {
    let head = ["MB", "peak memory", "zip"].map(ToOwned::to_owned).to_vec();
    let peak = |cold: &Cold| cold.unlimited.iter().map(peak_mb).collect::<Samples>();
    let mut rows = vec![head];
    for (product, cold) in figures.products.iter().zip(&figures.cold) {
        let zip = product.zip_bytes as f64;
        rows.push(vec![
            product.name.to_owned(),
            cell(&peak(cold), &peak(&figures.cold[0])),
            format!("{} {}", number(zip / MB), times(zip / figures.products[0].zip_bytes as f64)),
        ]);
    }
    rows
}

fn whole_run_rows(figures: &Figures, scan: &Scan) -> Rows {
    let mut rows = vec![["CPU, ms", "init", "run", "both"].map(ToOwned::to_owned).to_vec()];
    for (index, product) in figures.products.iter().enumerate().filter(|(_, product)| product.does_the_job) {
        let parts: [fn(&Life) -> f64; 3] = [init_cpu, run_cpu, whole_cpu];
        let cells = parts.iter().map(|part| cell(&scan.of(index, part), &scan.of(0, part)));
        rows.push([vec![product.name.to_owned()], cells.collect()].concat());
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "there are few profiles")]
fn scan_rows(figures: &Figures, scans: &[&Scan]) -> Rows {
    let head = ["profiles", "", "wall, s", "of the ideal", "CPU, ms a profile", "peak memory, MB"];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for scan in scans {
        let mut profiles = scan.profiles.to_string();
        let measured = |(index, product): &(usize, &Product)| product.does_the_job && *index < scan.lives.len();
        for (index, product) in figures.products.iter().enumerate().filter(measured) {
            let wall = scan.of(index, |life| run_wall(life) / 1_000.0);
            let cpu = |index| scan.of(index, |life| run_cpu(life) / scan.profiles as f64);
            let peak = scan.of(index, peak_mb);
            rows.push(vec![
                std::mem::take(&mut profiles),
                product.name.to_owned(),
                with_spread(&wall),
                format!("{:.3}", wall.median() / scan.ideal.as_secs_f64()),
                cell(&cpu(index), &cpu(0)),
                with_spread(&peak),
            ]);
        }
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "there are few profiles")]
fn large_rows(accounts: &[Large]) -> Rows {
    let head = ["profiles", "", "at once", "wall, s", "of the ideal", "CPU, ms a profile", "peak memory, MB"];
    let link = ["link: wall, ms", "link: CPU, ms", "link: peak memory, MB"];
    let mut rows = vec![head.iter().chain(&link).map(|cell| (*cell).to_owned()).collect()];
    for account in accounts {
        let Large { what, profiles, concurrency, ideal, run, link } = account;
        rows.push(vec![
            profiles.to_string(),
            what.clone(),
            concurrency.to_string(),
            number(run_wall(run) / 1_000.0),
            format!("{:.3}", run_wall(run) / ms(*ideal)),
            number(run_cpu(run) / *profiles as f64),
            number(peak_mb(run)),
            number(ms(link.init.wall) + run_wall(link)),
            number(whole_cpu(link)),
            number(peak_mb(link)),
        ]);
    }
    rows
}

fn goal_rows(goals: &[Goal]) -> Rows {
    let mut rows = vec![["", "figure", "measured", "bound"].map(ToOwned::to_owned).to_vec()];
    for goal in goals {
        let value = goal.measured;
        let (measured, bound) = match goal.bound {
            _ if value.is_nan() => ("not measured".to_owned(), String::new()),
            Bound::AtMostTimes(bound) => (format!("{value:.3}"), format!("≤ {bound}")),
            Bound::AtMostOnePartOf(bound) => (format!("1/{value:.1}"), format!("≤ 1/{bound}")),
            Bound::AtMostMb(bound) => (format!("{value:.2} MB"), format!("≤ {bound} MB")),
            Bound::BelowMb(bound) => (format!("{value:.1} MB"), format!("< {bound} MB")),
        };
        let verdict = if goal.is_reached() { "reached" } else { "not reached" };
        rows.push(vec![verdict.to_owned(), goal.what.to_owned(), measured, bound]);
    }
    rows
}

fn cell(samples: &Samples, ours: &Samples) -> String {
    let times = times(samples.median() / ours.median());
    format!("{} {times}", with_spread(samples)).trim_end().to_owned()
}

fn with_spread(samples: &Samples) -> String {
    if samples.is_empty() {
        return "–".to_owned();
    }
    let (least, most) = samples.spread();
    format!("{} ({}–{})", number(samples.median()), number(least), number(most))
}

fn times(ratio: f64) -> String {
    if (ratio - 1.0).abs() < f64::EPSILON { String::new() } else { format!("×{}", number(ratio)) }
}

/// Three significant digits, and all digits before the decimal point.
fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Pads the cells, so that the columns are aligned in plain text too.
fn layout(rows: &Rows) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default().max(3);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if index == 0 {
            let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text += &format!("|-{}-|\n", rules.join("-|-"));
        }
    }
    text + "\n"
}

fn surroundings(load: &str, took: Duration) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = available_parallelism().map_or(0, std::num::NonZero::get);
    let output_of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    format!(
        "`make bench` on {} at {}, in {} s: {cores} cores of {model}, Linux {},\n\
         load {load} before and {} after; {}, {}, Node {}.\n",
        Timestamp::now().strftime("%Y-%m-%d"),
        output_of("git", &["describe", "--always", "--dirty"]),
        took.as_secs(),
        output_of("uname", &["-r"]),
        self::load(),
        output_of("rustc", &["--version"]),
        output_of("target/bench/python/bin/python", &["--version"]),
        output_of("node", &["--version"]),
    )
}

/// The load average of the last minute. Wall times are unreliable if other processes run at the same time.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
