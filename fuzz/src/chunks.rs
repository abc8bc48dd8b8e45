//! Bodies that arrive in chunks.

use std::fmt::Debug;

/// The sizes of chunks with which a body is parsed again. A character, an escape and a number are all cut by one of them.
const SIZES: [usize; 4] = [1, 2, 7, 64];

/// Parses `body` as one chunk, and in chunks of a size that depends on it. The result must be the same, except for the reason of
/// an error.
pub fn parse<T: Debug + PartialEq>(
    body: &[u8],
    parse: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> Result<T, String>,
) -> Result<T, String> {
    let whole = parse(&mut std::iter::once(body));
    let size = SIZES[body.len() % SIZES.len()];
    let in_chunks = parse(&mut body.chunks(size));
    assert_eq!(in_chunks.as_ref().ok(), whole.as_ref().ok(), "in chunks of {size} bytes: {in_chunks:?}, {whole:?}");
    whole
}
