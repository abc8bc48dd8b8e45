//! The measurements and their targets.

use std::time::Duration;

use crate::large::Large;
use crate::product::{Cost, Life, Product};
use crate::samples::Samples;

/// Bytes of a megabyte.
pub const MB: f64 = 1_000_000.0;

/// The index of each product.
const OURS: usize = 0;
const FLOOR: usize = 1;
const PYTHON: usize = 2;
const NODE: usize = 3;

/// All measurements.
pub struct Figures {
    /// The products, starting with the function.
    pub products: Vec<Product>,
    /// The cold starts of each product.
    pub cold: Vec<Cold>,
    /// The scans.
    pub scans: Vec<Scan>,
    /// The scans with scheduled posts, by the function only.
    pub scans_with_posts: Vec<Scan>,
    /// The large accounts, by the function only.
    pub large: Vec<Large>,
    /// The reason if nothing could be measured at the CPU share of a small function.
    pub no_share: Option<String>,
}

/// The cold starts of a product, each with two invocations.
#[derive(Default)]
pub struct Cold {
    /// With a whole core.
    pub unlimited: Vec<Life>,
    /// With the CPU share of a 128 MB function, once the process is ready.
    pub limited: Vec<Life>,
}

impl Cold {
    /// The time until the process is ready, for which there is no limit.
    pub fn init(&self, of: fn(&Cost) -> Duration) -> Samples {
        self.unlimited.iter().chain(&self.limited).map(|life| ms(of(&life.init))).collect()
    }
}

/// A scan by each product, with a cold start and one invocation.
pub struct Scan {
    /// The number of profiles.
    pub profiles: usize,
    /// The number of items in each gallery.
    pub items: usize,
    /// The time that the latency alone takes.
    pub ideal: Duration,
    /// The processes of each product. The bare handler has none.
    pub lives: Vec<Vec<Life>>,
}

impl Scan {
    /// A figure of a product, for each of its processes.
    pub fn of(&self, product: usize, figure: impl Fn(&Life) -> f64) -> Samples {
        self.lives[product].iter().map(figure).collect()
    }
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The cost of one invocation in each process, in milliseconds.
pub fn invocation(lives: &[Life], index: usize, of: fn(&Cost) -> Duration) -> Samples {
    lives.iter().filter_map(|life| life.invocations.get(index)).map(|cost| ms(of(cost))).collect()
}

/// The CPU time of the only invocation, in milliseconds.
pub fn run_cpu(life: &Life) -> f64 {
    life.invocations.iter().map(|cost| ms(cost.cpu)).sum()
}

/// The CPU time until the process was ready, in milliseconds.
pub fn init_cpu(life: &Life) -> f64 {
    ms(life.init.cpu)
}

/// The CPU time of the start and the invocation, in milliseconds.
pub fn whole_cpu(life: &Life) -> f64 {
    init_cpu(life) + run_cpu(life)
}

/// The wall time of the only invocation, in milliseconds.
pub fn run_wall(life: &Life) -> f64 {
    life.invocations.iter().map(|cost| ms(cost.wall)).sum()
}

/// The peak memory of a process, in megabytes.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub fn peak_mb(life: &Life) -> f64 {
    life.peak_memory as f64 / MB
}

/// A target.
pub struct Goal {
    /// The name.
    pub what: &'static str,
    /// The measured value. NaN if it could not be measured.
    pub measured: f64,
    /// The bound.
    pub bound: Bound,
}

/// The bound of a target.
#[derive(Clone, Copy)]
pub enum Bound {
    /// A ratio of at most this.
    AtMostTimes(f64),
    /// A ratio of at most one to this. The measured value is the inverse ratio.
    AtMostOnePartOf(f64),
    /// At most this many megabytes.
    AtMostMb(f64),
    /// Fewer than this many megabytes.
    BelowMb(f64),
}

impl Goal {
    /// Whether the target is met. A target without a measurement is not met.
    pub fn is_reached(&self) -> bool {
        match self.bound {
            Bound::AtMostTimes(bound) | Bound::AtMostMb(bound) => self.measured <= bound,
            Bound::AtMostOnePartOf(bound) => bound <= self.measured,
            Bound::BelowMb(bound) => self.measured < bound,
        }
    }
}

impl Figures {
    /// The targets. Ratios compare medians of this run.
    pub fn goals(&self) -> Vec<Goal> {
        let cold_cpu = |product: usize| self.cold[product].init(|cost| cost.cpu).median();
        let first_limited = |product: usize| invocation(&self.cold[product].limited, 0, |cost| cost.wall).median();
        let small =
            |profiles: usize| self.scans.iter().find(move |scan| (scan.profiles, scan.items) == (profiles, 200));
        let of = |profiles: usize, product: usize, figure: fn(&Life) -> f64| {
            small(profiles).map_or(f64::NAN, |scan| scan.of(product, figure).median())
        };
        let with_posts = |profiles: usize, figure: fn(&Life) -> f64| {
            let scan = self.scans_with_posts.iter().find(move |scan| scan.profiles == profiles);
            scan.map_or(f64::NAN, |scan| scan.of(OURS, figure).median())
        };
        let parts = |product: usize, figure: fn(&Life) -> f64| of(200, product, figure) / of(200, OURS, figure);
        let ideal = small(1_000).map_or(f64::NAN, |scan| ms(scan.ideal));
        #[expect(clippy::cast_precision_loss, reason = "an artifact is far below 2^52 bytes")]
        let zip_mb = self.products[OURS].zip_bytes as f64 / MB;
        let goal = |what, measured, bound| Goal { what, measured, bound };
        vec![
            goal("init CPU, of the bare handler's", cold_cpu(OURS) / cold_cpu(FLOOR), Bound::AtMostTimes(2.0)),
            goal(
                "first invocation at the 128 MB share, of Python's",
                first_limited(PYTHON) / first_limited(OURS),
                Bound::AtMostOnePartOf(20.0),
            ),
            goal(
                "first invocation at the 128 MB share, of Node's",
                first_limited(NODE) / first_limited(OURS),
                Bound::AtMostOnePartOf(30.0),
            ),
            goal(
                "wall of 1,000 profiles with both deliveries, of the ideal",
                of(1_000, OURS, run_wall) / ideal,
                Bound::AtMostTimes(1.05),
            ),
            goal(
                "CPU of a cold run over 200 profiles, of Python's",
                parts(PYTHON, whole_cpu),
                Bound::AtMostOnePartOf(12.0),
            ),
            goal(
                "CPU of a cold run over 200 profiles, of Node's",
                parts(NODE, whole_cpu),
                Bound::AtMostOnePartOf(12.0),
            ),
            goal(
                "CPU of the run alone over 200 profiles, of Python's",
                parts(PYTHON, run_cpu),
                Bound::AtMostOnePartOf(5.0),
            ),
            goal(
                "CPU of the run alone over 200 profiles, of Node's",
                parts(NODE, run_cpu),
                Bound::AtMostOnePartOf(12.0),
            ),
            goal(
                "peak memory at 1,000 profiles, of that at one",
                of(1_000, OURS, peak_mb) / of(1, OURS, peak_mb),
                Bound::AtMostTimes(2.0),
            ),
            goal(
                "wall of 1,000 profiles with posts, of the ideal",
                with_posts(1_000, run_wall) / ideal,
                Bound::AtMostTimes(1.05),
            ),
            goal("peak memory at 10,000 profiles with posts", with_posts(10_000, peak_mb), Bound::BelowMb(64.0)),
            goal("peak memory at 1,000 profiles", of(1_000, OURS, peak_mb), Bound::BelowMb(20.0)),
            goal("zip with every feature in", zip_mb, Bound::AtMostMb(4.0)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_bound_and_never_without_a_measurement() {
        let check = |measured, bound, expected| {
            assert_eq!(Goal { what: "", measured, bound }.is_reached(), expected, "{measured}");
        };
        check(2.0, Bound::AtMostTimes(2.0), true);
        check(2.1, Bound::AtMostTimes(2.0), false);
        check(12.0, Bound::AtMostOnePartOf(12.0), true);
        check(11.9, Bound::AtMostOnePartOf(12.0), false);
        check(3.6, Bound::AtMostMb(3.5), false);
        check(20.0, Bound::BelowMb(20.0), false);
        for bound in [Bound::AtMostTimes(2.0), Bound::AtMostOnePartOf(2.0), Bound::BelowMb(2.0)] {
            check(f64::NAN, bound, false);
        }
    }
}
