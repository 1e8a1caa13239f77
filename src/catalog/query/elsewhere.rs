//! A query asked of values that are not in the catalog: of what was never filed, or of what a source answers.

use super::matching::Matcher;
use super::{ATTRIBUTES, Match, Query, What};
use crate::dataset::fold_person_name;
use crate::dicom::{QueryLevel, Tag};

impl Query {
    /// Whether values, by their keywords, are what the query asks for, wherever they come from.
    pub fn admits(&self, value: impl Fn(&str) -> String) -> bool {
        self.wanted.iter().all(|wanted| {
            let What::Value(matcher) = &wanted.what else { return true };
            let known = ATTRIBUTES.iter().find(|known| known.tag == wanted.tag && known.level == wanted.level);
            let value = value(known.map_or("", |known| known.keyword));
            matcher.matches(&if matches!(matcher, Matcher::Names(_)) { fold_person_name(&value) } else { value })
        })
    }

    /// The level of what is asked for.
    pub fn level(&self) -> QueryLevel {
        self.level
    }

    /// The UIDs that a key names; none where it asks for any.
    pub fn uids(&self, tag: Tag) -> &[String] {
        match self.matcher(tag) {
            Some(Matcher::Uids(uids)) => uids,
            _ => &[],
        }
    }

    /// The answer that values of elsewhere are, if they are what is asked for.
    pub fn found(&self, value: impl Fn(Tag) -> String) -> Option<Match> {
        let of_keyword = |keyword: &str| {
            let known = ATTRIBUTES.iter().find(|known| known.keyword == keyword);
            known.map(|known| value(known.tag)).unwrap_or_default()
        };
        let values = || self.returned.iter().map(|(attribute, _)| value(attribute.tag)).collect();
        self.admits(of_keyword).then(|| Match { values: values(), file: None, nearline: true })
    }
}
