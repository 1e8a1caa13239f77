//! A list of Patient IDs as hospitals export it: one a line, by comma, semicolon or tab, with a heading or without.

use std::collections::BTreeSet;
use std::fmt;

use super::{ExpectedPatient, is_id};

/// The longest list.
pub const LONGEST: usize = 16 << 20;
/// What the column of the Patient ID is called, without blanks and signs.
const IDS: [&str; 7] = ["patientid", "patid", "pid", "id", "mrn", "patientnumber", "00100020"];
/// And that of its issuer.
const ISSUERS: [&str; 5] = ["issuerofpatientid", "issuer", "assigningauthority", "authority", "00100021"];

/// A list that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Everybody, once each.
    pub patients: Vec<ExpectedPatient>,
    /// What could not be used.
    pub bad: Vec<BadLine>,
}

/// A line that names no patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Why a list cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Too long.
    #[error("the list is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// There is a heading, and no column in it that could be meant.
    #[error("the heading has no column for the Patient ID; call it `PatientID`")]
    NoColumn,
    /// It is no text of single bytes.
    #[error("the list is in UTF-16; export it as CSV in UTF-8")]
    Utf16,
    /// Nobody is on it: an export that failed looks the same.
    #[error("the list names nobody{}", .0.as_ref().map(|line| format!("; {line}")).unwrap_or_default())]
    Nobody(Option<BadLine>),
}

/// Reads a list. Lines that cannot be used are told, and the others are good.
pub fn read_list(bytes: &[u8]) -> Result<List, ListError> {
    if bytes.len() > LONGEST {
        return Err(ListError::TooLong);
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(ListError::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut list = List::default();
    let mut patients = BTreeSet::new();
    let mut columns: Option<(char, usize, Option<usize>)> = None;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let mut bad = |why| list.bad.push(BadLine { line: number + 1, why });
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            bad("it is not in UTF-8");
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        let (separator, id, issuer) = match columns {
            Some(columns) => columns,
            None => {
                let separator = ['\t', ';', ','].into_iter().find(|sign| line.contains(*sign)).unwrap_or(',');
                let heading = cells(line, separator).and_then(|cells| heading(&cells).transpose()).transpose()?;
                let (id, issuer) = heading.unwrap_or((0, Some(1)));
                columns = Some((separator, id, issuer));
                if heading.is_some() {
                    continue;
                }
                (separator, id, issuer)
            }
        };
        let Some(cells) = cells(line, separator) else {
            bad("a quotation mark is not closed");
            continue;
        };
        let cell = |at: usize| cells.get(at).map_or("", |cell| cell.trim());
        let (id, issuer) = (cell(id), issuer.map_or("", cell));
        if id.is_empty() {
            bad("it has no Patient ID");
        } else if !is_id(id) {
            bad("this is no Patient ID: it is longer than 64 characters, or has *, ?, \\ or control characters");
        } else if !issuer.is_empty() && !is_id(issuer) {
            bad("this is no issuer of a Patient ID");
        } else {
            patients.insert(ExpectedPatient { id: id.to_owned(), issuer: issuer.to_owned() });
        }
    }
    if patients.is_empty() {
        return Err(ListError::Nobody(list.bad.into_iter().next()));
    }
    list.patients = patients.into_iter().collect();
    Ok(list)
}

/// Which columns are meant, if the first line is a heading.
fn heading(cells: &[String]) -> Result<Option<(usize, Option<usize>)>, ListError> {
    let plain = |cell: &String| {
        cell.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    let names: Vec<String> = cells.iter().map(plain).collect();
    let at = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
    match (at(&IDS), at(&ISSUERS)) {
        (Some(id), issuer) => Ok(Some((id, issuer))),
        (None, Some(_)) => Err(ListError::NoColumn),
        (None, None) => Ok(None),
    }
}

/// The cells of a line; a cell in quotation marks may have the separator in it, and a mark doubled. `None` where one is
/// not closed.
fn cells(line: &str, separator: char) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        let empty = cells.last().is_none_or(|cell| cell.trim().is_empty());
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                cells.last_mut()?.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if empty => quoted = true,
            sign if sign == separator && !quoted => cells.push(String::new()),
            sign => cells.last_mut()?.push(sign),
        }
    }
    (!quoted).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(String, String)> {
        let list = read_list(text.as_bytes()).unwrap();
        assert_eq!(list.bad, Vec::new(), "{text}");
        list.patients.into_iter().map(|patient| (patient.id, patient.issuer)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(id, issuer)| ((*id).to_owned(), (*issuer).to_owned())).collect()
    }

    #[test]
    fn lists_come_with_a_heading_and_without() {
        assert_eq!(named("P2\nP1\r\n\nP2\n"), pairs(&[("P1", ""), ("P2", "")]));
        assert_eq!(named("P1,CITY\nP1\n"), pairs(&[("P1", ""), ("P1", "CITY")]));
        assert_eq!(
            named("\u{feff}Name;Issuer of Patient ID;\"Patient ID\"\n\"Doe; Jane\";CITY; P1 \n"),
            pairs(&[("P1", "CITY")])
        );
        assert_eq!(named("MRN\tName\n\"A \"\"1\"\"\"\tx\n"), pairs(&[("A \"1\"", "")]));
        for nobody in ["PatientID\n", "", "\n\n"] {
            assert_eq!(read_list(nobody.as_bytes()), Err(ListError::Nobody(None)), "{nobody:?}");
        }
        let said = read_list(b"id\nP*\n").unwrap_err().to_string();
        assert!(said.starts_with("the list names nobody; line 2: this is no Patient ID"), "{said}");
        assert_eq!(read_list(b"\xFF\xFEP\x001\x00"), Err(ListError::Utf16));
        assert_eq!(read_list(b"issuer,name\nCITY,x\n"), Err(ListError::NoColumn));
        assert_eq!(read_list(&vec![b'1'; LONGEST + 1]), Err(ListError::TooLong));
    }

    #[test]
    fn bad_lines_are_named_and_the_others_are_good() {
        let text = [b"id,issuer\n,CITY\nP1\nP*\n\"P2\n".as_slice(), b"P\xFF\n", b"P3,a\\b\nP4,CITY\n"].concat();
        let list = read_list(&text).unwrap();
        assert_eq!(list.patients.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["P1", "P4"]);
        assert_eq!(list.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
        assert_eq!(list.bad[0].to_string(), "line 2: it has no Patient ID");
    }
}
