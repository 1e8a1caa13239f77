//! The door out of a process that sends, and what stands beside it.

use std::path::PathBuf;

use super::Node;
use crate::config::{Config, Pictures as Drawing};
use crate::outlet::Outlet;
use crate::picture::{Decoder, Limits};

/// The door out, and the decoder that works for it, if one does.
pub(super) fn outlet(node: &Node) -> (Outlet, Option<Decoder>) {
    let outlet = Outlet::new(node.store.clone());
    let decoder = node.config.node.decompress.then(|| Decoder::new(limits(&node.config))).flatten();
    match decoder {
        Some(decoder) => (outlet.decoding(decoder.clone()), Some(decoder)),
        None => (outlet, None),
    }
}

/// What drawing and decoding may take; by this very program.
pub(super) fn limits(config: &Config) -> Limits {
    let Drawing { workers, memory, time, .. } = config.pictures;
    // Where it cannot be told what this program is, starting it fails, and says so to whoever wants a picture.
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    Limits { program, workers, memory, time }
}
