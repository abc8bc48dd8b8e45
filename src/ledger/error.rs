//! Why the ledger could not be used.

use std::path::PathBuf;

/// Why the ledger could not be used.
///
/// Each text says what to do about it. None holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The deadline for the ledger came first.
    #[error("there was no time left for the ledger; give the function more time or more memory")]
    OutOfTime,
    /// The table gave no answer that could be read, or could not be asked at all.
    #[error("the ledger table {table} cannot be reached: {said}; check the network, the region and the endpoint")]
    Unreachable {
        /// The table.
        table: String,
        /// What happened instead.
        said: String,
    },
    /// The credentials were accepted, and do not allow the action.
    #[error("the function's role does not allow {action} on the ledger table {table}")]
    Denied {
        /// The table.
        table: String,
        /// The action as policies name it.
        action: String,
    },
    /// The credentials were not accepted. What AWS says of them is not repeated: it may quote them.
    #[error("AWS does not accept the credentials for the ledger table {table} ({code}); renew them")]
    Credentials {
        /// The table.
        table: String,
        /// The error code of AWS.
        code: String,
    },
    /// There is no such table.
    #[error("there is no ledger table {table} in this region; create it, or correct `ledger.table`")]
    NoTable {
        /// The table.
        table: String,
    },
    /// The table has other keys than a ledger.
    #[error(
        "the ledger table {table} has other keys; it needs the partition key `pk` and the sort key `sk`, both strings"
    )]
    WrongKeys {
        /// The table.
        table: String,
    },
    /// The table answers, and takes less than it is given.
    #[error("the ledger table {table} is throttled; give it more capacity, or on-demand capacity")]
    Throttled {
        /// The table.
        table: String,
    },
    /// The table refused some records for what is in them; the others were written.
    #[error("the ledger table {table} refused {records} of the records, which will be announced again: {said}")]
    Rejected {
        /// The table.
        table: String,
        /// How many were refused.
        records: usize,
        /// What it said of the first.
        said: String,
    },
    /// Any other answer.
    #[error("the ledger table {table} answered {code}: {said}")]
    Answered {
        /// The table.
        table: String,
        /// The error code of the answer.
        code: String,
        /// What it said.
        said: String,
    },
    /// What was written is not there afterwards.
    #[error("{place} does not give back what was written to it")]
    NotKept {
        /// The table or the file.
        place: String,
    },
    /// What stands at the path is no ledger, and was not touched.
    #[error("{path} is not a ledger: {reason}; it was left as it is; correct `ledger.path`", path = path.display())]
    NotALedger {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// The file is a ledger that cannot be read whole; the next run that writes puts it aside.
    #[error(
        "the ledger {path} cannot be read: {reason}; the next alert run keeps it aside and begins anew",
        path = path.display()
    )]
    Corrupt {
        /// The path.
        path: PathBuf,
        /// Where it stops being one.
        reason: String,
    },
    /// The operating system refused.
    #[error("the ledger's file {path} cannot {attempt}: {said}", path = path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was attempted: `be opened`.
        attempt: &'static str,
        /// What the operating system said.
        said: String,
    },
}
