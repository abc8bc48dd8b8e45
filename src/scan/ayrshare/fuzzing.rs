//! What the fuzz targets call. No other build contains it.

use serde_json::{Map, Value};

pub use super::date::{Date, UnparsedDate};
use super::list::{End, ListReader, ReadElement};
use super::profiles::next_cursor;
use super::{history, profiles};
use crate::model::{AyrshareProfile, ScheduledPost};

/// A post of the history.
#[derive(Debug, PartialEq)]
pub struct ListedPost {
    /// The post.
    pub post: ScheduledPost,
    /// Whether its due date cannot be parsed.
    pub has_unreadable_due_date: bool,
    /// Whether its media or text has an unknown shape.
    pub has_unknown_shape: bool,
    /// Whether it is waiting to be published.
    pub is_scheduled: bool,
}

/// Parses `GET /history`, whose body arrives in chunks. Returns the posts and the other members.
///
/// # Errors
///
/// Returns the reason why the body is not a list of posts.
pub fn posts<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<ListedPost>, Map<String, Value>), String> {
    let mut posts = Vec::new();
    let add = |json: &str| {
        history::post(json, |post| {
            posts.push(ListedPost {
                has_unreadable_due_date: post.has_unreadable_due_date,
                has_unknown_shape: post.has_unknown_shape,
                is_scheduled: post.is_scheduled(),
                post: post.post,
            });
        })
    };
    let others = read(ListReader::of_member("history", "post"), chunks, add)?;
    Ok((posts, others))
}

/// Parses `GET /profiles`, whose body arrives in chunks. Returns the profiles, and the cursor of the next page.
///
/// # Errors
///
/// Returns the reason why the body is not a page of profiles.
pub fn profiles<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<AyrshareProfile>, Option<String>), String> {
    let mut found = Vec::new();
    let add = |json: &str| profiles::profile(json, |profile| found.push(profile));
    let others = read(ListReader::of_member("profiles", "profile"), chunks, add)?;
    let cursor = next_cursor(&others).map_err(|()| "it has no next page".to_owned())?;
    Ok((found, cursor))
}

fn read<'a>(
    mut reader: ListReader,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    mut add: impl ReadElement,
) -> Result<Map<String, Value>, String> {
    for chunk in chunks {
        if !reader.take(chunk, &mut add) {
            return Err("it has another shape".to_owned());
        }
    }
    match reader.end(add)? {
        End::List(others) => Ok(others),
        End::Other(_) => Err("it has no list".to_owned()),
    }
}
