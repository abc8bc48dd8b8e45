use proptest::prelude::*;

use super::reference::Reference;
use super::*;
use crate::model::Threshold;

fn environment() -> Environment {
    Environment::of([
        ("ACME", "ACME-KEY"),
        ("TABLE", "ledger"),
        ("BLANK", "  "),
        ("TOPIC", "arn:aws:sns:eu-central-1:123456789012:alerts"),
    ])
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn load(document: &str) -> Result<Config, InvalidConfiguration> {
    block_on(Config::read(document, &environment()))
}

fn load_from(variables: &[(&str, &str)]) -> Result<Config, InvalidConfiguration> {
    let environment = Environment::of(variables.iter().copied());
    let aws = aws(environment.clone());
    block_on(async { Config::load(&environment, &aws, Deadline::after(LOAD_TIMEOUT)).await })
}

fn aws(environment: Environment) -> Aws {
    Aws::new(crate::net::client().expect("a client"), environment)
}

fn faults(result: Result<Config, InvalidConfiguration>) -> Vec<String> {
    let invalid = result.expect_err("faults");
    invalid.faults.iter().map(ToString::to_string).collect()
}

/// Checks that the errors of a document are exactly those that start with the expected texts.
#[track_caller]
fn check(document: &str, expected: &[&str]) {
    let found = faults(load(document));
    let all_match =
        found.len() == expected.len() && expected.iter().all(|text| found.iter().any(|fault| fault.starts_with(text)));
    assert!(all_match, "{found:#?}");
}

const WHOLE: &str = r#"
    [ayrshare]
    api_key = "KEY"
    base_url = "http://127.0.0.1:8080/api/"
    concurrency = 4
    timeout = "5s"
    scheduled_posts = false
    [[profiles]]
    name = "Head office"
    primary = true
    [[profiles]]
    name = "Acme Coffee"
    key = "env:ACME"
    [alerts]
    thresholds = ["14d", "1d"]
    repeat = "every-run"
    when_empty = "report"
    ignore = ["*.tmp"]
    ignore_profiles = ["Cafe\u0301 *"]
    [[channels]]
    name = "team"
    type = "slack"
    webhook_url = "https://hooks.slack.com/services/T0/B0/x"
    profiles = ["Acme Coffee"]
    thresholds = ["3d"]
    [[channels]]
    name = "mail"
    type = "sns"
    topic_arn = "env:TOPIC"
    format = "amazon-q"
    [[channels]]
    name = "own"
    type = "webhook"
    url = "https://example.com/hook"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    [ledger]
    type = "dynamodb"
    table = "env:TABLE"
    [http]
    require_authorizer = false
    report_url = "https://example.com"
    link_secret = "0123456789abcdef0123456789abcdef"
    link_ttl = "1d"
    calendar_ttl = "90d"
    allow_handled = true
    [store]
    url = "s3://kept.example/media/alerts/"
    [heartbeat]
    url = "https://hc-ping.com/00000000-0000-0000-0000-000000000000"
"#;

const SMALL: &str = r#"
    [ayrshare]
    api_key = "KEY"
    [[profiles]]
    name = "A"
    primary = true
    [[channels]]
    name = "mail"
    type = "sns"
    topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts"
"#;

fn small_with(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replace(from, to)
}

/// The profiles of a channel.
fn audience(config: &Config, channel: usize) -> Vec<&str> {
    let known = config.profiles.iter().map(|profile| (&profile.name, &profile.tags));
    config.channels[channel].audience.select(known).into_iter().map(ProfileName::as_str).collect()
}

#[test]
fn a_channel_selects_profiles_by_name_glob_and_tag() {
    let document = |audience: &str| {
        format!(
            "ayrshare = {{api_key = 'KEY'}}\nprofiles = [{{name = 'Head office', primary = true}}, {{name = 'Acme [EU]', \
             key = 'K1', tags = ['emea', 'r\u{e9}gion']}}, {{name = 'Acme E', key = 'K2'}}, {{name = 'Cafe\u{301}', key = 'K3'}}, \
             {{name = 'a[b', key = 'K4'}}]\n[[channels]]\nname = 'mail'\ntype = 'sns'\n\
             topic_arn = 'arn:aws:sns:eu-central-1:123456789012:alerts'\n{audience}"
        )
    };
    let check = |text: &str, expected: &[&str]| {
        let config = load(&document(text)).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(audience(&config, 0), expected, "{text}");
    };
    check("", &["Head office", "Acme [EU]", "Acme E", "Cafe\u{301}", "a[b"]);
    check("profiles = ['Acme *']", &["Acme [EU]", "Acme E"]);
    check("profiles = ['Acme [EU]']", &["Acme [EU]"]);
    check("profiles = ['a[b', 'Caf\u{e9}']", &["Cafe\u{301}", "a[b"]);
    check("profiles = ['Nobody *']", &[]);
    check("tags = ['emea']", &["Acme [EU]"]);
    check("profiles = ['Head *']\ntags = ['re\u{301}gion']", &["Head office", "Acme [EU]"]);

    let refuse = |text: &str, expected: &[&str]| {
        let faults = faults(load(&document(text)));
        assert_eq!(faults, expected, "{text}");
    };
    refuse("profiles = ['Acme']", &["channels[0].profiles[0]: there is no profile of this name"]);
    refuse(
        "profiles = ['x[b']",
        &["channels[0].profiles[0]: is not a valid glob; write `[[]` for `[` and `[{]` for `{`"],
    );
    refuse("profiles = ['Acme *', 'Acme *']", &["channels[0].profiles[1]: is in this list already"]);
    refuse("profiles = []", &["channels[0].profiles: is empty; remove the key, or list at least one entry"]);
    refuse(
        "tags = ['emea', 'apac', 'emea', '']",
        &[
            "channels[0].tags[1]: there is no profile with this tag",
            "channels[0].tags[2]: is in this list already",
            "channels[0].tags[3]: must be one line of 1 to 200 characters",
        ],
    );
    refuse("profiles = 'Acme *'", &["channels[0].profiles: expected an array of strings, found a string"]);
}

#[test]
fn a_document_with_every_setting_is_read_and_its_references_are_resolved() {
    let config = load(WHOLE).expect("a configuration");
    assert_eq!(config.ayrshare.concurrency, 4);
    assert_eq!(config.ayrshare.timeout, Duration::from_secs(5));
    assert!(!config.ayrshare.scheduled_posts && !config.http.require_authorizer);
    let key = config.profiles[1].key.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(key, Some("ACME-KEY"));
    assert_eq!(audience(&config, 0), ["Acme Coffee"]);
    assert!(config.channels[1].audience.is_all());
    assert_eq!(config.channels[1].thresholds.iter().map(Threshold::label).collect::<Vec<_>>(), ["1d", "14d"]);
    assert!(
        matches!(&config.channels[1].kind, ChannelKind::Sns { topic, format: SnsFormat::AmazonQ } if topic.region() == "eu-central-1")
    );
    assert_eq!(config.ledger, Some(LedgerConfig::DynamoDb { table: "ledger".into() }));
    let store = StoreConfig::S3 { bucket: "kept.example".into(), prefix: "media/alerts".into() };
    assert_eq!(config.store, Some(store));
    assert_eq!(config.alerts.repeat, Repeat::EveryRun);
    assert!(config.alerts.ignore.is_match("a.tmp") && config.alerts.when_empty == WhenEmpty::Report);
    assert!(config.alerts.ignore_profiles.is_match("Caf\u{e9} 1") && !config.alerts.ignore_profiles.is_match("a.tmp"));
    let hears_of_all: Vec<_> = config.channels.iter().map(Channel::hears_of_all_profiles).collect();
    assert_eq!(hears_of_all, [false, true, true]);
}

fn slack_with(settings: &str) -> String {
    let slack = "type = \"slack\"\n    webhook_url = \"https://hooks.slack.com/services/T0/B0/x\"";
    let sns = "type = \"sns\"\n    topic_arn = \"arn:aws:sns:eu-central-1:123456789012:alerts\"";
    format!("{}\n{settings}", small_with(sns, slack))
}

#[test]
fn a_slack_channel_mentions_users_groups_and_its_members_from_a_threshold_on() {
    let mentions = |settings: &str| {
        let config = load(&slack_with(settings)).unwrap_or_else(|invalid| panic!("{settings}: {invalid}"));
        let ChannelKind::Slack { mentions, .. } = &config.channels[0].kind else { panic!("not Slack") };
        mentions.clone().map(|mentions| (mentions.who, mentions.at.label().to_owned()))
    };
    assert_eq!(mentions(""), None);
    assert_eq!(mentions("mention = []"), None);
    assert_eq!(mentions("mention = ['here']"), Some((vec![Mention::Here], "1d".into())));
    assert_eq!(mentions("mention = ['here']\nthresholds = ['9d', '2h']"), Some((vec![Mention::Here], "2h".into())));
    let who = vec![Mention::Channel, Mention::User("U012AB3CD".into()), Mention::UserGroup("SAZ94GDB8".into())];
    assert_eq!(
        mentions("mention = ['channel', 'U012AB3CD', 'SAZ94GDB8']\nmention_at = '3d'"),
        Some((who, "3d".into()))
    );

    for wrong in
        ["", "U", "@here", "everyone", "<!here>", "u012ab3cd", "C012AB3CD", "U012AB3CD>", "U0 1", "Üx", "maria"]
    {
        let found = faults(load(&slack_with(&format!("mention = ['here', '{wrong}']"))));
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(found[0].starts_with("channels[0].mention[1]: is neither `here` nor `channel`"), "{found:?}");
    }
    check(&slack_with("mention = ['PASTED-SECRET']"), &["channels[0].mention[0]: is neither"]);
    let found = faults(load(&slack_with("mention = ['PASTED-SECRET']\nmention_at = 'OTHER-SECRET'")));
    assert!(found.len() == 2 && !found.concat().contains("SECRET"), "{found:?}");
    check(&slack_with("mention = 'here'"), &["channels[0].mention: expected an array of strings"]);
    check(&slack_with("mention = ['here', 'here']"), &["channels[0].mention[1]: is in this list already"]);
    check(&slack_with("mention = ['here']\nmention_at = '0d'"), &["channels[0].mention_at: is not a duration"]);
    check(&slack_with("mention_at = '1d'"), &["channels[0].mention_at: needs `mention`"]);
    let many: Vec<_> = (0..21).map(|number| format!("'U{number}'")).collect();
    check(&slack_with(&format!("mention = [{}]", many.join(","))), &["channels[0].mention: has more than 20 entries"]);
    let of_sns = format!("{SMALL}\nmention = ['here']\nmention_at = '1d'");
    check(&of_sns, &["channels[0].mention: is not a key", "channels[0].mention_at: is not a key"]);
}

#[test]
fn a_note_is_one_line_of_any_channel() {
    let with = |note: &str| load(&format!("{SMALL}\nnote = \"{note}\""));
    let noted = |text: &str| with(text).expect("a configuration").channels[0].note.clone().expect("a note");
    assert_eq!(noted("Runbook: https://example.com/a_b?c=d"), "Runbook: https://example.com/a_b?c=d");
    assert_eq!(noted(&"é".repeat(300)).chars().count(), 300);
    assert_eq!(noted(" a\u{202E} b "), "a b");
    assert_eq!(load(SMALL).expect("a configuration").channels[0].note, None);
    for wrong in ["", "  ", "\u{200B}", "SECRET\\nline", "SECRET\\u0007", &"SECRET".repeat(51)] {
        let found = faults(with(wrong));
        assert_eq!(found, ["channels[0].note: must be one line of 1 to 300 characters"], "{wrong}");
    }
}

#[test]
fn a_channel_has_the_time_zone_of_the_alerts_or_its_own() {
    let zones = |alerts: &str, channel: &str| {
        let document = format!("{SMALL}\n{channel}\n[alerts]\n{alerts}");
        let config = load(&document).expect("a configuration");
        [&config.alerts.timezone, &config.channels[0].timezone].map(|zone| zone.name().expect("a name").to_owned())
    };
    let (berlin, new_york) = ("timezone = \"Europe/Berlin\"", "timezone = \"America/New_York\"");
    assert_eq!(zones("", ""), ["UTC", "UTC"]);
    assert_eq!(zones(berlin, ""), ["Europe/Berlin", "Europe/Berlin"]);
    assert_eq!(zones(berlin, new_york), ["Europe/Berlin", "America/New_York"]);
    assert_eq!(zones("", new_york), ["UTC", "America/New_York"]);

    let wrong = format!("{SMALL}\ntimezone = \"SECRET-1\"\n[alerts]\ntimezone = \"SECRET-2\"");
    let reason = "is not the name of a time zone; write it like `Europe/Berlin`, or `UTC`";
    assert_eq!(faults(load(&wrong)), [format!("alerts.timezone: {reason}"), format!("channels[0].timezone: {reason}")]);
    check(&format!("{SMALL}\ntimezone = 3"), &["channels[0].timezone: "]);
}

#[test]
fn settings_have_the_documented_defaults() {
    let config = load(SMALL).expect("a configuration");
    assert_eq!(config.ayrshare.base_url.as_str(), "https://api.ayrshare.com/api");
    assert_eq!((config.ayrshare.concurrency, config.ayrshare.timeout), (8, Duration::from_secs(10)));
    assert!(config.ayrshare.scheduled_posts && config.http.require_authorizer);
    assert_eq!(config.http.link_ttl, Duration::from_hours(7 * 24));
    assert_eq!(config.http.calendar_ttl, Duration::from_hours(365 * 24));
    assert!(!config.http.allow_handled);
    assert_eq!(config.channels[0].thresholds.iter().map(Threshold::label).collect::<Vec<_>>(), ["1d", "3d", "7d"]);
}

#[test]
fn files_to_rescue_have_a_rule_a_time_and_a_size() {
    let document = |rescue: &str| format!("{SMALL}\n[store]\nurl = 'kept'\n[rescue]\n{rescue}");
    let rescue = |rescue: &str| load(&document(rescue)).map(|config| config.rescue.expect("a rescue"));
    let of = |files, max_file_bytes| Ok(RescueConfig { files, max_file_bytes });
    let expiring = |within: &str| RescueFiles::Expiring(Threshold::parse(within).expect("a threshold"));
    assert_eq!(rescue(""), of(RescueFiles::OfPosts, 1_000_000_000));
    assert_eq!(rescue("files = 'of-posts'\nwithin = '3d'"), of(RescueFiles::OfPosts, 1_000_000_000));
    assert_eq!(rescue("files = 'expiring'\nwithin = '30d'\nmax_file_size = '2GB'"), of(expiring("30d"), 2_000_000_000));
    assert_eq!(rescue("files = 'expiring'\nmax_file_size = '500MB'"), of(expiring("1d"), 500_000_000));
    let alerts = format!("{}\n[alerts]\nthresholds = ['14d', '36h']", document("files = 'expiring'"));
    assert_eq!(load(&alerts).map(|config| config.rescue), of(expiring("36h"), 1_000_000_000).map(Some));
    assert_eq!(load(SMALL).map(|config| config.rescue), Ok(None));

    for size in
        ["", "1", "MB", "0MB", "1.5GB", "-1GB", "1gb", "1 GB", "1TB", "51GB", "99999999999999999999GB", "sk-secret"]
    {
        let found = faults(load(&document(&format!("max_file_size = '{size}'"))));
        assert!(found.len() == 1 && found[0].starts_with("rescue.max_file_size: is"), "{size}: {found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
    }
    check(&document("files = 'all'"), &["rescue.files: expected `of-posts` or `expiring`"]);
    check(&document("within = '3 days'"), &["rescue.within: is not a duration"]);
    check(
        &document("folder = 'x'"),
        &["rescue.folder: is not a key of this table; the keys are files, max_file_size, within"],
    );
    check(&format!("{SMALL}\n[rescue]"), &["rescue: needs a place for the copies; add `[store]`"]);
    let without_posts = document("").replace("[ayrshare]", "[ayrshare]\nscheduled_posts = false");
    check(&without_posts, &["rescue.files: `of-posts` needs the scheduled posts"]);
    assert!(load(&format!("{without_posts}\nfiles = 'expiring'")).is_ok());
}

#[test]
fn a_store_is_a_folder_or_a_place_in_a_bucket() {
    let store =
        |url: &str| load(&format!("{SMALL}\n[store]\nurl = '{url}'")).map(|config| config.store.expect("a store"));
    let folder = |path: &str| Ok(StoreConfig::Folder(path.into()));
    assert_eq!(store("/var/lib/media alerts"), folder("/var/lib/media alerts"));
    assert_eq!(store("kept"), folder("kept"));
    assert_eq!(store("file:///var/lib/media%20alerts"), folder("/var/lib/media alerts"));
    let s3 = |prefix: &str| Ok(StoreConfig::S3 { bucket: "kept".into(), prefix: prefix.into() });
    assert_eq!(store("s3://kept"), s3(""));
    assert_eq!(store("s3://kept/"), s3(""));
    assert_eq!(store("s3://kept/a/東 b/"), s3("a/東 b"));
    assert_eq!(store("env:TABLE"), folder("ledger"));

    let secret = "hidden";
    for wrong in [
        " ",
        "s3:",
        "s3:hidden",
        "s3://",
        "s3:///hidden",
        "s3://Hidden/a",
        "s3://hidden/../a",
        "s3://hidden/a/./b",
        "https://hidden.example",
        "gs://hidden/a",
        "vault:hidden",
        "file://hidden.example/a",
        "file:hidden?x#y",
    ] {
        let found = faults(load(&format!("{SMALL}\n[store]\nurl = '{wrong}'")));
        assert!(
            found.len() == 1 && found[0].starts_with("store.url: ") && !found[0].contains(secret),
            "{wrong}: {found:?}"
        );
    }
    let long = format!("s3://kept/{}", "a".repeat(801));
    assert!(store(&long).is_err());
    check(&format!("{SMALL}\n[store]"), &["store.url: is missing"]);
    check(&format!("{SMALL}\n[store]\nurl = 'a'\npath = 'b'"), &["store.path: is not a key"]);
    let variables = [("AYRSHARE_API_KEY", "KEY"), ("SNS_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:alerts")];
    let with = |url| load_from(&[variables[0], variables[1], ("STORE_URL", url)]);
    assert_eq!(with("s3://kept/a").expect("a configuration").store, s3("a").ok());
    assert!(faults(with("https://hidden.example"))[0].starts_with("STORE_URL: is neither"));
}

#[test]
fn the_default_of_repeat_depends_on_the_ledger() {
    let with = |ledger: &str| {
        load(&format!("{SMALL}\n{ledger}")).map(|config| (config.ledger.is_some(), config.alerts.repeat))
    };
    assert_eq!(with(""), Ok((false, Repeat::EveryRun)));
    assert_eq!(with("[ledger]\ntype = 'none'"), Ok((false, Repeat::EveryRun)));
    assert_eq!(with("[ledger]\ntype = 'file'\npath = 'l.json'"), Ok((true, Repeat::OncePerThreshold)));
    assert_eq!(
        with("[ledger]\ntype = 'dynamodb'\ntable = 't'\n[alerts]\nrepeat = 'every-run'"),
        Ok((true, Repeat::EveryRun))
    );
    let fault = |ledger: &str| faults(load(&format!("{SMALL}\n{ledger}"))).concat();
    assert!(fault("[ledger]\ntable = 't'").starts_with("ledger.type: is missing"));
    assert_eq!(with("[ledger]"), Ok((false, Repeat::EveryRun)));
    assert!(fault("[ledger]\ntype = 'redis'").starts_with("ledger.type: expected `dynamodb` or `file`"));
    assert!(fault("[ledger]\ntype = 'file'").starts_with("ledger.path: is missing"));
    assert!(fault("[ledger]\ntype = 'dynamodb'\ntable = ' '").starts_with("ledger.table: is blank"));
    assert!(fault("[ledger]\ntype = 'file'\npath = 'x'\ntable = 'y'").starts_with("ledger.table: is not a key"));
}

#[test]
fn json_documents_are_accepted() {
    let json = r#"  {"ayrshare": {"api_key": "K"}, "profiles": [{"name": "A", "key": "env:ACME"}],
        "channels": [{"name": "c", "type": "slack", "webhook_url": "http://localhost:1/x"}]}"#;
    assert!(load(json).is_ok());
}

#[test]
fn all_errors_are_reported_together_with_their_paths() {
    check(
        r#"
        colour = "blue"
        [ayrshare]
        api_key = "two words"
        base_url = "ftp://example.com"
        concurrency = 0
        timeout = "banana"
        scheduled_posts = "yes"
        [[profiles]]
        name = "A"
        primary = true
        key = "K"
        [[profiles]]
        name = "A"
        key = ""
        [[profiles]]
        name = " \u200B"
        [[profiles]]
        key = "env:MISSING"
        primary = 1
        [alerts]
        thresholds = ["1d", "24h", "0d"]
        repeat = "once-per-threshold"
        when_empty = "loud"
        ignore = ["[a"]
        ignore_profiles = ["*", "{a"]
        [[channels]]
        name = "team"
        type = "slack"
        webhook_url = "https://hooks.slack.com/workflows/T0/A0/1/x"
        profiles = ["B"]
        [[channels]]
        name = "team"
        type = "pigeon"
        [[channels]]
        type = "sns"
        topic_arn = "arn:aws:sqs:eu-central-1:123456789012:q"
        thresholds = []
        format = "xml"
        [[channels]]
        name = "own"
        type = "webhook"
        url = "http://example.com"
        secret = "secret"
        retries = 3
        [heartbeat]
        "#,
        &[
            "colour: is not a key of this table; the keys are alerts, ayrshare, channels, heartbeat, http, ledger, profiles, profiles_from, rescue, store",
            "ayrshare.api_key: contains a space",
            "ayrshare.base_url: is neither",
            "ayrshare.concurrency: expected a whole number from 1 to 256",
            "ayrshare.timeout: is not a duration",
            "ayrshare.scheduled_posts: expected true or false, found a string",
            "profiles[0].key: the primary profile has no key",
            "profiles[1].name: is already in use",
            "profiles[1].key: is blank",
            "profiles[2].name: is blank",
            "profiles[2].key: is missing",
            "profiles[3].name: is missing",
            "profiles[3].key: env:MISSING: this environment variable is not set",
            "profiles[3].primary: expected true or false",
            "alerts.thresholds[1]: is as long as another",
            "alerts.thresholds[2]: is not a duration",
            "alerts.repeat: `once-per-threshold` needs a ledger",
            "alerts.when_empty: expected `silent` or `report`",
            "alerts.ignore[0]: is not a valid glob",
            "alerts.ignore_profiles[1]: is not a valid glob",
            "channels[0].webhook_url: is a webhook of Slack's Workflow Builder",
            "channels[0].profiles[0]: there is no profile of this name",
            "channels[1].name: is already in use",
            "channels[1].type: expected `slack` or `sns` or `webhook`",
            "channels[2].name: is missing",
            "channels[2].topic_arn: is not the ARN",
            "channels[2].thresholds: needs at least one threshold",
            "channels[2].format: expected `text` or `json` or `amazon-q`",
            "channels[3].url: a webhook URL must start with `https://`",
            "channels[3].secret: is not a signing secret",
            "channels[3].retries: is not a key of this table",
            "heartbeat.url: is missing",
        ],
    );
}

#[test]
fn an_empty_document_is_missing_its_required_settings() {
    check(
        "",
        &[
            "ayrshare.api_key: is missing",
            "profiles: needs at least one profile",
            "channels: needs at least one channel",
        ],
    );
    check(
        "profiles = []\nchannels = []\nayrshare = 1",
        &["ayrshare: expected a table", "profiles: needs at least one profile", "channels: needs at least one channel"],
    );
}

#[test]
fn a_syntax_error_has_a_position_and_quotes_nothing() {
    for (document, position) in [
        ("[ayrshare]\napi_key = \"SECRET-1", "line 2"),
        ("{\"ayrshare\": {\"api_key\": \"SECRET-1\",}}", "line 1"),
        ("[ayrshare]\napi_key = SECRET-1", "line 2"),
        ("{\"profiles\": [],\n\"ayrshare\": {\"api_key\": \"a\", \"api_key\": \"SECRET-1\"}}", "line 2"),
        ("[ayrshare]\napi_key = \"a\"\napi_key = \"SECRET-1\"", "line 3"),
    ] {
        let faults = faults(load(document));
        assert!(faults[0].starts_with(&format!("document: {position}, column")), "{faults:?}");
        assert!(!faults[0].contains("SECRET-1"), "{faults:?}");
    }
}

#[test]
fn errors_and_debug_output_contain_no_secret() {
    let with_secrets = WHOLE
        .replace("\"KEY\"", "\"SECRET 1\"")
        .replace("env:ACME", "SECRET 2")
        .replace("/services/T0/B0/x", "/workflows/SECRET-3")
        .replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_SECRET-4")
        .replace("https://hc-ping.com/0", "http://hc-ping.com/SECRET-5");
    let faults = faults(load(&with_secrets));
    assert_eq!(faults.len(), 5, "{faults:#?}");
    assert!(!faults.concat().contains("SECRET"), "{faults:#?}");

    let config = load(WHOLE).expect("a configuration");
    let debug = format!("{config:?}");
    for secret in
        ["\"KEY\"", "ACME-KEY", "services/T0", "whsec_", "0123456789abcdef", "hc-ping.com", "example.com/hook"]
    {
        assert!(!debug.contains(secret), "{secret} in {debug}");
    }
    let redacted = config.redactor().redact("ACME-KEY https://hooks.slack.com/services/T0/B0/x and services/T0/B0/x");
    assert_eq!(redacted, "[redacted] [redacted] and [redacted]");
}

/// Replaces each string of a document except references with the next of `values`, and each number with 987654321.
fn replace_values(value: &mut Value, values: &mut impl Iterator<Item = String>) {
    match value {
        Value::String(text) if Reference::parse(text).is_none() => *text = values.next().unwrap_or_default(),
        Value::Number(number) => *number = 987_654_321.into(),
        Value::Array(elements) => elements.iter_mut().for_each(|element| replace_values(element, values)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace_values(field, values)),
        _ => {}
    }
}

/// Returns a strategy for strings that are valid for some keys, almost valid for others, and all contain a secret.
fn canary() -> impl Strategy<Value = String> {
    let around = |before: &'static str, after: &'static str| Just(format!("{before}CANARY{after}"));
    prop_oneof![
        around("", ""),
        around("", "d"),
        around("1", ""),
        around("[", ""),
        around("{a,", ""),
        around("[b-a]", ""),
        around("a key\n", ""),
        around("vault:", ""),
        around("canary1:", ""),
        around("https://", ""),
        around("https://user:", "@example.com/a?b#c"),
        around("ftp://", ""),
        around("http://example.com/", ""),
        around("https://hooks.slack.com/workflows/", ""),
        around("whsec_", ""),
        around("arn:aws:sns:", ":1:alerts"),
        around("arn:aws:sns:a b:", ":alerts"),
        Just(format!("CANARY{}", "x".repeat(300))),
    ]
}

proptest! {
    #[test]
    fn errors_repeat_no_value(values in proptest::collection::vec(canary(), 40), reached in any::<bool>()) {
        let mut document: Value = toml::from_str(WHOLE).expect("TOML");
        replace_values(&mut document, &mut values.into_iter());
        if reached {
            // The remaining keys are read, too.
            document["channels"][0]["type"] = "slack".into();
            document["channels"][1]["type"] = "sns".into();
            document["channels"][2]["type"] = "webhook".into();
        }
        let found = faults(load(&document.to_string())).concat();
        prop_assert!(!found.to_lowercase().contains("canary") && !found.contains("987"), "{found}");
    }
}

#[test]
fn errors_do_not_quote_the_value_of_a_reference() {
    for (from, to) in [
        ("api_key = \"KEY\"", "api_key = \"KEY\"\ntimeout = \"env:ACME\""),
        ("api_key = \"KEY\"", "api_key = \"KEY\"\nbase_url = \"env:ACME\""),
        ("type = \"sns\"", "type = \"env:ACME\""),
        ("type = \"sns\"", "type = \"sns\"\nprofiles = [\"env:ACME\"]"),
        ("type = \"sns\"", "type = \"sns\"\nthresholds = [\"env:ACME\"]"),
    ] {
        let faults = faults(load(&small_with(from, to)));
        assert!(!faults.is_empty() && !faults.concat().contains("ACME-KEY"), "{faults:?}");
    }
}

#[test]
fn a_key_that_looks_like_a_reference_is_an_error() {
    let key = |value: &str| faults(load(&small_with("\"KEY\"", &format!("{value:?}"))));
    assert!(
        key("vault:secret/ayrshare")[0]
            .starts_with("ayrshare.api_key: is not a supported reference; use `env:NAME`, `ssm:")
    );
    assert!(key("ssm:key")[0].starts_with("ayrshare.api_key: `ssm:` must be followed by"));
    assert!(key("secretsmanager:a:b")[0].starts_with("ayrshare.api_key: `secretsmanager:` must be followed by"));
    assert!(key("env:")[0].starts_with("ayrshare.api_key: `env:` must be followed by"));
    assert!(key("env:BLANK")[0].starts_with("ayrshare.api_key: is blank"));
}

#[test]
fn http_urls_are_accepted_for_this_machine_only() {
    let url = |url: &str| load(&small_with("\"KEY\"", &format!("\"KEY\"\nbase_url = {url:?}")));
    for accepted in
        ["http://localhost:1/api", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:8", "https://a.b"]
    {
        assert!(url(accepted).is_ok(), "{accepted}");
    }
    for rejected in [
        "http://a.b",
        "http://localhost.a.b",
        "http://128.0.0.1",
        "https://",
        "a.b",
        "",
        "https://a.b?x",
        "https://u@a.b",
    ] {
        assert!(url(rejected).is_err(), "{rejected}");
    }
}

#[test]
fn a_slack_webhook_must_be_an_incoming_webhook() {
    let slack = |url: &str| {
        let channel = format!("type = \"slack\"\nwebhook_url = {url:?}");
        load(&small_with("type = \"sns\"\n    topic_arn = \"arn:aws:sns:eu-central-1:123456789012:alerts\"", &channel))
    };
    for accepted in [
        "https://hooks.slack.com/services/T/B/x",
        "https://hooks.slack-gov.com/services/T/B/x",
        "http://127.0.0.1:9/services/T/B/x",
        "https://relay.example.com/slack",
    ] {
        assert!(slack(accepted).is_ok(), "{accepted}");
    }
    for rejected in [
        "https://hooks.slack.com/workflows/T/A/1/x",
        "https://hooks.slack.com/triggers/T/1/x",
        "https://hooks.slack.com/",
        "http://127.0.0.1:9/workflows/T/A/1/x",
        "http://hooks.slack.com/services/T/B/x",
    ] {
        assert!(slack(rejected).is_err(), "{rejected}");
    }
}

#[test]
fn environment_variables_alone_can_be_the_configuration() {
    let load = load_from;
    let slack = ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T/B/x");
    let config = load(&[
        ("AYRSHARE_API_KEY", "K"),
        slack,
        ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:1:t"),
        ("EMAIL_FROM", "Media alerts <alerts@example.com>"),
        ("EMAIL_TO", "maria@example.com, noor@example.com"),
        ("TEAMS_WEBHOOK_URL", "https://contoso.example/triggers/manual/paths/invoke?sig=x"),
        ("THRESHOLDS", "14d, 1d"),
        ("TIMEZONE", "America/New_York"),
        ("MEDIA_ALERTS_CONFIG", " "),
    ])
    .expect("a configuration");
    assert_eq!(config.profiles[0].name.as_str(), "Primary");
    let names: Vec<_> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["slack", "email", "teams", "sns"]);
    assert!(matches!(&config.channels[1].kind, ChannelKind::Email(email) if email.to.len() == 2));
    assert_eq!(config.channels[0].thresholds.iter().map(Threshold::label).collect::<Vec<_>>(), ["1d", "14d"]);
    assert_eq!(config.channels[1].timezone.name(), Some("America/New_York"));

    let faults = |variables: &[(&str, &str)]| faults(load(variables));
    assert_eq!(faults(&[]).len(), 2);
    assert!(faults(&[slack])[0].starts_with("AYRSHARE_API_KEY: is missing"));
    assert!(faults(&[("AYRSHARE_API_KEY", "K")])[0].starts_with("SLACK_WEBHOOK_URL: set SLACK_WEBHOOK_URL"));
    let wrong = faults(&[
        ("AYRSHARE_API_KEY", "a b"),
        ("EMAIL_TO", "maria@example.com, noor"),
        ("TEAMS_WEBHOOK_URL", "https://contoso.webhook.office.com/webhookb2/x"),
        ("SNS_TOPIC_ARN", "x"),
        ("THRESHOLDS", "7d,x"),
        ("AYRSHARE_BASE_URL", "x"),
        ("TIMEZONE", "x"),
    ]);
    for path in [
        "AYRSHARE_API_KEY: ",
        "EMAIL_FROM: is missing",
        "EMAIL_TO[1]: ",
        "TEAMS_WEBHOOK_URL: ",
        "SNS_TOPIC_ARN: ",
        "THRESHOLDS[1]: ",
        "AYRSHARE_BASE_URL: ",
        "TIMEZONE: ",
    ] {
        assert!(wrong.iter().any(|fault| fault.starts_with(path)), "{path} {wrong:?}");
    }
    assert_eq!(wrong.len(), 8, "{wrong:?}");
}

#[test]
fn an_invalid_document_location_is_an_error() {
    let load = |location: &str| faults(load_from(&[(CONFIG_VARIABLE, location)]));
    assert!(
        load("/no/such/file.toml")[0].starts_with("MEDIA_ALERTS_CONFIG: /no/such/file.toml cannot be read: No such")
    );
    for (location, expected) in [
        ("vault:x", "MEDIA_ALERTS_CONFIG: the document cannot be read from there; give the path"),
        ("https://example.com/a.toml", "MEDIA_ALERTS_CONFIG: the document cannot be read from there"),
        ("env:DOCUMENT", "MEDIA_ALERTS_CONFIG: the document cannot be read from there"),
        ("ssm:name", "MEDIA_ALERTS_CONFIG: `ssm:` must be followed by the full name"),
        ("secretsmanager:", "MEDIA_ALERTS_CONFIG: `secretsmanager:` must be followed by"),
        ("s3:/bucket/key", "MEDIA_ALERTS_CONFIG: `s3:` must be followed by a bucket and a key"),
        ("[ayrshare]\napi_key = \"SECRET-1\"", "MEDIA_ALERTS_CONFIG: this file cannot be read"),
        ("{\"ayrshare\": {\"api_key\": \"SECRET-1\"}}", "MEDIA_ALERTS_CONFIG: this file cannot be read"),
        ("./a:b.toml", "MEDIA_ALERTS_CONFIG: ./a:b.toml cannot be read"),
    ] {
        assert!(load(location)[0].starts_with(expected), "{location}: {:?}", load(location));
    }
}

#[test]
fn an_unavailable_service_is_a_transient_error() {
    // Nothing listens on port 9 of this machine. One second is enough for more than one attempt.
    let load = |key: &str, more: &str| {
        let document = small_with("\"KEY\"", &format!("{key:?}")) + more;
        let environment = Environment::of([
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let aws = aws(environment.clone());
        let document = parse::document(&document).expect("a valid document");
        let loaded = runtime().block_on(async {
            let deadline = Deadline::after(Duration::from_secs(1));
            Config::from_document(document, ReferenceSources { environment: &environment, aws: &aws, deadline }).await
        });
        loaded.expect_err("faults")
    };
    let invalid = load("ssm:/key", "");
    assert!(invalid.is_transient());
    let fault = invalid.faults[0].to_string();
    assert!(fault.starts_with("ayrshare.api_key: ssm:/key: Parameter Store cannot be reached: "), "{fault}");
    let invalid = load("secretsmanager:media#key", "\ncolour = 1");
    assert!(invalid.is_transient() && invalid.faults.len() == 2, "{invalid}");
    assert!(!load("env:MISSING", "").is_transient());
    assert!(!load("ssm:wrong", "").is_transient());
}

#[test]
fn a_link_secret_has_32_characters_or_more_and_is_taken_whole() {
    let with = |lines: &str| load(&WHOLE.replace("link_secret = \"0123456789abcdef0123456789abcdef\"", lines));
    let passphrase = "correct horse battery staple and more";
    let lines = format!("link_secret = '{passphrase}'\nprevious_link_secret = '0123456789abcdef0123456789abcdef'");
    let config = with(&lines).expect("a configuration");
    let text = format!("{passphrase}, 0123456789abcdef0123456789abcdef, battery");
    assert_eq!(config.redactor().redact(&text), "[redacted], [redacted], battery");
    for key in ["link_secret", "previous_link_secret"] {
        for short in ["", "changeme", &"k".repeat(31), &format!("short{}", " ".repeat(40)), "fedcba9876543210\tshort"] {
            let found = faults(with(&format!("{key} = \"{short}\"")));
            assert!(found.len() == 1 && found[0].starts_with(&format!("http.{key}: ")), "{found:?}");
            assert!(["changeme", "kkkk", "fedcba"].iter().all(|value| !found[0].contains(value)), "{found:?}");
        }
        // Characters are counted, and not bytes.
        assert!(with(&format!("{key} = '{}'", "é".repeat(32))).is_ok());
        assert!(with(&format!("{key} = '{}'", "é".repeat(31))).is_err());
    }
}

/// Loads a small configuration whose channel has these settings.
fn load_channel(settings: &str) -> Result<Config, InvalidConfiguration> {
    load(&small_with("type = \"sns\"\n    topic_arn = \"arn:aws:sns:eu-central-1:123456789012:alerts\"", settings))
}

#[test]
fn an_email_channel_has_a_sender_and_up_to_50_recipients() {
    let email = |settings: &str| load_channel(&format!("type = \"email\"\n{settings}"));
    let from = "from = \"Media alerts <alerts@example.com>\"";
    let config =
        email(&format!("{from}\nto = [\"maria@example.com\"]\nregion = \"eu-central-1\"")).expect("a configuration");
    let ChannelKind::Email(EmailConfig { from: sender, to, region, pictures }) = &config.channels[0].kind else {
        panic!("not an email channel");
    };
    assert_eq!(
        (sender.address(), to.len(), region.as_deref(), *pictures),
        ("alerts@example.com", 1, Some("eu-central-1"), true)
    );

    let many: Vec<_> = (0..51).map(|number| format!("\"m{number}@example.com\"")).collect();
    for (settings, path) in [
        (format!("{from}\nto = []"), "channels[0].to"),
        (from.to_owned(), "channels[0].to"),
        (format!("{from}\nto = [{}]", many.join(",")), "channels[0].to"),
        (format!("{from}\nto = [\"maria@example.com\", \"Maria@Example.com\"]"), "channels[0].to[1]"),
        (format!("{from}\nto = [\"hunter2\"]"), "channels[0].to[0]"),
        ("from = \"hunter2\"\nto = [\"maria@example.com\"]".to_owned(), "channels[0].from"),
        ("to = [\"maria@example.com\"]".to_owned(), "channels[0].from"),
        (format!("{from}\nto = [\"maria@example.com\"]\nregion = \"hunter2\""), "channels[0].region"),
    ] {
        let faults = faults(email(&settings));
        assert!(faults.len() == 1 && faults[0].starts_with(&format!("{path}:")), "{settings}: {faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }
}

#[test]
fn a_teams_webhook_belongs_to_a_workflow_that_anyone_can_trigger() {
    let teams = |url: &str| load_channel(&format!("type = \"teams\"\nwebhook_url = {url:?}"));
    let path = "powerautomate/automations/direct/workflows/1/triggers/manual/paths/invoke";
    for accepted in [
        &format!("https://default1.environment.api.powerplatform.com:443/{path}?api-version=1&sp=x&sv=1.0&sig=abc"),
        "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=abc",
        "https://relay.example.com/?sig=abc",
        "http://127.0.0.1:9/hook?sig=abc",
    ] {
        assert!(teams(accepted).is_ok(), "{accepted}");
    }
    for (rejected, reason) in [
        ("https://acme.webhook.office.com/webhookb2/1/IncomingWebhook/2/3?sig=a", "retired"),
        ("https://outlook.office.com/webhook/1?sig=a", "retired"),
        ("https://acme.webhook.office.com./webhookb2/1?sig=a", "retired"),
        ("https://prod-1.logic.azure.com/workflows/1", "Who can trigger the flow"),
        ("https://prod-1.logic.azure.com/workflows/1?sig=", "Who can trigger the flow"),
        ("http://prod-1.logic.azure.com/workflows/1?sig=a", "https://"),
    ] {
        let faults = faults(teams(rejected));
        assert!(faults.len() == 1 && faults[0].contains(reason), "{rejected}: {faults:?}");
    }
}
