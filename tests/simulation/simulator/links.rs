//! URLs of posts that are hosted elsewhere, so that no gallery lists them.

use fastrand::Rng;

use super::world::{DAY_MS, chance, timestamp};

/// What Ayrshare's check of a URL may give. Most hosts serve their files most of the time.
const STATUSES: [Option<u16>; 10] =
    [Some(200), Some(200), Some(200), Some(206), Some(401), Some(403), Some(404), Some(410), Some(500), None];

/// A URL of a post that no gallery lists.
#[derive(Clone, Debug)]
pub struct Link {
    id: String,
    pub kind: LinkKind,
}

/// What can be known about a URL.
#[derive(Clone, Copy, Debug)]
pub enum LinkKind {
    /// It is presigned, and ends at this time.
    Presigned { ends_ms: i64 },
    /// Ayrshare's check of it gives this status, or none.
    Checked { status: Option<u16> },
}

impl Link {
    /// Creates a URL for a post that is due `ahead_ms` from now.
    pub fn new(id: String, now_ms: i64, ahead_ms: i64, rng: &mut Rng) -> Self {
        let kind = if rng.bool() {
            // Its times are whole seconds.
            let ends_ms = (now_ms + rng.i64(0..ahead_ms + 10 * DAY_MS)) / 1_000 * 1_000;
            LinkKind::Presigned { ends_ms }
        } else {
            LinkKind::Checked { status: Some(200) }
        };
        Self { id, kind }
    }

    /// The host may begin to refuse the check, lose the file, or serve it again.
    pub fn advance(&mut self, rng: &mut Rng) {
        if let LinkKind::Checked { status } = &mut self.kind
            && chance(rng, 15)
        {
            *status = *rng.choice(&STATUSES).expect("the list is not empty");
        }
    }

    pub fn url(&self) -> String {
        let Self { id, kind } = self;
        match kind {
            LinkKind::Presigned { ends_ms } => {
                let signed_at = timestamp(ends_ms - 7 * DAY_MS).strftime("%Y%m%dT%H%M%SZ");
                let expires = 7 * DAY_MS / 1_000;
                format!(
                    "https://bucket.s3.eu-central-1.amazonaws.com/{id}.png?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                     &X-Amz-Date={signed_at}&X-Amz-Expires={expires}&X-Amz-Signature=0f"
                )
            }
            LinkKind::Checked { .. } => format!("https://files.example.com/{id}.png"),
        }
    }
}
