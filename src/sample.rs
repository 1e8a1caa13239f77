//! A generated archive behind a small PACS that can be told to misbehave: what `pacsferry demo` migrates, and what the
//! tests migrate from. Nothing in it was ever taken of a patient.

mod archive;
mod body;
mod data_set;
mod deliver;
mod demo;
mod documents;
mod find;
mod get;
mod log;
mod moves;
mod noise;
mod pacs;
mod pixels;
mod profile;
mod query;
mod retrieve;
mod session;
mod shared;
mod text;

pub use archive::{Archive, Builder, Fate, SampleObject, StudyBuilder};
pub use body::Body;
pub use data_set::DataSet;
pub use log::{Ending, Entry, Event, Request};
pub use pacs::SamplePacs;
pub use profile::{
    AbortAfter, CancelPolicy, Cap, Counts, Delivery, Profile, Services, TextLabel, UidLists, UnknownDestination,
};
