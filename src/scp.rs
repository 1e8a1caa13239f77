//! We are asked, at two ports: the *receiver*, a C-STORE and C-ECHO SCP that takes what the old PACS sends, and the
//! *node* that the hospital's devices talk to.
//!
//! The receiver takes C-ECHO from anybody and objects only from the addresses of configured sources, under any AE title,
//! in every storage SOP class and transfer syntax. The node takes nothing from anybody who is not configured. Both know
//! nothing of jobs: what a pull and its arrivals have to do with each other is settled in the catalog.

mod beyond;
mod caller;
mod commitment;
mod complaints;
mod departures;
mod exchange;
mod find;
mod gate;
mod identity;
mod listener;
mod meter;
mod node;
mod port;
mod refusal;
mod retrieve;
mod sender;
mod service;
mod session;
mod store;

pub use beyond::{Answers, Ask, Beyond, BeyondError, Wanted};
pub use caller::Caller;
pub use commitment::{Commitments, deliver};
pub use departures::{Departures, Leaving};
pub use gate::{Gate, Gates};
pub use listener::Receiver;
pub use meter::{Meter, Reading};
pub use node::Services;
pub use port::{Bound, ListenError};
pub use sender::Sender;
pub use store::answer_of;

use crate::config::Config;
use crate::dataset::CharacterSet;

/// What a source means whose objects and answers name no Specific Character Set.
pub fn charset_of(config: &Config, source: Option<&str>) -> CharacterSet {
    let terms = source.and_then(|name| config.source(name)).and_then(|source| source.charset.as_deref());
    terms.map_or_else(CharacterSet::ascii, CharacterSet::from_terms)
}
