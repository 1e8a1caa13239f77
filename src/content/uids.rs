//! New UIDs that are the same whenever they are asked for: 2.25 and the number of a name-based UUID (PS3.5 §B.2, RFC
//! 9562 §5.5) of operation, level and old UID. A step that is done again after a crash finds what it has made before.

use ring::digest;

use crate::dicom::Uid;

/// The namespace of these names: a UUID that was drawn once.
const NAMESPACE: [u8; 16] =
    [0x5e, 0x1c, 0x07, 0xd3, 0x9a, 0x42, 0x4f, 0x6b, 0x8d, 0x31, 0xb0, 0x77, 0xc4, 0x2e, 0x16, 0xa9];

/// What a new UID is made for. A study and a series may bear one UID, so the level is part of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// The study of the old UID.
    Study,
    /// The series of the old UID.
    Series,
    /// The object of the old UID.
    Instance,
    /// The part of an object that leaves it, which becomes one of its own.
    Part,
    /// The series of the rejection notes in the study of the old UID.
    NoteSeries,
    /// One of the rejection notes in the study of the old UID.
    Note(usize),
}

impl Level {
    fn name(self) -> String {
        match self {
            Level::Study => "study".into(),
            Level::Series => "series".into(),
            Level::Instance => "instance".into(),
            Level::Part => "part".into(),
            Level::NoteSeries => "notes".into(),
            Level::Note(number) => format!("note {number}"),
        }
    }
}

/// The UID that takes the place of the old one. `operation` must be a name that no other operation has, neither here
/// nor in another archive.
pub fn new_uid(operation: &str, level: Level, old: &Uid) -> Uid {
    let mut name = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    name.update(&NAMESPACE);
    // None of them can hold a NUL that would make another name the same: lengths go before them.
    for part in [operation, &level.name(), old.as_str()] {
        name.update(&(part.len() as u64).to_be_bytes());
        name.update(part.as_bytes());
    }
    let mut uuid = [0; 16];
    uuid.iter_mut().zip(name.finish().as_ref()).for_each(|(to, from)| *to = *from);
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
    *version = *version & 0x0F | 0x50;
    *variant = *variant & 0x3F | 0x80;
    Uid::new(&format!("2.25.{}", u128::from_be_bytes(uuid)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn they_are_conformant_the_same_again_and_different_for_everything_else() {
        let old = Uid::new("1.2.3");
        let again = || new_uid("operation 1", Level::Series, &old);
        assert_eq!(again(), again());
        assert_eq!(again().as_str(), "2.25.289774310038057458446958975042754614766");
        let levels = [Level::Study, Level::Series, Level::Instance, Level::Part, Level::NoteSeries, Level::Note(1)];
        let mut seen = HashSet::new();
        for operation in ["operation 1", "operation 2"] {
            for level in levels.into_iter().chain([Level::Note(2)]) {
                for old in ["1.2.3", "1.2.4", "not a uid", ""] {
                    let uid = new_uid(operation, level, &Uid::new(old));
                    assert!(uid.is_conformant(), "{uid}");
                    assert!(seen.insert(uid));
                }
            }
        }
    }

    #[test]
    fn version_and_variant_are_those_of_a_name() {
        let uid = new_uid("operation", Level::Instance, &Uid::new("1.2"));
        let number: u128 = uid.as_str().strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!((number >> 76) & 0xF, 5);
        assert_eq!((number >> 62) & 0x3, 2);
    }
}
