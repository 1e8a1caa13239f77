//! How words are stored: as small numbers that never change their meaning.

use std::time::{Duration, SystemTime};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::{
    Control, ErrandState, Evidence, FileState, FolderState, ItemState, JobState, Outcome, Reason, Way, WindowState,
};

macro_rules! stored {
    ($($type:ident { $($variant:ident = $code:literal $(| $alias:ident)?),* $(,)? })*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let code: i64 = match self { $($type::$variant => $code,)* };
                Ok(ToSqlOutput::from(code))
            }
        }
        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_i64()? {
                    $($code $(| $alias)? => Ok($type::$variant),)*
                    other => Err(FromSqlError::OutOfRange(other)),
                }
            }
        }
    )*};
}

/// An item that waits and may be claimed; in reports it is waiting.
pub(super) const READY: i64 = 9;

stored! {
    ItemState {
        Listed = 0, Pulling = 1, Verifying = 2, Waiting = 3 | READY, Proven = 4, Partial = 5, Failed = 6, Excluded = 7,
        Cancelled = 8,
    }
    JobState { Running = 0, Stopping = 1, Paused = 2, Halted = 3, Finished = 4, Cancelled = 5 }
    Control { Run = 0, Pause = 1, Cancel = 2 }
    Evidence { Instances = 0, Count = 1 }
    Outcome { New = 0, Duplicate = 1, Variant = 2, Collision = 3, AlreadyMoved = 4, Quarantined = 5 }
    FolderState { Pending = 0, Listed = 1, Unreadable = 2 }
    FileState {
        Listed = 0, Filed = 1, Duplicate = 2, Variant = 3, Collision = 4, SetAside = 5, Faulty = 6, NotDicom = 7,
        Unreadable = 8, Left = 9, Young = 10, Directory = 11, Refused = 12, Archive = 13, AlreadyMoved = 14,
    }
    Way { Linked = 0, Hashed = 1, Copied = 2 }
    ErrandState { Waiting = 0, Done = 1, Failed = 2, Withdrawn = 3 }
    WindowState { Pending = 0, Listed = 1, Split = 2, Failed = 3 }
}

impl ToSql for Reason {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.code()))
    }
}

impl FromSql for Reason {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        Reason::from_code(code).ok_or(FromSqlError::OutOfRange(code))
    }
}

/// The time, in unix milliseconds.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

/// A duration in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// A length or count as SQLite keeps it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A count of rows.
pub(super) fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// A text of a peer, no longer than that many characters.
pub(super) fn capped(text: &str, longest: usize) -> &str {
    text.char_indices().nth(longest).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(capped("Müller", 2), "Mü");
        assert_eq!(capped("Müller", 6), "Müller");
        assert_eq!(capped("", 0), "");
    }

    #[test]
    fn a_ready_item_is_a_waiting_one_and_unknown_codes_are_errors() {
        assert_eq!(ItemState::column_result(ValueRef::Integer(READY)), Ok(ItemState::Waiting));
        assert!(ItemState::column_result(ValueRef::Integer(10)).is_err());
        for (code, state) in ItemState::ALL.into_iter().enumerate() {
            assert_eq!(ItemState::column_result(ValueRef::Integer(code as i64)), Ok(state));
            assert_eq!(state.to_sql().unwrap(), ToSqlOutput::from(code as i64));
        }
    }
}
