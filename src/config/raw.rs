//! TOML as it stands in the file: tables that remember lines and which keys were asked for.
//!
//! A derived deserialiser stops at the first mistake. Here every value is asked for by name, a wrong one becomes a
//! [`Problem`] and the reading goes on; what nobody asked for at the end is an unknown key.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// A parsed text, and the problems found in it so far.
pub(super) struct Document<'d> {
    text: &'d str,
    root: Spanned<DeTable<'d>>,
    problems: RefCell<Vec<(usize, Problem)>>,
    syntax_errors: usize,
}

/// One table. A table that is not in the file answers `None` to everything.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    name: String,
    start: usize,
    table: Option<&'d DeTable<'d>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Document { text, root, problems: RefCell::default(), syntax_errors: errors.len() };
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            document.add(
                start,
                "",
                format!("this is not TOML: {}", error.message()),
                "see https://toml.io for the syntax".into(),
            );
        }
        document
    }

    pub(super) fn root(&'d self) -> Section<'d> {
        Section {
            document: self,
            name: String::new(),
            start: 0,
            table: Some(self.root.get_ref()),
            asked: RefCell::default(),
        }
    }

    /// In the order of the file. Of a text that is no TOML only that is said: what was read of it is guesswork.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        if self.syntax_errors > 0 {
            problems.truncate(self.syntax_errors);
        }
        problems.sort_by_key(|(at, _)| *at);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    fn add(&self, at: usize, key: &str, message: String, remedy: String) {
        let line = 1 + self.text.bytes().take(at).filter(|b| *b == b'\n').count();
        let where_ = if key.is_empty() { format!("line {line}") } else { format!("line {line}, {key}") };
        self.problems.borrow_mut().push((at, Problem { where_, message, remedy }));
    }
}

impl<'d> Section<'d> {
    /// Gives the section a name of its own in messages.
    pub(super) fn rename(&mut self, name: String) {
        self.name = name;
    }

    /// A text, by its own reader.
    pub(super) fn text<T>(&self, key: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (value, at) = self.value(key)?;
        match value {
            DeValue::String(text) => self.keep(key, at, read(text)),
            other => self.wrong_type(key, at, "a text in quotes", other),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let (value, at) = self.value(key)?;
        match value {
            DeValue::Integer(number) => {
                let read = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| bounds.contains(n));
                self.keep(
                    key,
                    at,
                    read.ok_or_else(|| {
                        format!(
                            "`{number}` is out of bounds; write a number from {} to {}",
                            bounds.start(),
                            bounds.end()
                        )
                    }),
                )
            }
            other => self.wrong_type(key, at, "a whole number", other),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let (value, at) = self.value(key)?;
        match value {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.wrong_type(key, at, "true or false", other),
        }
    }

    /// A list of texts.
    pub(super) fn texts<T>(&self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let (value, at) = self.value(key)?;
        let DeValue::Array(array) = value else {
            return self.wrong_type(key, at, "a list of texts", value);
        };
        let item = |value: &Spanned<DeValue<'d>>| match value.get_ref() {
            DeValue::String(text) => self.keep(key, value.span().start, read(text)),
            other => self.wrong_type(key, value.span().start, "a text in quotes", other),
        };
        Some(array.iter().filter_map(item).collect())
    }

    /// A table inside.
    pub(super) fn section(&self, key: &'static str) -> Section<'d> {
        let found = self.value(key);
        let table = found.and_then(|(value, at)| match value {
            DeValue::Table(table) => Some(table),
            other => self.wrong_type(key, at, "a table", other),
        });
        self.inside(self.path(key), found.map_or(self.start, |(_, at)| at), table)
    }

    /// A table inside that means something by being there.
    pub(super) fn table(&self, key: &'static str) -> Option<Section<'d>> {
        let section = self.section(key);
        section.table.is_some().then_some(section)
    }

    /// A list of tables inside.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'d>> {
        let Some((value, at)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value else {
            let _: Option<()> = self.wrong_type(key, at, "a list of tables, each under its own [[heading]]", value);
            return Vec::new();
        };
        let item = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| {
            let at = value.span().start;
            match value.get_ref() {
                DeValue::Table(table) => {
                    Some(self.inside(format!("{}[{}]", self.path(key), index + 1), at, Some(table)))
                }
                other => self.wrong_type(key, at, "a table", other),
            }
        };
        array.iter().enumerate().filter_map(item).collect()
    }

    /// Whether the key is in the file.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Reports a key that is not there but must be.
    pub(super) fn require(&self, key: &'static str, example: &str) {
        if self.value(key).is_none() {
            let remedy = format!("add for example: {key} = {example}");
            self.document.add(self.start, &self.path(key), format!("`{key}` is missing"), remedy);
        }
    }

    /// Reports what is wrong about the value of a key, or about the section when the key is not there.
    pub(super) fn problem(&self, key: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        let at = self.value(key).map_or(self.start, |(_, at)| at);
        self.document.add(at, &self.path(key), message.into(), remedy.into());
    }

    /// Whether nothing was wrong in this section so far.
    pub(super) fn is_sound(&self) -> bool {
        let here = format!(", {}.", self.name);
        !self.document.problems.borrow().iter().any(|(_, problem)| problem.where_.contains(&here))
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(|t| t.keys()) {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let shown: String = name.escape_default().take(60).collect();
            let near =
                asked.iter().map(|known| (strsim::jaro_winkler(name, known), known)).filter(|(score, _)| *score > 0.75);
            let remedy = match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("the keys here are: {}", asked.join(", ")),
            };
            self.document.add(
                key.span().start,
                &self.path(&shown),
                format!("`{shown}` is not a key that pacsferry knows here"),
                remedy,
            );
        }
    }

    fn inside(&self, name: String, start: usize, table: Option<&'d DeTable<'d>>) -> Section<'d> {
        Section { document: self.document, name, start, table, asked: RefCell::default() }
    }

    fn value(&self, key: &'static str) -> Option<(&'d DeValue<'d>, usize)> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let found = self.table?.iter().find(|(name, _)| name.get_ref().as_ref() == key);
        found.map(|(_, value)| (value.get_ref(), value.span().start))
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn keep<T>(&self, key: &str, at: usize, read: Result<T, String>) -> Option<T> {
        // Readers say what is wrong and, after a semicolon, what to write instead.
        read.map_err(|error| {
            let (message, remedy) = error.split_once("; ").unwrap_or((&error, ""));
            self.document.add(at, &self.path(key), message.to_owned(), remedy.to_owned());
        })
        .ok()
    }

    fn wrong_type<T>(&self, key: &str, at: usize, wanted: &str, found: &DeValue<'_>) -> Option<T> {
        let kind = match found {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.document.add(at, &self.path(key), format!("`{key}` is {kind}"), format!("write {wanted}"));
        None
    }
}
