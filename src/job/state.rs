//! The study as a persisted state machine. Pure: one `match`, and everything that is not in it is refused.
//!
//! ```text
//!   Listed ──► Pulling ──► Verifying ──► Proven          (a study that is here already: Pulling ──► Proven)
//!                │  ▲          │
//!                ▼  │          │ something missing
//!              Waiting ◄───────┘
//!                │ attempts spent, or permanent (found out by whoever claimed it)
//!                └─► Partial | Failed                    Partial, Failed, Excluded ──(operator)──► Listed
//!                                                        any live state ──(operator)──► Excluded | Cancelled
//!                                                        Proven ──(the source has more of it now)──► Listed
//!                                                        Proven, Partial, Failed ──(a file is lost)──► Partial | Failed
//! ```

use crate::catalog::ItemState;

/// What happens to a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// The source has said its last word about a pull.
    PullEnded,
    /// What is listed is filed.
    Proven,
    /// It has to wait: an attempt ended short, or the work on it was stopped.
    PutBack,
    /// It will not be tried again by itself; `true` when something of it is filed.
    GivenUp(bool),
    /// The operator wants it tried again.
    Retried,
    /// The source lists more instances of it than it ever said.
    Grown,
    /// A file of it is gone or damaged; `true` when something of it is left.
    Lost(bool),
    /// The operator took it out of the job.
    Excluded,
    /// The operator gave up the job.
    Cancelled,
}

/// Something that cannot happen in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a study that is {} cannot meet {event:?}", state.as_text())]
pub struct InvalidTransition {
    /// Where the study stands.
    pub state: ItemState,
    /// What was said to happen.
    pub event: Event,
}

/// The state after an event.
pub fn on(state: ItemState, event: Event) -> Result<ItemState, InvalidTransition> {
    use ItemState::{Cancelled, Excluded, Failed, Listed, Partial, Proven, Pulling, Verifying, Waiting};
    match (state, event) {
        // A lease that ran out leaves a study in `Pulling` or `Verifying`; the next worker takes it from there.
        (Listed | Waiting | Pulling | Verifying, Event::Claimed) => Ok(Pulling),
        (Pulling, Event::PullEnded) => Ok(Verifying),
        (Pulling | Verifying, Event::Proven) => Ok(Proven),
        (Pulling | Verifying, Event::PutBack) => Ok(Waiting),
        (Pulling | Verifying, Event::GivenUp(true)) => Ok(Partial),
        (Pulling | Verifying, Event::GivenUp(false)) => Ok(Failed),
        (Proven | Partial | Failed, Event::Lost(true)) => Ok(Partial),
        (Proven | Partial | Failed, Event::Lost(false)) => Ok(Failed),
        (Partial | Failed | Excluded, Event::Retried) | (Proven, Event::Grown) => Ok(Listed),
        (Listed | Waiting | Pulling | Verifying | Partial | Failed, Event::Excluded) => Ok(Excluded),
        (Listed | Waiting | Pulling | Verifying, Event::Cancelled) => Ok(Cancelled),
        (state, event) => Err(InvalidTransition { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 12] = [
        Event::Claimed,
        Event::PullEnded,
        Event::Proven,
        Event::PutBack,
        Event::GivenUp(true),
        Event::GivenUp(false),
        Event::Retried,
        Event::Excluded,
        Event::Cancelled,
        Event::Grown,
        Event::Lost(true),
        Event::Lost(false),
    ];

    #[test]
    fn the_table_and_its_complement() {
        use ItemState::*;
        let begun = |lost| {
            let (out, gone) = (Some(Excluded), Some(Cancelled));
            [Some(Pulling), None, None, None, None, None, None, out, gone, None, lost, lost]
        };
        let over = |retried, out, grown, loses: bool| {
            let (partial, failed) = (loses.then_some(Partial), loses.then_some(Failed));
            [None, None, None, None, None, None, retried, out, None, grown, partial, failed]
        };
        // One row a state, one column an event, in the order of EVENTS; `None` is refused.
        let table = [
            (Listed, begun(None)),
            (Waiting, begun(None)),
            (
                Pulling,
                [
                    Some(Pulling),
                    Some(Verifying),
                    Some(Proven),
                    Some(Waiting),
                    Some(Partial),
                    Some(Failed),
                    None,
                    Some(Excluded),
                    Some(Cancelled),
                    None,
                    None,
                    None,
                ],
            ),
            (
                Verifying,
                [
                    Some(Pulling),
                    None,
                    Some(Proven),
                    Some(Waiting),
                    Some(Partial),
                    Some(Failed),
                    None,
                    Some(Excluded),
                    Some(Cancelled),
                    None,
                    None,
                    None,
                ],
            ),
            (Proven, over(None, None, Some(Listed), true)),
            (Partial, over(Some(Listed), Some(Excluded), None, true)),
            (Failed, over(Some(Listed), Some(Excluded), None, true)),
            (Excluded, over(Some(Listed), None, None, false)),
            (Cancelled, [None; 12]),
        ];
        assert_eq!(table.len(), ItemState::ALL.len());
        for (state, row) in table {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                assert_eq!(on(state, event).ok(), expected, "{state:?} on {event:?}");
            }
        }
    }

    fn reopens(event: Event) -> bool {
        matches!(event, Event::Grown | Event::Lost(_))
    }

    proptest::proptest! {
        /// Whatever happens, in whatever order: what is cancelled stays so, and what is proven too unless it grows or loses a file.
        #[test]
        fn no_sequence_leaves_the_machine(events in proptest::collection::vec(0usize..12, 0..40)) {
            let mut state = ItemState::Listed;
            for event in events {
                match on(state, EVENTS[event]) {
                    Ok(next) => {
                        proptest::prop_assert!(state != ItemState::Cancelled && (state != ItemState::Proven || reopens(EVENTS[event])));
                        state = next;
                    }
                    Err(refused) => proptest::prop_assert_eq!(refused.state, state),
                }
            }
        }
    }
}
