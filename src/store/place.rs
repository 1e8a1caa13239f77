//! Where an instance lies under the storage folder. No text of an object ever becomes part of a path (I8): a
//! conformant UID is digits and dots, any other one is named by a hash, and nothing else is used.

use std::fmt;

use crate::dicom::{Date, Identity, Uid};

use super::Digest;

/// The folder of what is filed.
pub(super) const IMAGES: &str = "images";
/// The folder of what is kept but could not be filed.
pub(super) const QUARANTINE: &str = "quarantine";
/// The longest path that is taken from the catalog: three names of 64 and some folders.
const LONGEST: usize = 512;

/// A place under the storage folder, relative to it, with `/` between its parts. Made by the layout, or read back
/// from the catalog with every part checked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(Box<str>);

/// A text that names no place under the storage folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no place in the storage folder", .0.escape_default())]
pub struct InvalidPlace(pub String);

impl RelativePath {
    /// Takes the text of a place back from the catalog or the journal: under `images/` or `quarantine/`, of parts
    /// that the layout could have made, none of them `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let invalid = || InvalidPlace(text.chars().take(LONGEST).collect());
        if text.len() > LONGEST {
            return Err(invalid());
        }
        let mut parts = text.split('/');
        let rooted = matches!(parts.next(), Some(IMAGES | QUARANTINE));
        let mut depth = 0;
        let sound = parts.inspect(|_| depth += 1).all(is_part);
        if rooted && sound && depth > 0 { Ok(RelativePath(text.into())) } else { Err(invalid()) }
    }

    /// The text, as the catalog keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies in quarantine.
    pub fn is_quarantine(&self) -> bool {
        self.0.starts_with(QUARANTINE)
    }

    /// The folder that it lies in.
    pub(super) fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its last part.
    pub(super) fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().any(|b| b != b'.')
        && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'~'))
}

/// How much of the digest a name carries: nothing where the name is free, more when it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    /// The name alone.
    None,
    /// `~` and 16 hexadecimal digits.
    Short,
    /// `~` and all 64 of them.
    Full,
}

/// The place of a filed instance: `images/YYYY/MM/DD/<study>/<series>/<instance>.dcm` by its study date, and
/// `0000/00/00` without one.
pub(super) fn image(identity: &Identity, date: Option<Date>, digest: &Digest, suffix: Suffix) -> RelativePath {
    let day = date.map_or_else(|| "0000/00/00".to_owned(), |date| date.iso().replace('-', "/"));
    let (study, series) = (name_of(&identity.study), name_of(&identity.series));
    let name = file_name(&identity.instance, digest, suffix);
    RelativePath(format!("{IMAGES}/{day}/{study}/{series}/{name}").into())
}

/// The place of an instance in quarantine. It depends on the digest, so that the same object that comes again is
/// found, and not kept twice.
pub(super) fn quarantine(instance: &Uid, digest: &Digest, suffix: Suffix) -> RelativePath {
    let first = digest.as_bytes().first().copied().unwrap_or_default();
    RelativePath(format!("{QUARANTINE}/{first:02x}/{}", file_name(instance, digest, suffix)).into())
}

fn file_name(instance: &Uid, digest: &Digest, suffix: Suffix) -> String {
    let name = name_of(instance);
    let hex = digest.to_string();
    match suffix {
        Suffix::None => format!("{name}.dcm"),
        Suffix::Short => format!("{name}~{}.dcm", hex.get(..16).unwrap_or(&hex)),
        Suffix::Full => format!("{name}~{hex}.dcm"),
    }
}

/// A conformant UID as it is, any other as `h-` and 32 hexadecimal digits of its BLAKE3. Digits, dots and lower case
/// only: no two of these names are the same file where case does not count.
fn name_of(uid: &Uid) -> String {
    if uid.is_conformant() {
        return uid.as_str().to_owned();
    }
    let hex = blake3::hash(uid.as_str().as_bytes()).to_hex();
    format!("h-{}", hex.get(..32).unwrap_or(&hex))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dicom::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

    fn identity(study: &str, series: &str, instance: &str) -> Identity {
        Identity {
            study: StudyInstanceUid::new(study),
            series: SeriesInstanceUid::new(series),
            instance: SopInstanceUid::new(instance),
            class: SopClassUid::new("1.2"),
        }
    }

    fn digest() -> Digest {
        Digest::from_bytes([0xAB; 32])
    }

    #[test]
    fn conformant_uids_stand_as_they_are() {
        let id = identity("1.2.3", "1.2.3.4", "1.2.3.4.5");
        let date = Date::parse("20211117").ok();
        assert_eq!(image(&id, date, &digest(), Suffix::None).as_str(), "images/2021/11/17/1.2.3/1.2.3.4/1.2.3.4.5.dcm");
        assert_eq!(
            image(&id, None, &digest(), Suffix::Short).as_str(),
            "images/0000/00/00/1.2.3/1.2.3.4/1.2.3.4.5~abababababababab.dcm"
        );
        assert_eq!(
            quarantine(&id.instance, &digest(), Suffix::Short).as_str(),
            "quarantine/ab/1.2.3.4.5~abababababababab.dcm"
        );
    }

    #[test]
    fn hostile_uids_become_hashes() {
        let long = "1.".repeat(150);
        let hostile =
            ["../../x", "..", ".", "", "/etc/x", "a\0b", "1.2/3", "CON", "1.2.", "LOCALIZER", "ÄÖ", &long, "1.02"];
        let mut seen = std::collections::HashSet::new();
        for text in hostile {
            let place = image(&identity(text, text, text), None, &digest(), Suffix::None);
            let parts: Vec<_> = place.as_str().split('/').collect();
            assert_eq!(parts.len(), 7, "{text:?} -> {place}");
            for part in &parts[4..] {
                assert!(part.starts_with("h-"), "{text:?} -> {place}");
            }
            assert!(seen.insert(place), "{text:?} shares a place with another UID");
        }
    }

    #[test]
    fn only_what_the_layout_could_have_made_is_read_back() {
        for good in ["images/2021/11/17/1.2/1.3/1.4.dcm", "quarantine/ab/h-0123~ab.dcm", "images/x"] {
            assert_eq!(RelativePath::parse(good).map(|p| p.to_string()).as_deref(), Ok(good));
        }
        let long = format!("images/{}", "1".repeat(600));
        for bad in [
            "",
            "images",
            "images/",
            "/images/1",
            "images/../x",
            "images//1",
            "images/./1",
            "incoming/1/2",
            "../images/1",
            "images/a\0b",
            "images/A",
            "images\\1",
            "images/ü",
            &long,
            ".pacsferry-storage",
        ] {
            assert!(RelativePath::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_uid_leads_outside_the_folder(study in any::<String>(), series in any::<String>(), instance in any::<String>()) {
            for place in [
                image(&identity(&study, &series, &instance), None, &digest(), Suffix::Full),
                quarantine(&SopInstanceUid::new(&instance), &digest(), Suffix::Full),
            ] {
                prop_assert_eq!(RelativePath::parse(place.as_str()), Ok(place.clone()));
                prop_assert!(place.as_str().split('/').all(|part| part.len() <= 140));
            }
        }
    }
}
