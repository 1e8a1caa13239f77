//! What can be wrong with a data set.

use std::io;

use crate::dicom::Tag;

/// Why a data set, or a part of it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes end inside an element.
    #[error("the data set ends inside element {} at offset {offset}", .tag.map_or_else(|| "header".to_string(), |t| t.to_string()))]
    Truncated {
        /// Where the bytes ended.
        offset: u64,
        /// The element, when its tag was read.
        tag: Option<Tag>,
    },
    /// The structure contradicts PS3.5 §7.
    #[error("element {tag} at offset {offset}: {what}")]
    Malformed {
        /// Behind the header of the element.
        offset: u64,
        /// The element.
        tag: Tag,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Sequences are nested deeper than anything real.
    #[error("sequences nested deeper than {limit} levels at offset {offset}")]
    TooDeep {
        /// Where the limit was passed.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// An element reaches beyond the bytes that a header may have: it is damaged, or no header.
    #[error("the element at offset {offset} reaches beyond the first {limit} bytes, as no header does")]
    TooLong {
        /// Where the limit would be passed.
        offset: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The deflate stream is damaged.
    #[error("the deflated data set is damaged behind {offset} inflated bytes")]
    Deflate {
        /// How many bytes could be inflated.
        offset: u64,
    },
    /// The deflate stream grows beyond every measure.
    #[error("the deflated data set inflates to more than {limit} bytes")]
    Bomb {
        /// The limit in bytes.
        limit: u64,
    },
    /// Neither a File Meta group nor anything like an element is at the beginning.
    #[error("not DICOM: neither a file meta group nor a data element at the beginning")]
    NotDicom,
    /// The reader failed.
    #[error("reading the data set at offset {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}
