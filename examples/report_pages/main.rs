//! Writes what the browser tests look at: the reports of several data sets in every format, as the function returns them,
//! and the messages of a hostile one. `cargo run --example report_pages -- DIRECTORY`.

mod messages;
mod surveys;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use media_expiry_alerts::config::Config;
use media_expiry_alerts::http::request::Request;
use media_expiry_alerts::http::{self, Response};
use media_expiry_alerts::model::Part;
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::net::{self, Deadline};
use media_expiry_alerts::report::link::Links;

use crate::surveys::{HOUR, failure, hostile, many, now, result, usual};

const CONFIG: &str = r#"
    [ayrshare]
    api_key = "KEY"
    [[profiles]]
    name = "Head office"
    primary = true
    [alerts]
    thresholds = ["14d", "7d", "3d", "1d"]
    [[channels]]
    name = "mail"
    type = "sns"
    topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts"
    [[channels]]
    name = "clients"
    type = "email"
    from = "alerts@agency.example"
    to = ["maria@client.example"]
    [http]
    report_url = "https://reports.example"
    link_secret = "0123456789abcdef0123456789abcdef"
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("name a directory to write to")?.into();
    std::fs::create_dir_all(&directory)?;
    let document = directory.join("config.toml");
    std::fs::write(&document, CONFIG)?;
    let environment = Environment::of([("MEDIA_ALERTS_CONFIG", document.display().to_string())]);
    let aws = Aws::new(net::client()?, environment.clone());
    let config = Config::load(&environment, &aws, Deadline::after(Duration::from_secs(10))).await?;

    let sets = [
        ("usual", usual(now()?, 0)),
        ("changed", usual(now()?, 5 * HOUR)),
        ("hostile", hostile(now()?, 15)),
        ("empty", result(now()?, Vec::new(), Vec::new(), &[])),
        ("failed", result(now()?, Vec::new(), Vec::new(), &[failure("Head office", Part::Media)])),
        ("many", many(now()?, 2_000)),
        ("endless", many(now()?, 40_000)),
    ];
    for (name, result) in &sets {
        for format in ["html", "csv", "ics", "json"] {
            let route = http::route(&request("/report", &[("format", format)]), &config, now()?);
            let response = match route {
                Ok(route) => route.respond(result),
                Err(refusal) => refusal,
            };
            write(&directory, &format!("{name}.{format}"), &response)?;
        }
        std::fs::write(directory.join(format!("{name}.result.json")), result.to_json())?;
    }

    let links = Links::of(&config.http).ok_or("no links")?;
    let link = links.make(&config.channels[0], now()?).ok_or("no link")?;
    let token = link.url.rsplit('/').next().unwrap_or_default();
    let day = SignedDuration::from_hours(24);
    for (name, token, at) in
        [("signed", token, now()?), ("expired-link", token, now()? + day * 8), ("no-link", "nothing", now()?)]
    {
        let response = match http::route(&request(&format!("/r/{token}"), &[]), &config, at) {
            Ok(route) => route.respond(&sets[0].1),
            Err(refusal) => refusal,
        };
        write(&directory, &format!("{name}.html"), &response)?;
    }
    messages::write(&directory, &hostile(now()?, 10_000).survey, &config)
}

fn write(directory: &Path, name: &str, response: &Response) -> Result<(), Box<dyn Error>> {
    std::fs::write(directory.join(name), &response.body)?;
    let head = serde_json::json!({"status": response.status_code, "headers": response.headers});
    Ok(std::fs::write(directory.join(format!("{name}.head.json")), head.to_string())?)
}

fn request(path: &str, query: &[(&str, &str)]) -> Request {
    Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        headers: BTreeMap::new(),
        body: None,
        is_authorized: true,
        accepts_base64: false,
    }
}
