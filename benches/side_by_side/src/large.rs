//! Large accounts: what a run costs, and how soon a process that has just started shows what it has seen.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::gallery::Galleries;
use crate::product::{Life, Product};
use crate::runtime_api::SCHEDULED;
use crate::stand_ins::list;
use crate::{Bench, Error, ITEMS, LATENCY, stand_ins};

/// The number of files that are due in each gallery of the account where many are due.
const MANY_DUE: usize = 20;

/// A large account with scheduled posts, measured once.
pub struct Large {
    /// What is special about it.
    pub what: String,
    /// The number of profiles.
    pub profiles: usize,
    /// How many profiles are read at the same time.
    pub concurrency: usize,
    /// The time that the latency alone takes.
    pub ideal: Duration,
    /// The alert run.
    pub run: Life,
    /// A process that has just started and answers a link from the store.
    pub link: Life,
}

impl Bench {
    /// Measures large accounts. `--quick` takes a tenth of their profiles.
    pub fn large_accounts(&self) -> Result<Vec<Large>, Error> {
        let profiles = |all: usize| if self.is_quick { all / 10 } else { all };
        let now = Timestamp::now();
        let many_due = Galleries::with_many_due(profiles(10_000), ITEMS, MANY_DUE, now);
        let many_profiles = Galleries::new(profiles(100_000), ITEMS, now);
        Ok(vec![
            self.large(format!("{MANY_DUE} due in each"), &many_due, stand_ins::CONCURRENCY)?,
            self.large("a list of JSON lines".to_owned(), &many_profiles, MOST_AT_ONCE)?,
        ])
    }

    fn large(&self, what: String, galleries: &Galleries, concurrency: usize) -> Result<Large, Error> {
        let profiles = galleries.profiles();
        eprintln!("large account: {profiles} profiles, {what}");
        let product = &limited(&self.products[0]);
        let (document, store) = (self.directory.join("document.json"), self.directory.join("store"));
        let lines = self.directory.join("profiles.jsonl");
        fs::write(&lines, list(profiles))?;
        fs::write(&document, self.stand_ins.document_of_large_account(concurrency, &lines, &store).to_string())?;
        if store.exists() {
            fs::remove_dir_all(&store)?;
        }
        self.stand_ins.set(galleries, LATENCY, true, concurrency);
        let run = self.start(product, &document, &[SCHEDULED], None)?;
        self.stand_ins.check_requests(1).map_err(|error| self.with_log(product, &error.into()))?;
        let link = self.stand_ins.link().ok_or("no message to Slack has a link")?;

        self.stand_ins.set(galleries, LATENCY, true, concurrency);
        let request = json!({
            "version": "2.0",
            "rawPath": link,
            "requestContext": {"http": {"method": "GET", "path": link}, "stage": "$default"},
        });
        let link = self.start(product, &document, &[&request.to_string()], None)?;
        self.stand_ins.check_requests(0).map_err(|error| self.with_log(product, &error.into()))?;
        let ideal = LATENCY * u32::try_from(profiles.div_ceil(concurrency))?;
        Ok(Large { what, profiles, concurrency, ideal, run, link })
    }
}

/// The product with as many open files and connections as Lambda allows a process.
fn limited(product: &Product) -> Product {
    let mut command = vec!["prlimit".into(), "--nofile=1024:1024".into()];
    command.extend(product.command.iter().cloned());
    Product { command, ..product.clone() }
}

/// The largest concurrency that can be configured.
const MOST_AT_ONCE: usize = 256;
