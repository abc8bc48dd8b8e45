//! `make bench` compares the function with a bare handler, a Python version and a Node version.
//!
//! All of them use the same stand-ins: a Lambda Runtime API over plain HTTP, and Ayrshare, Slack and SNS over TLS, with a
//! certificate that is created for the run. They read the same configuration and must send the same content. After each
//! process, the benchmark checks that Slack and SNS got every due file once, and that Ayrshare got one request per profile,
//! at most eight at a time. Any difference ends the benchmark.
//!
//! Every process starts cold. The products take turns, so that a machine that becomes slower affects all of them. The tables
//! show the median and the spread of the samples. CPU time is that of the product alone, without the stand-ins, which answer
//! from memory. Wall times need a quiet machine.
//!
//! The tables are printed and written to `target/bench/table.md`. The exit code is 1 if a target is not met. `--quick`
//! measures everything once, and large accounts with a tenth of their profiles, to test the benchmark itself. `--large` measures
//! only the large accounts, and writes no file.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is printed, and how far it is")]

mod artifact;
mod figures;
mod gallery;
mod large;
mod product;
mod runtime_api;
mod samples;
mod server;
mod share;
mod stand_ins;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::{self, Handle};

use crate::figures::{Cold, Figures, Goal, Scan};
use crate::gallery::Galleries;
use crate::product::{Life, Product};
use crate::runtime_api::SCHEDULED;
use crate::server::Tls;
use crate::share::Share;
use crate::stand_ins::StandIns;

/// The reason why the benchmark ended early.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The latency of Ayrshare in the scans.
const LATENCY: Duration = Duration::from_millis(50);
/// How many answers can wait for the latency at the same time: four for each of 256 profiles, and a reserve.
const MAX_LATENT: usize = 1_100;
/// The number of items in a normal gallery, which the cold starts use too.
const ITEMS: usize = 200;
/// The number of items in a large gallery.
const MANY_ITEMS: usize = 5_000;
/// The number of samples of a cold start.
const COLD_STARTS: usize = 15;
/// The profiles, the items and the number of samples of each scan. Long scans vary less, so they need fewer samples.
const SCANS: [(usize, usize, usize); 8] = [
    (1, ITEMS, 7),
    (30, ITEMS, 5),
    (200, ITEMS, 9),
    (1_000, ITEMS, 3),
    (1, MANY_ITEMS, 5),
    (30, MANY_ITEMS, 3),
    (200, MANY_ITEMS, 3),
    (1_000, MANY_ITEMS, 1),
];

/// The profiles of the scans with scheduled posts, which only this function can do.
const SCANS_WITH_POSTS: [(usize, usize); 3] = [(200, 3), (1_000, 3), (10_000, 1)];

const USAGE: &str = "\
Usage: make bench [BENCH_ARGUMENTS=\"--quick --large\"]
  --quick  measure everything once, and large accounts with a tenth of their profiles
  --large  measure only the large accounts, and write no file";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some(other) = arguments.iter().find(|argument| !["--quick", "--large"].contains(&argument.as_str())) {
        eprintln!("{USAGE}");
        return ExitCode::from(if other == "--help" { 0 } else { 2 });
    }
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    match bench(has("--quick"), has("--large")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("the bench ends: {error}");
            ExitCode::from(2)
        }
    }
}

fn bench(is_quick: bool, is_only_large: bool) -> Result<bool, Error> {
    let began = Instant::now();
    let bench = Bench::prepare(is_quick)?;
    if is_only_large {
        println!("{}", table::of_large_accounts(&bench.large_accounts()?));
        return Ok(true);
    }
    let load = table::load();
    let share = Share::new();
    let cold = bench.cold_starts(share.as_ref().ok())?;
    let scans =
        SCANS.iter().map(|&(profiles, items, times)| bench.scan(profiles, items, times)).collect::<Result<_, _>>()?;
    let scans_with_posts = SCANS_WITH_POSTS
        .iter()
        .map(|&(profiles, times)| bench.scan_with_posts(profiles, times))
        .collect::<Result<_, _>>()?;
    let large = bench.large_accounts()?;
    let figures = Figures { products: bench.products, cold, scans, scans_with_posts, large, no_share: share.err() };
    let goals = figures.goals();
    let text = table::render(&figures, &goals, &load, began.elapsed());
    fs::write("target/bench/table.md", &text)?;
    println!("{text}");
    Ok(goals.iter().all(Goal::is_reached))
}

/// What all measurements have in common.
struct Bench {
    runtime: Handle,
    stand_ins: StandIns,
    products: Vec<Product>,
    directory: PathBuf,
    is_quick: bool,
}

impl Bench {
    fn prepare(is_quick: bool) -> Result<Self, Error> {
        let directory = Path::new("target/bench").canonicalize()?;
        // The stand-ins use one thread, which leaves the other core to the product.
        let driver = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MAX_LATENT).build()?;
        let runtime = driver.handle().clone();
        thread::spawn(move || driver.block_on(std::future::pending::<()>()));
        let tls = Tls::new()?;
        let products = products(&directory, &tls.authority)?;
        Ok(Self { stand_ins: StandIns::start(&runtime, &tls)?, runtime, products, directory, is_quick })
    }

    /// Measures cold starts with one profile and no latency, so that only the time of the product counts.
    fn cold_starts(&self, share: Option<&Share>) -> Result<Vec<Cold>, Error> {
        let galleries = Galleries::new(1, ITEMS, Timestamp::now());
        let mut cold: Vec<Cold> = self.products.iter().map(|_| Cold::default()).collect();
        for time in 0..self.times(COLD_STARTS) {
            eprintln!("cold starts, {} of {}", time + 1, self.times(COLD_STARTS));
            for (product, cold) in self.products.iter().zip(&mut cold) {
                cold.unlimited.push(self.live(product, &galleries, Duration::ZERO, false, 2, None)?);
                if share.is_some() {
                    cold.limited.push(self.live(product, &galleries, Duration::ZERO, false, 2, share)?);
                }
            }
        }
        Ok(cold)
    }

    fn scan(&self, profiles: usize, items: usize, times: usize) -> Result<Scan, Error> {
        let galleries = Galleries::new(profiles, items, Timestamp::now());
        let mut lives = vec![Vec::new(); self.products.len()];
        for time in 0..self.times(times) {
            eprintln!("scan of {profiles} profiles of {items} items, {} of {}", time + 1, self.times(times));
            for (product, lives) in self.products.iter().zip(&mut lives) {
                if product.does_the_job {
                    lives.push(self.live(product, &galleries, LATENCY, false, 1, None)?);
                }
            }
        }
        let rounds = profiles.div_ceil(stand_ins::CONCURRENCY);
        Ok(Scan { profiles, items, ideal: LATENCY * u32::try_from(rounds)?, lives })
    }

    /// Measures the function with scheduled posts. Of its requests, [`stand_ins::REQUESTS_WITH_POSTS`] are in flight for each
    /// profile, so the latency alone takes as long as without posts.
    fn scan_with_posts(&self, profiles: usize, times: usize) -> Result<Scan, Error> {
        let galleries = Galleries::new(profiles, ITEMS, Timestamp::now());
        let mut lives = Vec::new();
        for time in 0..self.times(times) {
            eprintln!("scan of {profiles} profiles with posts, {} of {}", time + 1, self.times(times));
            lives.push(self.live(&self.products[0], &galleries, LATENCY, true, 1, None)?);
        }
        let rounds = profiles.div_ceil(stand_ins::CONCURRENCY);
        Ok(Scan { profiles, items: ITEMS, ideal: LATENCY * u32::try_from(rounds)?, lives: vec![lives] })
    }

    fn times(&self, times: usize) -> usize {
        if self.is_quick { 1 } else { times }
    }

    /// Measures one process and checks what it has sent.
    fn live(
        &self,
        product: &Product,
        galleries: &Galleries,
        latency: Duration,
        with_posts: bool,
        invocations: usize,
        share: Option<&Share>,
    ) -> Result<Life, Error> {
        let document = self.directory.join("document.json");
        fs::write(&document, self.stand_ins.document(galleries.profiles(), with_posts).to_string())?;
        self.stand_ins.set(galleries, latency, with_posts, stand_ins::CONCURRENCY);
        let life = self.start(product, &document, &vec![SCHEDULED; invocations], share)?;
        if product.does_the_job {
            self.stand_ins.check(invocations).map_err(|error| self.with_log(product, &error.into()))?;
        }
        Ok(life)
    }

    /// Measures one process with a configuration.
    fn start(&self, product: &Product, document: &Path, events: &[&str], share: Option<&Share>) -> Result<Life, Error> {
        let surroundings = [
            ("PATH", std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin"])?.to_string_lossy().into_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("AWS_LAMBDA_FUNCTION_NAME", "media-expiry-alerts".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/media-expiry-alerts".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]1".to_owned()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_DEFAULT_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLETOKEN".to_owned()),
            ("AWS_ENDPOINT_URL", self.stand_ins.sns_origin()),
            ("MEDIA_ALERTS_CONFIG", document.to_string_lossy().into_owned()),
        ];
        let life = product.live(&self.runtime, &surroundings, events, share, &self.log());
        life.map_err(|error| self.with_log(product, &error))
    }

    fn log(&self) -> PathBuf {
        self.directory.join("product.log")
    }

    fn with_log(&self, product: &Product, error: &Error) -> Error {
        format!("{}: {error}; its output is in {}", product.name, self.log().display()).into()
    }
}

/// The products to measure, starting with the function.
fn products(directory: &Path, authority: &str) -> Result<Vec<Product>, Error> {
    let function = Path::new("target/lambda/media-expiry-alerts/bootstrap").canonicalize()?;
    let floor = directory.join("lambda/floor/bootstrap");
    let python = directory.join("python/bin/python");
    let packages = site_packages(&directory.join("python/lib"))?;
    let peers = Path::new("benches/peers").canonicalize()?;
    let bundle = directory.join("node/handler.cjs");

    let only_ours = directory.join("authority.pem");
    fs::write(&only_ours, authority)?;
    // Python reads this file instead of the system's certificate authorities. It contains those too, so that reading it takes
    // as long as on AWS.
    let all = directory.join("authorities.pem");
    fs::write(&all, fs::read_to_string(packages.join("certifi/cacert.pem"))? + authority)?;

    // The runtime client and boto3 are not uploaded, because the managed runtime provides them.
    let uploaded = ["anyio", "certifi", "h11", "httpcore", "httpx", "idna", "typing_extensions.py"];
    let mut uploaded: Vec<_> = uploaded.iter().map(|name| packages.join(name)).collect();
    uploaded.push(peers.join("python/handler.py"));
    Ok(vec![
        Product {
            name: "media-expiry-alerts",
            zip_bytes: artifact::zip_bytes(&[&function])?,
            command: vec![function],
            environment: vec![("SSL_CERT_FILE", only_ours.clone())],
            does_the_job: true,
        },
        Product {
            name: "bare handler",
            zip_bytes: artifact::zip_bytes(&[&floor])?,
            command: vec![floor],
            environment: Vec::new(),
            does_the_job: false,
        },
        Product {
            name: "Python",
            zip_bytes: artifact::zip_bytes(&uploaded)?,
            command: vec![python, "-m".into(), "awslambdaric".into(), "handler.handler".into()],
            environment: vec![
                ("SSL_CERT_FILE", all.clone()),
                ("AWS_CA_BUNDLE", all),
                ("PYTHONPATH", peers.join("python")),
                ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ],
            does_the_job: true,
        },
        Product {
            name: "Node",
            zip_bytes: artifact::zip_bytes(&[&bundle])?,
            command: vec!["node".into(), peers.join("node/runtime.mjs"), bundle],
            environment: vec![("NODE_EXTRA_CA_CERTS", only_ours)],
            does_the_job: true,
        },
    ])
}

/// The package directory of a Python environment.
fn site_packages(lib: &Path) -> Result<PathBuf, Error> {
    for entry in fs::read_dir(lib)? {
        let packages = entry?.path().join("site-packages");
        if packages.is_dir() {
            return Ok(packages);
        }
    }
    Err("the Python environment has no packages".into())
}
