//! What can go wrong on the sandbox's own side.
//!
//! The caller can choose another address, or mend the script it sent. Whatever a peer does on a
//! connection is not an error of the sandbox: it is answered, or the connection ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the sandbox could not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be read or written.
    #[error("cannot use the journal {}", path.display())]
    Journal {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The script is refused as a whole; the one before it stays in force.
    #[error("script: {field}: {reason}")]
    Script {
        /// Dotted path of the part that is refused, such as `rules[0].answer`.
        field: String,
        /// Why, in words for the author of the script.
        reason: String,
    },
}

impl Error {
    /// A refusal of the part `field` of a script.
    pub(crate) fn script(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Script { field: field.into(), reason: reason.into() }
    }
}
