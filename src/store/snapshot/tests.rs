use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::config::StoreConfig;
use crate::digest::fixtures::{hostile_survey, survey, survey_of, unwatched};
use crate::model::Copies;
use crate::net::aws::Aws;
use crate::net::environment::Environment;

const RUN: &str = "3f0e8a56-7f4e-4c55-9d0c-9d1f6c2c5a10";
const NEXT_RUN: &str = "9a1b2c3d-7f4e-4c55-9d0c-9d1f6c2c5a11";

fn rules() -> SnapshotRules {
    let thresholds = ["7d", "3d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"));
    SnapshotRules {
        thresholds: thresholds.into(),
        ignore: BTreeSet::new(),
        ignore_profiles: BTreeSet::new(),
        scheduled_posts: true,
        check_media_urls: true,
        discover_profiles: true,
        profiles_from: false,
    }
}

/// A survey with something in each of its lists.
fn everything() -> Survey {
    let mut survey = survey();
    let profile = survey.profiles[0].name.clone();
    let url = "https://example.com/a.png".to_owned();
    survey.unverified.push(UnverifiedUrl { profile, post_id: None, url, http_status: Some(403) });
    survey.discovery = unwatched([(Some("Birch & Co".to_owned()), "b1".to_owned()), (None, "b2".to_owned())]);
    let item = &survey.items[0];
    let copy = KeptCopy::new(item.profile.clone(), "copies/Head office/a.png".to_owned(), 223_340, false);
    let mut copies = Copies::on();
    copies.add(item.profile.clone(), item.media.identity(), Arc::new(copy));
    survey.copies = Arc::new(copies);
    assert!(!survey.items.is_empty() && !survey.posts_at_risk.is_empty());
    survey
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

struct TestStore {
    folder: TempDir,
    store: Store,
}

impl TestStore {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let aws = Aws::new(crate::net::client().expect("a client"), Environment::of::<&str, &str>([]));
        let store = Store::new(&StoreConfig::Folder(folder.path().to_owned()), &aws).await;
        Self { folder, store }
    }

    async fn save(&self, survey: &Survey, run_id: &str) {
        save(&self.store, survey, run_id, rules(), soon()).await.expect("saved");
    }

    async fn read(&self) -> Result<Survey, StoreError> {
        let manifest = newest(&self.store, soon()).await?.expect("a manifest");
        read(&self.store, &manifest, soon()).await
    }

    /// The names of all objects.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(FOLDER)).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn path(&self, key: &str) -> std::path::PathBuf {
        self.folder.path().join(key)
    }
}

/// Everything but the posts that were seen, which only announcing needs.
fn content(survey: &Survey) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        json(survey),
        survey.profiles.clone(),
        survey.items.clone(),
        survey.posts_at_risk.clone(),
        json(&survey.unverified),
        json(&survey.copies.sorted()),
    )
}

#[tokio::test]
async fn a_snapshot_is_read_as_it_was_saved_and_replaces_the_one_before() {
    let store = TestStore::new().await;
    assert_eq!(newest(&store.store, soon()).await, Ok(None));
    for (survey, run_id) in [(survey(), RUN), (survey_of(300), NEXT_RUN), (everything(), RUN)] {
        store.save(&survey, run_id).await;
        assert_eq!(content(&store.read().await.expect("a snapshot")), content(&survey));
        assert_eq!(store.names(), [format!("{run_id}-0.jsonl.gz"), "latest.json".to_owned()]);
    }
}

#[tokio::test]
async fn a_large_snapshot_has_several_parts_and_shares_its_names() {
    let store = TestStore::new().await;
    let survey = survey_of(30_000);
    store.save(&survey, RUN).await;
    assert!(2 < store.names().len(), "{:?}", store.names());
    let read = store.read().await.expect("a snapshot");
    assert_eq!(read.items, survey.items);
    let profile = &read.profiles[0].name;
    let of_profile = read.items.iter().filter(|item| item.profile == *profile);
    let address = |name: &ProfileName| name.as_str().as_ptr();
    assert!(of_profile.map(|item| address(&item.profile)).all(|item| item == address(profile)));
}

#[tokio::test]
async fn a_snapshot_that_is_not_whole_is_not_used() {
    let store = TestStore::new().await;
    store.save(&survey_of(30_000), RUN).await;
    let part = store.path(&format!("snapshots/{RUN}-1.jsonl.gz"));
    let written = std::fs::read(&part).expect("a part");
    let truncated = written[..written.len() / 2].to_vec();
    let mut changed = written.clone();
    changed[written.len() / 2] ^= 1;
    let longer = [written.as_slice(), b"\n"].concat();
    for content in [truncated, changed, longer, Vec::new()] {
        std::fs::write(&part, &content).expect("written");
        assert!(matches!(store.read().await, Err(StoreError::Unusable { .. })), "{} bytes", content.len());
    }
    std::fs::remove_file(&part).expect("deleted");
    let error = store.read().await.expect_err("an error").to_string();
    assert_eq!(error, "the snapshot in the store cannot be used: part 1 is missing");
}

#[tokio::test]
async fn a_manifest_that_this_program_did_not_write_is_not_used() {
    let store = TestStore::new().await;
    store.save(&survey(), RUN).await;
    let path = store.path(MANIFEST);
    let written = std::fs::read_to_string(&path).expect("a manifest");
    let parts = written.find("\"parts\"").expect("parts");
    let many = format!("{}\"parts\":[{}]}}", &written[..parts], vec![r#"{"bytes":1,"sha256":""}"#; 33].join(","));
    for hostile in [
        String::new(),
        "{}".to_owned(),
        "[1]".to_owned(),
        written[..written.len() - 1].to_owned(),
        "[".repeat(100_000),
        " ".repeat(MAX_MANIFEST_BYTES + 1),
        written.replace("\"version\":1", "\"version\":2"),
        written.replace(FORMAT, "another snapshot"),
        written.replace(RUN, "../../etc/passwd"),
        written.replace(RUN, ""),
        written.replace("\"bytes\":", "\"bytes\":9"),
        written.replace("\"bytes\":", "\"bytes\":99999999999"),
        written.replace("\"7d\"", "\"seven\""),
        written.replace("started_at\":\"", "started_at\":\"1"),
        format!("{}\"parts\":[]}}", &written[..parts]),
        many,
    ] {
        std::fs::write(&path, &hostile).expect("written");
        let read = match newest(&store.store, soon()).await {
            Ok(manifest) => read(&store.store, &manifest.expect("a manifest"), soon()).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(read, Err(StoreError::Unusable { .. })), "{hostile:.300}: {read:?}");
        // The next run replaces it.
        store.save(&survey(), NEXT_RUN).await;
        assert!(store.read().await.is_ok());
    }
}

fn compressed(text: &str) -> Vec<u8> {
    let mut part = GzEncoder::new(Vec::new(), Compression::fast());
    part.write_all(text.as_bytes()).expect("written");
    part.finish().expect("written")
}

#[test]
fn lines_that_this_program_does_not_write_are_refused() {
    let survey = everything();
    let lines: Vec<_> = lines_of(&survey).map(|line| json(&line)).collect();
    let read = |lines: &[String]| {
        let mut reader = SnapshotReader::new(&rules());
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        reader.add_part(&compressed(&text)).map(|()| reader.finish().is_some())
    };
    assert_eq!(read(&lines), Ok(true));
    assert_eq!(read(&[]), Ok(false));
    let is = |kind: &'static str| move |line: &&String| line.starts_with(&format!("{{\"{kind}\""));
    let first = |kind| lines.iter().find(is(kind)).expect("a line of this kind").clone();
    let without = |kind| lines.iter().filter(|line| !is(kind)(line)).cloned().collect::<Vec<_>>();
    let with = |line: String| [lines.clone(), vec![line]].concat();
    for (hostile, what) in [
        (without("survey"), "no survey"),
        (without("profile"), "no profiles"),
        (with(first("survey")), "two surveys"),
        (with(first("profile")), "a profile twice"),
        (with(first("item").replace("\"profile\":\"", "\"profile\":\"x")), "an item of no profile"),
        (with(first("post").replace("\"galleries\":[", "\"galleries\":[[null,null],")), "one gallery more"),
        (with("{\"colour\":1}".to_owned()), "an unknown line"),
        (with(String::new()), "an empty line"),
    ] {
        assert_eq!(read(&hostile), Err(InvalidLine), "{what}");
    }
    let mut reader = SnapshotReader::new(&rules());
    assert_eq!(reader.add_part(&compressed(lines[0].as_str())), Err(InvalidLine), "a line without an end");
    assert_eq!(reader.add_part(b"{}"), Err(InvalidLine), "not compressed");
}

#[test]
fn a_part_that_grows_without_end_is_refused_early() {
    // 64 MB of spaces are 64 KB.
    let mut part = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..1_024 {
        part.write_all(&vec![b'\n'; 64 * 1024]).expect("written");
    }
    let part = part.finish().expect("written");
    assert!(part.len() < MAX_COMPRESSED_BYTES);
    assert_eq!(SnapshotReader::new(&rules()).add_part(&part), Err(InvalidLine));
}

#[test]
fn rules_cover_those_that_ask_for_no_more() {
    let thresholds = |labels: &[&str]| {
        labels.iter().map(|text| Threshold::parse(text).expect("a threshold")).collect::<BTreeSet<_>>()
    };
    let with = |labels: &[&str]| SnapshotRules { thresholds: thresholds(labels), ..rules() };
    assert!(rules().cover(&with(&["7d"])) && rules().cover(&with(&["5d", "2h"])) && rules().cover(&rules()));
    assert!(!rules().cover(&with(&["8d", "1d"])));
    assert!(!rules().cover(&SnapshotRules { ignore: ["*.tmp".to_owned()].into(), ..rules() }));
    assert!(!SnapshotRules { scheduled_posts: false, ..rules() }.cover(&rules()));
    assert!(!rules().cover(&SnapshotRules { check_media_urls: false, ..rules() }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_snapshot_is_read_as_it_was_saved(survey in hostile_survey()) {
        let read = block_on(async {
            let store = TestStore::new().await;
            store.save(&survey, RUN).await;
            store.read().await
        });
        prop_assert_eq!(read.map(|read| content(&read)), Ok(content(&survey)));
    }

    #[test]
    fn no_part_makes_the_reader_panic(text in "[\\PC\\n]{0,400}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = SnapshotReader::new(&rules());
        let _ = reader.add_part(&compressed(&text));
        let _ = reader.add_part(&bytes);
    }
}
