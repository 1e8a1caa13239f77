//! We are asked: the receiver, a C-STORE and C-ECHO SCP that takes what the old PACS sends.
//!
//! It takes C-ECHO from anybody and objects only from the addresses of configured sources, under any AE title, in
//! every storage SOP class and transfer syntax. It knows nothing of jobs: what a pull and its arrivals have to do with
//! each other is settled in the catalog.

mod complaints;
mod gate;
mod listener;
mod session;
mod store;

pub use gate::{Gate, Gates};
pub use listener::{Receiver, ReceiverError};
pub use store::answer_of;

use crate::config::Config;
use crate::dataset::CharacterSet;

/// What a source means whose objects and answers name no Specific Character Set.
pub fn charset_of(config: &Config, source: Option<&str>) -> CharacterSet {
    let terms = source.and_then(|name| config.source(name)).and_then(|source| source.charset.as_deref());
    terms.map_or_else(CharacterSet::ascii, CharacterSet::from_terms)
}
