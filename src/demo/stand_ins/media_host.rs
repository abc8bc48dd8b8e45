//! A stand-in for the host that serves the files of galleries.

use std::collections::HashMap;
use std::io;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Server, Service, Violations};

/// Files at paths. A request must contain no key.
#[derive(Default)]
pub struct MediaHost {
    files: HashMap<String, Reply>,
    paths: Vec<String>,
}

/// A stand-in for the host that serves the files of galleries.
pub type MediaHostStandIn = Server<MediaHost>;

impl MediaHostStandIn {
    /// Starts a host without files.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::serve(MediaHost::default()).await
    }

    /// Serves a file of this size, which is made while it is sent. Returns `listed`, an entry of a gallery, with its URL and
    /// its size.
    #[must_use]
    pub fn add_file(&self, listed: &Value, size_bytes: u64) -> Value {
        self.add_reply(listed, size_bytes, Reply::generated("image/png", size_bytes))
    }

    /// Answers whoever asks for a file with this reply. Returns `listed` with its URL and this size.
    #[must_use]
    pub fn add_reply(&self, listed: &Value, size_bytes: u64, reply: Reply) -> Value {
        let name = listed["url"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        let path = format!("/files/{name}");
        self.service().files.insert(path.clone(), reply);
        let mut listed = listed.clone();
        listed["url"] = json!(format!("{}{path}", self.origin()));
        listed["size"] = json!(size_bytes.to_string());
        listed
    }

    /// The names of the files that were asked for, in order.
    #[must_use]
    pub fn requested(&self) -> Vec<String> {
        self.service().paths.iter().filter_map(|path| path.rsplit('/').next()).map(ToOwned::to_owned).collect()
    }
}

/// The size of the pieces of a generated file.
const PIECE_BYTES: usize = 64 * 1024;

/// A piece of a generated file. Each begins with its number, so that a file whose pieces are in another order is another file.
fn generated_piece(index: u64, bytes: usize) -> Bytes {
    static PIECE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let words = (1..=PIECE_BYTES as u64 / 8).map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        words.flat_map(u64::to_le_bytes).collect()
    });
    let mut piece = PIECE[..bytes].to_vec();
    for (byte, of_index) in piece.iter_mut().zip(index.to_le_bytes()) {
        *byte = of_index;
    }
    piece.into()
}

/// The content of a generated file, piece by piece.
pub fn generated_pieces(size_bytes: u64) -> impl Iterator<Item = Bytes> + Send {
    let pieces = size_bytes.div_ceil(PIECE_BYTES as u64);
    (0..pieces).map(move |index| {
        let left = size_bytes - index * PIECE_BYTES as u64;
        generated_piece(index, usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES))
    })
}

impl Service for MediaHost {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        request.check_headers(&["accept-encoding"], violations);
        match self.files.get(&request.path) {
            Some(reply) if request.method == Method::GET && request.query.is_empty() => {
                self.paths.push(request.path.clone());
                reply.clone().into()
            }
            _ => violations.unknown(request).into(),
        }
    }
}
