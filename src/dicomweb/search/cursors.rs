//! Where pages of queries ended: whoever asks for the next one by its offset is answered from there, not from the
//! beginning. A few are remembered; without one the rows before are passed over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Cursor;

/// How many ends of pages are remembered.
const MOST: usize = 256;
/// The longest query that is remembered.
const LONGEST: usize = 4096;

/// Ends of pages. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub(in crate::dicomweb) struct Cursors(Arc<Mutex<VecDeque<End>>>);

#[derive(Debug)]
struct End {
    query: String,
    offset: usize,
    cursor: Cursor,
}

/// A query without what says which page of it is asked for.
pub(super) fn key(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let keys = query.split('&').filter(|part| !part.starts_with("limit=") && !part.starts_with("offset="));
    let mut key = format!("{path}?");
    for part in keys {
        key.push_str(part);
        key.push('&');
    }
    key
}

impl Cursors {
    /// The last end at or before an offset; the beginning if there is none.
    pub(super) fn before(&self, query: &str, offset: usize) -> (usize, Option<Cursor>) {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_query = ends.iter().filter(|end| end.query == query && end.offset <= offset);
        of_query.max_by_key(|end| end.offset).map_or((0, None), |end| (end.offset, Some(end.cursor.clone())))
    }

    /// Remembers the end of a page.
    pub(super) fn keep(&self, query: String, offset: usize, cursor: Cursor) {
        if query.len() > LONGEST || offset == 0 {
            return;
        }
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|end| end.query != query || end.offset != offset);
        if ends.len() == MOST {
            ends.pop_front();
        }
        ends.push_back(End { query, offset, cursor });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_one_query_share_a_key() {
        assert_eq!(key("/studies?PatientID=1&limit=5&offset=10"), key("/studies?offset=15&PatientID=1"));
        assert_ne!(key("/studies?PatientID=1"), key("/studies?PatientID=2"));
        assert_ne!(key("/studies"), key("/series"));
    }
}
