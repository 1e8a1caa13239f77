//! The house is as the map in `src/lib.rs` draws it: layers, owners of libraries, a doc on every file, small files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// No file is longer than this, save those below.
const LONGEST: usize = 400;
/// Files that have one thing to say, at length.
const LONG_FILES: [&str; 1] = ["src/store/tests.rs"];

/// Who alone may name a library (I9).
const OWNERS: [(&str, &[&str]); 5] = [
    ("dicom_ul", &["assoc"]),
    ("rusqlite", &["db", "catalog"]),
    ("clap", &["cli"]),
    ("axum", &["dicomweb", "web"]),
    ("hyper", &["outbox", "web"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its path relative to the repository.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let skipped = ["target", "corpus", "artifacts"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !skipped {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no Rust file below {folder}");
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (relative(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The line of the layers block on which each module stands.
fn layers(map: &str) -> HashMap<String, usize> {
    let block = map.lines().map(|line| line.trim_start_matches("//!").trim());
    let block = block.skip_while(|line| *line != "```layers").skip(1).take_while(|line| *line != "```");
    block
        .enumerate()
        .flat_map(|(number, line)| line.split_whitespace().map(move |module| (module.to_owned(), number)))
        .collect()
}

/// The module that a file below `src` belongs to; `None` for the roots.
fn module(path: &str) -> Option<&str> {
    let name = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    (name != "lib" && name != "main").then_some(name)
}

/// Code without comments. A `//` within a text is taken for a comment as well, which hides nothing that is looked for.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that the code names: `crate::x::…` and `crate::{x, y::…}`.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (place, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && !c.is_whitespace() => {
                        names.push(word(list.get(place..).unwrap()));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            names.push(word(after));
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What is wrong with the layering of one file.
fn layering(path: &str, text: &str, layers: &HashMap<String, usize>) -> Vec<String> {
    let Some(own) = module(path) else {
        return Vec::new();
    };
    let Some(line) = layers.get(own) else {
        return vec![format!("{path}: `{own}` is not on the map")];
    };
    let complain = |name: String| match layers.get(&name) {
        _ if name == own => None,
        Some(other) if other < line => None,
        Some(_) => Some(format!("{path}: `{own}` names `{name}`, which is not below it")),
        None => Some(format!("{path}: `crate::{name}` is not on the map")),
    };
    named(&code(text)).into_iter().filter_map(complain).collect()
}

#[test]
fn a_module_names_only_modules_of_earlier_layers() {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let layers = layers(&map);
    assert!(layers.len() > 10, "the map was not found: {layers:?}");
    let faults: Vec<String> = rust_files("src").iter().flat_map(|(path, text)| layering(path, text, &layers)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_layering_check_finds_what_it_should() {
    let layers = layers("//! ```layers\n//! a b\n//! c\n//! ```\n");
    assert_eq!(layers.len(), 3);
    let faults = |path, text| layering(path, text, &layers).len();
    assert_eq!(faults("src/c.rs", "use crate::a::X; use crate::{b::{Y, Z}, a};"), 0);
    assert_eq!(faults("src/a.rs", "use crate::a::X; // crate::c"), 0);
    assert_eq!(faults("src/a.rs", "use crate::{a::X,\n    c};"), 1);
    assert_eq!(faults("src/a/deep.rs", "fn f() { crate::b::g() }"), 1);
    assert_eq!(faults("src/d.rs", ""), 1);
    assert_eq!(faults("src/c.rs", "crate::unknown::x()"), 1);
    assert_eq!(faults("src/lib.rs", "crate::c"), 0);
}

#[test]
fn libraries_have_one_owner() {
    for (path, text) in rust_files("src") {
        let Some(own) = module(&path) else { continue };
        for (library, owners) in OWNERS {
            let used = code(&text).split(library).skip(1).any(|after| after.starts_with("::"));
            assert!(!used || owners.contains(&own), "{path} names {library}, which belongs to {owners:?}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    let mut faults = Vec::new();
    for (path, text) in ["src", "tests"].iter().flat_map(|folder| rust_files(folder)) {
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        let doc = first.and_then(|line| line.strip_prefix("//!")).unwrap_or_default().trim();
        if doc.len() < 10 {
            faults.push(format!("{path}: does not begin with a module doc"));
        }
        let lines = text.lines().count();
        match LONG_FILES.contains(&path.as_str()) {
            true if lines <= LONGEST => faults.push(format!("{path}: is no exception any more")),
            false if lines > LONGEST => faults.push(format!("{path}: {lines} lines, {LONGEST} is the most")),
            _ => {}
        }
        if path.ends_with("/mod.rs") {
            faults.push(format!("{path}: a module is `foo.rs` beside `foo/`"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
