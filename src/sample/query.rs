//! Matching of C-FIND keys (PS3.4 §C.2.2.2) against the sample archive.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use dicom_core::VR;

use super::archive::SampleObject;
use super::data_set::{DataSet, vr_of};
use super::profile::{Counts, Profile, TextLabel};
use super::shared::Shared;
use crate::dataset::{CharacterSet, Elements, fold_person_name};
use crate::dicom::{QueryLevel, StudyInstanceUid, Tag, Uid, tags};

/// Why a query is not answered. The text becomes the Error Comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswerable(pub(crate) &'static str);

/// A query, as it was asked.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    level: QueryLevel,
    keys: &'a Elements,
    profile: &'a Profile,
    ae_title: &'a str,
    /// The keys that have a value and are not ignored.
    values: BTreeMap<Tag, String>,
}

impl<'a> Query<'a> {
    /// A query with these keys.
    pub(crate) fn new(level: QueryLevel, keys: &'a Elements, profile: &'a Profile, ae_title: &'a str) -> Self {
        // Decoded once, not for each study; without a value a key matches everything.
        let named = keys.iter().filter(|(tag, _)| !profile.ignored_keys.contains(tag));
        let values = named.filter_map(|(tag, _)| Some((tag, keys.text(tag)?))).collect();
        Query { level, keys, profile, ae_title, values }
    }
}

/// What is grouped into one row: the objects of a patient, a study, a series, or one object.
type Group<'a> = Vec<&'a SampleObject>;

impl Query<'_> {
    /// The identifiers of the answers, in the order of the archive.
    pub(crate) fn rows(&self, shared: &Shared) -> Result<Vec<DataSet>, Unanswerable> {
        self.check()?;
        let mut rows = Vec::new();
        let mut studies_so_far = 0;
        for group in self.groups(shared) {
            for copy in 0..self.profile.rows_each {
                let mut row = self.row(&group, shared);
                if copy > 0 && self.profile.conflicting_patients {
                    row.put(tags::PATIENT_ID, &format!("OTHER-{copy}")).put(tags::PATIENT_NAME, "Someone^Else");
                }
                rows.push(row);
            }
            studies_so_far += 1;
            let every = self.profile.without_uid_every.filter(|_| self.level == QueryLevel::Study);
            if let (Some(every), Some(row)) = (every, rows.last_mut())
                && studies_so_far % every.max(1) == 0
            {
                row.put(tags::STUDY_INSTANCE_UID, "");
            }
        }
        Ok(rows)
    }

    fn check(&self) -> Result<(), Unanswerable> {
        let profile = self.profile;
        if profile.needed_keys.iter().any(|tag| !self.keys.contains(*tag)) {
            return Err(Unanswerable("a key is missing"));
        }
        if profile.rejects_wildcards && self.values.values().any(|value| value.contains('*')) {
            return Err(Unanswerable("no wildcards here"));
        }
        let is_range =
            |(tag, value): (&Tag, &String)| matches!(vr_of(*tag), VR::DA | VR::TM | VR::DT) && value.contains('-');
        if profile.rejects_ranges && self.values.iter().any(is_range) {
            return Err(Unanswerable("no ranges here"));
        }
        if self.level == QueryLevel::Image && !profile.image_level {
            return Err(Unanswerable("no queries at this level"));
        }
        let missing = |tag: Tag| !profile.ignored_keys.contains(&tag) && self.value(tag).is_empty();
        let needs_study = matches!(self.level, QueryLevel::Series | QueryLevel::Image);
        let needs_series = self.level == QueryLevel::Image;
        if !profile.relational
            && (needs_study && missing(tags::STUDY_INSTANCE_UID) || needs_series && missing(tags::SERIES_INSTANCE_UID))
        {
            return Err(Unanswerable("a unique key of a higher level is missing"));
        }
        Ok(())
    }

    /// The value of a key, decoded; empty for universal matching and for a key that is ignored.
    fn value(&self, tag: Tag) -> &str {
        self.values.get(&tag).map(String::as_str).unwrap_or_default()
    }

    /// The values of a UID key, none of them for universal matching.
    fn uids(&self, tag: Tag) -> Vec<String> {
        split_uids(self.value(tag))
    }

    fn groups<'s>(&self, shared: &'s Shared) -> Vec<Group<'s>> {
        let named = self.uids(tags::STUDY_INSTANCE_UID);
        let studies: Vec<StudyInstanceUid> = if named.is_empty() {
            shared.studies().to_vec()
        } else {
            named.iter().map(|uid| StudyInstanceUid::new(uid)).collect()
        };
        let mut groups: Vec<Group<'_>> = Vec::new();
        for study in &studies {
            let retrieves = shared.retrieves(study);
            let listed: Group<'_> = shared.study(study).filter(|object| object.is_listed(retrieves)).collect();
            let Some(first) = listed.first() else { continue };
            if !self.matches_study(first, &listed) {
                continue;
            }
            match self.level {
                QueryLevel::Patient => {
                    let id = first.attribute(tags::PATIENT_ID);
                    let known = |g: &&mut Group<'_>| g.first().and_then(|o| o.attribute(tags::PATIENT_ID)) == id;
                    match groups.iter_mut().find(known) {
                        Some(group) => group.extend(listed),
                        None => groups.push(listed),
                    }
                }
                QueryLevel::Study => groups.push(listed),
                QueryLevel::Series => {
                    groups.extend(by(&listed, |o| &o.identity.series).filter(|g| self.matches_lower(g)))
                }
                QueryLevel::Image => {
                    groups.extend(by(&listed, |o| &o.identity.instance).filter(|g| self.matches_lower(g)))
                }
            }
        }
        groups
    }

    fn matches_study(&self, first: &SampleObject, listed: &Group<'_>) -> bool {
        let modalities = self.value(tags::MODALITIES_IN_STUDY);
        let has_modality = modalities.is_empty()
            || listed.iter().any(|o| modalities.split('\\').any(|m| wildcard(m, &text(o, tags::MODALITY))));
        has_modality && self.matches_times(first) && STUDY_KEYS.iter().all(|&tag| self.matches(tag, first))
    }

    fn matches_lower(&self, group: &Group<'_>) -> bool {
        let Some(first) = group.first() else { return false };
        let among = |tag, uid: &str| {
            let wanted = self.uids(tag);
            wanted.is_empty() || wanted.iter().any(|one| one == uid)
        };
        among(tags::SERIES_INSTANCE_UID, first.identity.series.as_str())
            && (self.level == QueryLevel::Series || among(tags::SOP_INSTANCE_UID, first.identity.instance.as_str()))
            && LOWER_KEYS.iter().all(|&tag| self.matches(tag, first))
    }

    fn matches(&self, tag: Tag, object: &SampleObject) -> bool {
        let wanted = self.value(tag);
        if wanted.is_empty() {
            return true;
        }
        let held = text(object, tag);
        match vr_of(tag) {
            VR::PN => wildcard(&fold_person_name(wanted), &fold_person_name(&held)),
            _ => wildcard(wanted, &held),
        }
    }

    /// Study date and time, each by itself, or as one when that was agreed.
    fn matches_times(&self, object: &SampleObject) -> bool {
        let (date, time) = (self.value(tags::STUDY_DATE), self.value(tags::STUDY_TIME));
        if date.is_empty() && time.is_empty() {
            return true;
        }
        let (held_date, held_time) = (text(object, tags::STUDY_DATE), text(object, tags::STUDY_TIME));
        if self.profile.combined_times
            && let (Some((from_date, to_date)), Some((from_time, to_time))) =
                (date.split_once('-'), time.split_once('-'))
        {
            let join = |date: &str, time: &str| format!("{date}-{time}");
            let moment = join(&held_date, &held_time);
            return is_date(&held_date)
                && *join(from_date, from_time) <= *moment
                && (to_date.is_empty() || *moment <= *join(to_date, &late(to_time)));
        }
        let date_fits = match date.split_once('-') {
            _ if date.is_empty() => true,
            None => date == held_date,
            Some((from, to)) => is_date(&held_date) && *from <= *held_date && (to.is_empty() || *held_date <= *to),
        };
        let time_fits = match time.split_once('-') {
            _ if time.is_empty() => true,
            None => held_time.starts_with(time),
            Some((from, to)) => {
                !held_time.is_empty() && *from <= *held_time && (to.is_empty() || *held_time <= *late(to))
            }
        };
        date_fits && time_fits
    }

    fn row(&self, group: &Group<'_>, shared: &Shared) -> DataSet {
        let mut row = DataSet::new();
        let Some(first) = group.first() else { return row };
        for (tag, ..) in self.keys.iter() {
            if let Some(bytes) = first.attribute(tag).filter(|_| tag != tags::SPECIFIC_CHARACTER_SET) {
                row.put_bytes(tag, vr_of(tag), bytes.to_vec());
            } else if tag.group() != 0xFFFE && tag.element() != 0 {
                self.put_computed(&mut row, tag, group, shared);
            }
        }
        // The unique keys of the level and those above come with every answer, asked for or not.
        let depth =
            [QueryLevel::Study, QueryLevel::Series, QueryLevel::Image].into_iter().take_while(|l| *l <= self.level);
        let unique = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID];
        for (_, tag) in depth.zip(unique) {
            row.put_bytes(tag, VR::UI, first.attribute(tag).unwrap_or_default().to_vec());
        }
        // Values are there as the archive holds them, whatever is said of them.
        match &self.profile.character_set {
            TextLabel::Missing => row.remove(tags::SPECIFIC_CHARACTER_SET),
            TextLabel::Says(terms) => row.put(tags::SPECIFIC_CHARACTER_SET, terms),
            TextLabel::Right => match first.attribute(tags::SPECIFIC_CHARACTER_SET) {
                Some(terms) => row.put_bytes(tags::SPECIFIC_CHARACTER_SET, VR::CS, terms.to_vec()),
                None => row.remove(tags::SPECIFIC_CHARACTER_SET),
            },
        };
        if self.profile.extra_elements {
            row.put_bytes(Tag(0x0008, 0x0000), VR::UL, 0xFFFF_u32.to_le_bytes().to_vec())
                .put(tags::TIMEZONE_OFFSET_FROM_UTC, "+0100")
                .put_bytes(Tag(0x0009, 0x0010), VR::LO, b"SOMEBODY".to_vec())
                .put_bytes(Tag(0x0009, 0x1001), VR::UN, vec![0; 300]);
        }
        for tag in &self.profile.untold_keys {
            row.remove(*tag);
        }
        row.put(tags::QUERY_RETRIEVE_LEVEL, self.level.as_str()).put(tags::RETRIEVE_AE_TITLE, self.ae_title);
        row
    }

    /// What follows from the objects of the group; every other key comes back empty.
    fn put_computed(&self, row: &mut DataSet, tag: Tag, group: &Group<'_>, shared: &Shared) {
        let distinct = |key: fn(&SampleObject) -> &Uid| group.iter().map(|o| key(o)).collect::<BTreeSet<_>>().len();
        let count = match tag {
            tags::NUMBER_OF_STUDY_RELATED_SERIES => distinct(|o| &o.identity.series),
            tags::NUMBER_OF_STUDY_RELATED_INSTANCES => {
                let Some(first) = group.first() else { return };
                let retrieves = shared.retrieves(&first.identity.study);
                let whole: BTreeSet<_> = shared
                    .study(&first.identity.study)
                    .filter(|object| object.is_listed(retrieves))
                    .map(|object| &object.identity.instance)
                    .collect();
                whole.len()
            }
            tags::NUMBER_OF_SERIES_RELATED_INSTANCES => distinct(|o| &o.identity.instance),
            tags::MODALITIES_IN_STUDY => {
                let mut modalities: Vec<String> = group.iter().map(|o| text(o, tags::MODALITY)).collect();
                modalities.sort();
                modalities.dedup();
                row.put(tag, &modalities.join("\\"));
                return;
            }
            _ => {
                row.put(tag, "");
                return;
            }
        };
        match self.profile.counts {
            Counts::Right => row.put(tag, &count.to_string()),
            Counts::Missing => row,
            Counts::Empty => row.put(tag, ""),
            Counts::Zero => row.put(tag, "0"),
            Counts::Off(by) => row.put(tag, &count.saturating_add_signed(isize::try_from(by).unwrap_or(0)).to_string()),
        };
    }
}

/// The keys of patient and study that are matched as texts.
const STUDY_KEYS: [Tag; 8] = [
    tags::PATIENT_ID,
    tags::PATIENT_NAME,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::STUDY_DESCRIPTION,
    tags::REFERRING_PHYSICIAN_NAME,
];

/// The keys of series and instance that are matched as texts.
const LOWER_KEYS: [Tag; 5] =
    [tags::MODALITY, tags::SERIES_NUMBER, tags::SERIES_DESCRIPTION, tags::INSTANCE_NUMBER, tags::SOP_CLASS_UID];

/// The objects in groups of the same UID, in order of first appearance.
fn by<'a, U: Eq + Hash + 'a>(
    objects: &Group<'a>,
    key: fn(&'a SampleObject) -> &'a U,
) -> impl Iterator<Item = Group<'a>> {
    let mut places: HashMap<&U, usize> = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for &object in objects {
        let place = *places.entry(key(object)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(object),
            None => groups.push(vec![object]),
        }
    }
    groups.into_iter()
}

/// The UIDs of a value.
pub(crate) fn split_uids(value: &str) -> Vec<String> {
    value.split('\\').map(|one| Uid::new(one).as_str().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// An attribute as text, by the object's own character set.
fn text(object: &SampleObject, tag: Tag) -> String {
    let Some(bytes) = object.attribute(tag) else { return String::new() };
    let set = CharacterSet::parse(object.attribute(tags::SPECIFIC_CHARACTER_SET).unwrap_or_default());
    set.decode(bytes).trim_matches([' ', '\0']).to_owned()
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The last moment that a time of lesser precision includes, to compare with.
fn late(time: &str) -> String {
    format!("{time:9<6}.999999")
}

/// Wildcard matching (PS3.4 §C.2.2.2.4).
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
