//! `[[priors]]`: when to see to it that the studies of those who are expected are there.

use super::Source;
use super::hours::Minute;
use super::raw::Section;
use super::values::non_empty;

/// A time of day at which the studies of those on a worklist are put first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priors {
    /// The name of the source whose Modality Worklist names the patients.
    pub worklist: String,
    /// Days after today.
    pub days: u32,
    /// Only studies of so many months; all where it is not said.
    pub prior_months: Option<u32>,
    /// When, every day.
    pub at: Minute,
}

impl Priors {
    /// What tells it apart from others.
    pub fn key(&self) -> String {
        format!("{} at {}", self.worklist, self.at)
    }
}

/// Reads all of them; each names one of the sources.
pub(super) fn priors(sections: Vec<Section<'_>>, sources: &[Source]) -> Vec<Priors> {
    let mut all: Vec<Priors> = Vec::new();
    for s in sections {
        let at = |text: &str| match Minute::parse(text)? {
            Minute::END => Err("`24:00` is the midnight of the next day; write \"00:00\"".to_owned()),
            minute => Ok(minute),
        };
        let small = |number: Option<u64>| number.and_then(|n| u32::try_from(n).ok());
        let worklist = s.text("worklist", non_empty);
        s.require("worklist", "\"ris\"");
        let days = small(s.number("days", 0..=31)).unwrap_or(1);
        let prior_months = small(s.number("prior_months", 1..=1200));
        let at = s.text("at", at);
        s.require("at", "\"18:00\"");
        s.finish();
        let (Some(worklist), Some(at)) = (worklist, at) else { continue };
        let priors = Priors { worklist, days, prior_months, at };
        if !sources.iter().any(|source| source.name == priors.worklist) {
            let what = format!("there is no [[source]] called `{}`", priors.worklist.escape_default());
            s.problem("worklist", what, "whoever answers for the worklist needs a [[source]]");
        } else if all.iter().any(|other| other.key() == priors.key()) {
            s.problem("at", "the same worklist is asked at this time already", "leave one of the two out");
        } else {
            all.push(priors);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    const SOURCE: &str = "[[source]]\nname = \"ris\"\nae_title = \"RIS\"\naddress = \"10.0.0.1:104\"\n";

    #[test]
    fn a_schedule_names_a_source_and_a_time() {
        let config = parse(&format!("{SOURCE}[[priors]]\nworklist = \"ris\"\nat = \"18:00\"\n"), None).unwrap();
        let [priors] = config.priors.as_slice() else { panic!("{:?}", config.priors) };
        assert_eq!((priors.days, priors.prior_months, priors.key().as_str()), (1, None, "ris at 18:00"));
        let said = |text: &str| parse(&format!("{SOURCE}{text}"), None).unwrap_err().to_string();
        for (text, what) in [
            ("[[priors]]\nat = \"18:00\"", "`worklist` is missing"),
            ("[[priors]]\nworklist = \"ris\"", "`at` is missing"),
            ("[[priors]]\nworklist = \"his\"\nat = \"18:00\"", "no [[source]] called `his`"),
            ("[[priors]]\nworklist = \"ris\"\nat = \"24:00\"", "next day"),
            ("[[priors]]\nworklist = \"ris\"\nat = \"18:00\"\ndays = 40", "out of bounds"),
            (
                "[[priors]]\nworklist = \"ris\"\nat = \"18:00\"\n[[priors]]\nworklist = \"ris\"\nat = \"18:00\"\ndays = 3",
                "at this time already",
            ),
        ] {
            assert!(said(text).contains(what), "{}", said(text));
        }
    }
}
