//! A list that is held compressed.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A list that is read seldom and held for long, so it is compressed.
///
/// A run holds the scheduled posts of all profiles while it reads the galleries. There may be hundreds of thousands, and
/// compressed they take a tenth of the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed<T> {
    /// The values as `postcard` writes them, compressed.
    bytes: Box<[u8]>,
    len: usize,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Packed<T> {
    /// Compresses a list.
    #[must_use]
    pub fn new(values: &[T]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let written = postcard::to_stdvec(values).unwrap_or_default();
        let bytes = lz4_flex::compress_prepend_size(&written).into_boxed_slice();
        Self { bytes, len: values.len(), of: PhantomData }
    }

    /// Returns the list.
    #[must_use]
    pub fn unpack(&self) -> Vec<T> {
        if self.bytes.is_empty() {
            return Vec::new();
        }
        // It is what was written above, so no step can fail.
        let written = lz4_flex::decompress_size_prepended(&self.bytes).unwrap_or_default();
        let values = postcard::from_bytes::<Vec<T>>(&written).unwrap_or_default();
        debug_assert_eq!(values.len(), self.len);
        values
    }

    /// How many values the list has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the list has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self { bytes: Box::default(), len: 0, of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> FromIterator<T> for Packed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::new(&values.into_iter().collect::<Vec<_>>())
    }
}

impl<T> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} values in {} bytes)", self.len, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::ScheduledPost;

    fn post() -> impl Strategy<Value = ScheduledPost> {
        let text = || proptest::option::of(any::<String>());
        let at = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
        let at = proptest::option::of(at.prop_map(|at| Timestamp::from_nanosecond(at).expect("a time")));
        let texts = || proptest::collection::vec(any::<String>(), 0..4);
        (text(), text(), texts(), at, texts()).prop_map(|(id, text, platforms, scheduled_at, media_urls)| {
            ScheduledPost { id, text, platforms, scheduled_at, media_urls }
        })
    }

    proptest! {
        #[test]
        fn unpacking_returns_what_was_packed(posts in proptest::collection::vec(post(), 0..20)) {
            let packed = Packed::new(&posts);
            prop_assert_eq!((packed.len(), packed.is_empty()), (posts.len(), posts.is_empty()));
            prop_assert_eq!(packed.unpack(), posts);
        }
    }

    #[test]
    fn a_list_of_posts_takes_less_than_half_of_its_json() {
        let post = |index: u32| ScheduledPost {
            id: Some(format!("post-{index}")),
            text: Some("Ten stamps, one coffee on us.".to_owned()),
            media_urls: vec![format!("https://images.ayrshare.com/8FXK2PQ/{index:032x}.jpeg")],
            ..ScheduledPost::default()
        };
        let posts: Vec<_> = (0..20).map(post).collect();
        let json = serde_json::to_vec(&posts).expect("JSON");
        assert!(Packed::new(&posts).bytes.len() * 2 < json.len());
    }

    #[test]
    fn a_packed_list_can_be_collected_and_shows_its_length_only() {
        let packed: Packed<u64> = [7, 8].into_iter().collect();
        assert_eq!(packed.unpack(), [7, 8]);
        assert!(format!("{packed:?}").starts_with("Packed(2 values in "));
    }
}
