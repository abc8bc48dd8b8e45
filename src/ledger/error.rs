//! The errors of the ledger.

use std::path::PathBuf;

/// Why the ledger could not be used.
///
/// Each text says how to fix the problem. No text contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The deadline passed before the ledger responded.
    #[error("there was no time left for the ledger; increase the timeout or memory of the function")]
    OutOfTime,
    /// There was no response, or one that could not be read.
    #[error("the ledger table cannot be reached: {message}; check the network, the region and the endpoint")]
    Unreachable {
        /// The error of the connection.
        message: String,
    },
    /// The credentials are valid but do not allow the action.
    #[error("the function's role does not allow {action} on the ledger table")]
    Denied {
        /// The action's name in IAM policies.
        action: String,
    },
    /// The credentials are not valid. The message of AWS is left out, because it may quote them.
    #[error("AWS does not accept the credentials for the ledger table ({code}); renew them")]
    Credentials {
        /// The error code of AWS.
        code: String,
    },
    /// The table does not exist.
    #[error("the ledger table does not exist in this region; create it, or correct `ledger.table`")]
    NoTable,
    /// The table has a different primary key.
    #[error("the ledger table has other keys; it needs the partition key `pk` and the sort key `sk`, both strings")]
    WrongKeys,
    /// The table's capacity is exceeded.
    #[error("the ledger table is throttled; give it more capacity, or on-demand capacity")]
    Throttled,
    /// The table rejected some records because of their content. The others were written.
    #[error("the ledger table rejected {records} of the records, which will be announced again: {message}")]
    Rejected {
        /// How many were rejected.
        records: usize,
        /// The error message for the first of them.
        message: String,
    },
    /// Any other error response.
    #[error("the ledger table answered {code}: {message}")]
    Answered {
        /// The error code of the response.
        code: String,
        /// The message of the response.
        message: String,
    },
    /// A record that was written cannot be read afterwards.
    #[error("the ledger does not return the record that was written to it")]
    NotKept,
    /// The file at the path is not a ledger. It was not changed.
    #[error("the file at `ledger.path` is not a ledger: {reason}; it was not changed; correct `ledger.path`")]
    NotALedger {
        /// Why it is not a ledger.
        reason: String,
    },
    /// The file is a damaged ledger. The next alert run renames it.
    #[error("the ledger file cannot be read: {reason}; the next alert run renames it and starts a new one")]
    Corrupt {
        /// The path.
        path: PathBuf,
        /// Where the damage is.
        reason: String,
    },
    /// An operation on the file failed.
    #[error("the ledger file cannot {attempt}: {message}")]
    Io {
        /// What was attempted: `be opened`.
        attempt: &'static str,
        /// The error of the operating system.
        message: String,
    },
}
