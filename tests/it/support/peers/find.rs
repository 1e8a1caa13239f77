//! Who asks: `findscu` of DCMTK, and pynetdicom, which can negotiate and cancel.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::samples::script;
use super::{Ferry, PATIENCE, finish, text};

/// A query of pynetdicom.
pub(crate) struct Question<'a> {
    /// `P` or `S`, for Patient Root or Study Root.
    pub(crate) root: &'a str,
    /// Its keys by keyword; an object is a sequence of one item.
    pub(crate) keys: Value,
    /// Specific Character Set, one term or several.
    pub(crate) charset: Value,
    /// Application information of extended negotiation; empty for none.
    pub(crate) extended: &'a [u8],
    /// The transfer syntaxes that it proposes.
    pub(crate) syntaxes: &'a [&'a str],
    /// A C-CANCEL after so many answers.
    pub(crate) cancel_after: Option<usize>,
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Answers {
    /// Every answer, decoded, by keyword.
    pub(crate) rows: Vec<BTreeMap<String, String>>,
    /// The status of each.
    pub(crate) pending: Vec<u16>,
    /// What was agreed on.
    pub(crate) agreed: Vec<u8>,
    /// The status of the last response.
    pub(crate) status: u16,
    /// Its Error Comment.
    pub(crate) comment: String,
    /// Its Offending Elements.
    pub(crate) offending: Vec<u32>,
}

impl Question<'_> {
    /// A query of the ordinary kind.
    pub(crate) fn of(root: &'static str, keys: Value) -> Question<'static> {
        let syntaxes = &["1.2.840.10008.1.2"];
        Question { root, keys, charset: Value::Null, extended: &[], syntaxes, cancel_after: None }
    }

    /// Asks the node.
    pub(crate) fn ask(&self, ferry: &Ferry) -> Answers {
        let request = json!({
            "calling": "FINDER", "called": Ferry::NODE, "port": ferry.node, "root": self.root, "keys": self.keys,
            "charset": self.charset, "extended": self.extended, "syntaxes": self.syntaxes,
            "cancel_after": self.cancel_after,
        });
        let mut command = script("find.py");
        command.arg("ask").arg(request.to_string());
        let done = finish(command, PATIENCE * 2);
        assert!(done.status.success(), "pynetdicom: {}", text(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done.stdout)))
    }
}

impl Answers {
    /// One attribute of every answer, sorted.
    pub(crate) fn all(&self, keyword: &str) -> Vec<&str> {
        let mut values: Vec<_> = self.rows.iter().map(|row| row.get(keyword).map_or("", String::as_str)).collect();
        values.sort_unstable();
        values
    }
}

/// Writes the objects of a small hospital of many tongues.
pub(crate) fn hospital(folder: &Path) {
    let mut command = script("find.py");
    command.arg("make").arg(folder);
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
}

/// `findscu` at the node; what it printed.
pub(crate) fn findscu(ferry: &Ferry, arguments: &[&str]) -> String {
    let mut command = Command::new("findscu");
    command
        .args(["-d", "-aet", "FINDER", "-aec", Ferry::NODE])
        .args(arguments)
        .args(["127.0.0.1", &ferry.node.to_string()])
        .env("TCP_NODELAY", "1");
    let done = finish(command, PATIENCE * 2);
    text(&done.stdout) + &text(&done.stderr)
}
