//! What somebody wants moved, and where to.

use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use super::{ContentError, Refusal};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// What is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Whole series.
    Series(Vec<SeriesInstanceUid>),
    /// Single objects, by the UIDs that they are shown under.
    Instances(Vec<SopInstanceUid>),
    /// All of a study.
    Study(StudyInstanceUid),
}

/// Where it is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Into this study, which the archive knows.
    Study(StudyInstanceUid),
    /// Into a new study of the same patient, under this UID or one that is made.
    New(Option<StudyInstanceUid>),
}

/// Whether objects keep their own UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They do: nobody else holds them.
    Local,
    /// They get new ones, and others are told (IHE Imaging Object Change Management).
    Iocm,
}

/// What an operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Series or objects go to another study.
    Reallocate,
    /// A study is dissolved into another one.
    Merge,
    /// Series or objects go to a study of their own.
    Split,
}

/// Why it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Why {
    /// One of the site's codes.
    pub code: String,
    /// In words.
    pub text: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be moved.
    pub what: What,
    /// Where it lies, if the UIDs alone do not tell.
    pub from: Option<StudyInstanceUid>,
    /// Where it is to go.
    pub to: To,
    /// How; as configured if nothing is said.
    pub mode: Option<Mode>,
    /// Why.
    pub why: Why,
    /// That the other patient is the right one.
    pub patient_confirmed: bool,
    /// That verified or signed documents are replaced.
    pub documents_confirmed: bool,
    /// Locally, although others hold the objects under their old identity.
    pub force_local: bool,
    /// Objects that refer to nothing but what is moved go with it.
    pub companions: bool,
    /// The seal of the plan that was seen: nothing else is done than what it said.
    pub seen: Option<String>,
}

impl Kind {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Reallocate => "reallocate",
            Kind::Merge => "merge",
            Kind::Split => "split",
        }
    }
}

impl Why {
    /// Reads `CODE` or `CODE:TEXT`.
    pub fn parse(text: &str) -> Why {
        let (code, text) = text.split_once(':').unwrap_or((text, ""));
        Why { code: code.trim().to_owned(), text: text.trim().to_owned() }
    }
}

impl Request {
    /// Nothing said but what and where to.
    pub fn new(what: What, to: To) -> Request {
        Request {
            what,
            from: None,
            to,
            mode: None,
            why: Why::default(),
            patient_confirmed: false,
            documents_confirmed: false,
            force_local: false,
            companions: true,
            seen: None,
        }
    }

    /// What such an operation is called.
    pub fn kind(&self) -> Kind {
        match (&self.what, &self.to) {
            (_, To::New(_)) => Kind::Split,
            (What::Study(_), To::Study(_)) => Kind::Merge,
            _ => Kind::Reallocate,
        }
    }

    /// What the operation is named and its UIDs are made of: as the plan that was seen, or as nothing else is.
    pub(super) fn name(&self) -> Result<String, ContentError> {
        if let Some(seen) = &self.seen {
            let name = seen.split_once('.').map(|(name, _)| name).filter(|name| is_name(name));
            return name
                .map(str::to_owned)
                .ok_or_else(|| Refusal::Changed { what: "its seal was damaged".into() }.into());
        }
        let mut name = [0; 16];
        SystemRandom::new().fill(&mut name).map_err(|_| ContentError::NoRandomness)?;
        Ok(format!("{:032x}", u128::from_be_bytes(name)))
    }
}

fn is_name(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl What {
    /// How many UIDs are named.
    pub(super) fn named(&self) -> usize {
        match self {
            What::Series(uids) => uids.len(),
            What::Instances(uids) => uids.len(),
            What::Study(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_called_by_what_it_does() {
        let study = || StudyInstanceUid::new("1.2");
        let series = || What::Series(vec![SeriesInstanceUid::new("1.3")]);
        assert_eq!(Request::new(series(), To::Study(study())).kind(), Kind::Reallocate);
        assert_eq!(Request::new(series(), To::New(None)).kind(), Kind::Split);
        assert_eq!(Request::new(What::Study(study()), To::Study(study())).kind(), Kind::Merge);
    }

    #[test]
    fn a_reason_is_a_code_and_perhaps_words() {
        assert_eq!(Why::parse("WRONG-PATIENT"), Why { code: "WRONG-PATIENT".into(), text: String::new() });
        let why = Why { code: "MWL".into(), text: "wrong entry: 14:30".into() };
        assert_eq!(Why::parse("MWL: wrong entry: 14:30"), why);
    }
}
