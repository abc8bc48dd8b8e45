//! The items of the table, and the inputs and outputs of the operations that read and write them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Change, Key, Record};
use crate::model::Level;
use crate::model::ProfileName;

/// A value in DynamoDB's notation: `{"S": "text"}` or `{"N": "1"}`. Values of other types are read as empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Attribute<'a> {
    #[serde(rename = "S", borrow, default, skip_serializing_if = "str::is_empty")]
    pub(super) text: Cow<'a, str>,
    #[serde(rename = "N", borrow, default, skip_serializing_if = "str::is_empty")]
    pub(super) number: Cow<'a, str>,
}

impl<'a> Attribute<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self { text: text.into(), number: Cow::default() }
    }

    pub(super) fn number(number: i64) -> Self {
        Self { text: Cow::default(), number: number.to_string().into() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.number.is_empty()
    }

    pub(super) fn as_number(&self) -> Option<i64> {
        self.number.parse().ok()
    }

    fn as_moment(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.as_number()?).ok()
    }
}

/// The primary key of an item.
#[derive(Serialize)]
pub(super) struct ItemKey<'a> {
    pub(super) pk: Attribute<'a>,
    pub(super) sk: Attribute<'a>,
}

/// The item of a record.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    pub(super) pk: Attribute<'a>,
    #[serde(borrow)]
    pub(super) sk: Attribute<'a>,
    #[serde(borrow)]
    pub(super) announced_at_ms: Attribute<'a>,
    #[serde(borrow)]
    pub(super) ttl: Attribute<'a>,
    /// Absent for [`Level::SEEN`].
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    pub(super) level_s: Attribute<'a>,
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    pub(super) label: Attribute<'a>,
}

impl<'a> Item<'a> {
    pub(super) fn new(keys: ItemKey<'a>, record: &'a Record) -> Self {
        let level = || Attribute::number(i64::try_from(record.level.seconds()).unwrap_or(i64::MAX));
        Self {
            pk: keys.pk,
            sk: keys.sk,
            announced_at_ms: Attribute::number(record.announced_at.as_millisecond()),
            ttl: Attribute::number(record.keep_until.as_second()),
            level_s: if record.level == Level::SEEN { Attribute::default() } else { level() },
            label: record.label.as_deref().map(Attribute::text).unwrap_or_default(),
        }
    }

    /// Converts the item to a record. Returns `None` for an item of another version. Items are sorted by key, so
    /// neighbours often share their profile name.
    fn record(&self, profile: &mut Option<ProfileName>) -> Option<(Key, Record)> {
        let level = if self.level_s.is_empty() {
            Level::SEEN
        } else {
            Level::within(u64::try_from(self.level_s.as_number()?).ok()?)
        };
        let record = Record {
            level,
            announced_at: self.announced_at_ms.as_moment()?,
            keep_until: Timestamp::from_second(self.ttl.as_number()?).ok()?,
            label: (!self.label.text.is_empty()).then(|| self.label.text.clone().into_owned()),
        };
        Some((Key::parse_sharing(&self.sk.text, profile)?, record))
    }
}

/// One write of a batch.
#[derive(Serialize)]
pub(super) enum WriteRequest<'a> {
    PutRequest {
        #[serde(rename = "Item")]
        item: Box<Item<'a>>,
    },
    DeleteRequest {
        #[serde(rename = "Key")]
        key: ItemKey<'a>,
    },
}

impl<'a> WriteRequest<'a> {
    pub(super) fn new(partition: &'a str, change: &'a Change) -> Self {
        let sk = Attribute { text: change.key().to_string().into(), number: Cow::default() };
        let key = ItemKey { pk: Attribute::text(partition), sk };
        match change {
            Change::Put(_, record) => Self::PutRequest { item: Box::new(Item::new(key, record)) },
            Change::Delete(_) => Self::DeleteRequest { key },
        }
    }
}

/// The input of `BatchWriteItem`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchWrite<'a> {
    pub(super) request_items: BTreeMap<&'a str, &'a [Box<RawValue>]>,
}

/// The output of `BatchWriteItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchWritten {
    #[serde(default)]
    pub(super) unprocessed_items: BTreeMap<String, Vec<Box<RawValue>>>,
}

/// The output of `Query`. Items are converted to records while they are parsed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(rename = "Items", default, deserialize_with = "records")]
    pub(super) records: Vec<(Key, Record)>,
    #[serde(default)]
    pub(super) last_evaluated_key: Map<String, Value>,
}

fn records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Key, Record)>, D::Error> {
    struct Records;

    impl<'de> Visitor<'de> for Records {
        type Value = Vec<(Key, Record)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut records = Vec::new();
            let mut profile = None;
            while let Some(item) = items.next_element::<Item<'de>>()? {
                records.extend(item.record(&mut profile));
            }
            Ok(records)
        }
    }

    deserializer.deserialize_seq(Records)
}

/// The output of `Query` if only the number of items is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Counted {
    pub(super) count: u64,
}
