//! DIMSE messages (PS3.7): command sets, and their assembly from the fragments of an association.

mod command;
mod session;

use crate::assoc::AssocError;

pub use command::{Command, CommandField, Counters};
pub use session::Session;

/// The longest command set that is taken from a peer.
pub const LONGEST_COMMAND: usize = 64 << 10;

/// What can go wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum DimseError {
    /// The association is the trouble.
    #[error(transparent)]
    Association(#[from] AssocError),
    /// A command set that cannot be read.
    #[error("cannot read the command set: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// A fragment that has no place in the message at hand.
    #[error("{what}")]
    Unexpected {
        /// What came, or what was asked for, and when.
        what: String,
    },
    /// More than the bounds allow.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

#[cfg(test)]
mod tests;
