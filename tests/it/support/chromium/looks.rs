//! Pictures of pages, to be looked at after the tests.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Keeps a picture that came as base64; where.
pub(super) fn keep(name: &str, picture: &Value) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    let file = folder.join(format!("{name}.png"));
    let bytes = STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
    std::fs::write(&file, bytes).expect("a picture on disk");
    file
}
