//! Person names (PS3.4 §C.2.2.2.1.1): compared folded, that is without regard to case, accents, width of characters and
//! empty components, in any of their component groups.

use super::pattern::{Pattern, has_wildcard};
use crate::dataset::fold_person_name;

/// What a name must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// Each group that the key has must be a group of the name, or the beginning of one up to the end of a component.
    Literal(Vec<Group>),
    /// Each word of the key must sound like a word of the name, in whatever order.
    Fuzzy(Vec<Word>),
}

/// A component group of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    text: String,
    pattern: Pattern,
}

/// A word of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Sounds(String),
    Looks(Pattern),
}

impl Name {
    pub(super) fn new(key: &str, fuzzy: bool) -> Name {
        let folded = fold_person_name(key);
        if !fuzzy {
            let group = |text: &str| Group { text: text.to_owned(), pattern: Pattern::new(text) };
            return Name::Literal(folded.split('=').filter(|text| !text.is_empty()).map(group).collect());
        }
        let word = |word: &str| match has_wildcard(word) {
            true => Word::Looks(Pattern::new(word)),
            false => Word::Sounds(sound(word)),
        };
        Name::Fuzzy(words(&folded).map(word).collect())
    }

    /// Whether a folded name matches. A name that is not known matches nothing that was asked for.
    pub(super) fn matches(&self, folded: &str) -> bool {
        match self {
            Name::Literal(groups) => groups.iter().all(|group| folded.split('=').any(|text| group.matches(text))),
            Name::Fuzzy(asked) => asked.iter().all(|word| words(folded).any(|text| word.matches(text))),
        }
    }

    /// A range that every name which matches has a group in, both ends included, for reading them by their index.
    pub(super) fn range(&self) -> Option<(String, String)> {
        let Name::Literal(groups) = self else { return None };
        let group = groups.first()?;
        match &group.pattern {
            // What it may go on with begins with `^`; `_` is the next character.
            Pattern::Exact(text) => Some((text.clone(), format!("{text}_"))),
            Pattern::Wild(_) => super::after(&group.pattern.prefix()),
        }
    }

    /// Whether this group of a folded name, read by its index, is the first of those of the name that lie in the range:
    /// a name with several of them is to be found once. Nobody's name is an empty group.
    pub(super) fn is_first(range: (&str, &str), group: &str, folded: &str) -> bool {
        let inside = |text: &&str| !text.is_empty() && range.0 <= *text && *text <= range.1;
        folded.split('=').filter(inside).min().unwrap_or_default() == group
    }
}

impl Group {
    fn matches(&self, text: &str) -> bool {
        match &self.pattern {
            Pattern::Exact(exact) => {
                text.strip_prefix(exact.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('^'))
            }
            wild => wild.matches(text),
        }
    }

    #[cfg(test)]
    fn text(&self) -> &str {
        &self.text
    }
}

impl Word {
    fn matches(&self, text: &str) -> bool {
        match self {
            Word::Sounds(wanted) => *wanted == sound(text),
            Word::Looks(pattern) => pattern.matches(text),
        }
    }
}

/// The words of a folded name.
fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(['^', '=', ' ', ',', '-', '.', '\'']).filter(|word| !word.is_empty())
}

/// What a folded word sounds like, roughly and in any language: spellings of one sound become one, doubled letters single,
/// so that Müller is Mueller, Schmidt is Schmitt, Meyer is Maier, Stephen is Steven.
fn sound(word: &str) -> String {
    const SPELLINGS: [(&str, &str); 20] = [
        ("ae", "a"),
        ("oe", "o"),
        ("ue", "u"),
        ("ei", "ai"),
        ("ey", "ai"),
        ("ay", "ai"),
        ("dt", "t"),
        ("th", "t"),
        ("ph", "f"),
        ("ck", "k"),
        ("ch", "k"),
        ("c", "k"),
        ("q", "k"),
        ("v", "f"),
        ("w", "f"),
        ("z", "s"),
        ("y", "i"),
        ("ie", "i"),
        ("j", "i"),
        ("d", "t"),
    ];
    let mut sound = word.to_owned();
    for (spelling, simple) in SPELLINGS {
        if sound.contains(spelling) {
            sound = sound.replace(spelling, simple);
        }
    }
    let mut letters: Vec<char> = sound.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fuzzy: bool, cases: &[(&str, &[&str], &[&str])]) {
        for (key, yes, no) in cases {
            let name = Name::new(key, fuzzy);
            let matches = |text: &&&str| name.matches(&fold_person_name(text));
            assert_eq!(yes.iter().find(|text| !matches(text)), None, "{key} does not match");
            assert_eq!(no.iter().find(matches), None, "{key} matches");
        }
    }

    #[test]
    fn names_match_without_case_accents_and_width_in_any_group_up_to_the_end_of_a_component() {
        check(
            false,
            &[
                ("müller", &["Muller^Hans", "MÜLLER", "ＭＵＬＬＥＲ^X"], &["Mullers", "Hans^Muller", "Mueller", ""]),
                ("Muller^hans", &["MÜLLER^HANS^PETER"], &["Muller^Hansi", "Muller"]),
                ("mul*", &["Mulder^Fox", "Yamada=Mul^X"], &["Hans^Muller"]),
                ("*hans", &["Muller^Hans"], &["Muller^Hans^Peter"]),
                ("m?ller^h*", &["Müller^Hans", "Miller^H"], &["Maller"]),
                ("山田", &["Yamada^Tarou=山田^太郎=やまだ^たろう"], &["Yamada^Tarou"]),
                ("yamada=山田^太郎", &["Yamada^Tarou=山田^太郎"], &["Yamada^Tarou", "Yamada=山本"]),
                ("Doe^^", &["Doe^Jane"], &["Doer"]),
            ],
        );
    }

    #[test]
    fn fuzzy_names_match_by_sound_in_any_order() {
        check(
            true,
            &[
                (
                    "Mueller^Hans",
                    &["Müller^Hans", "Hans^Muller", "Müller, Hans", "MULLER^HANS^PETER"],
                    &["Müller^Heinz"],
                ),
                ("Smith Mary", &["Smyth^Mary", "Mary^Smith"], &["Smithers^Mary"]),
                ("Meier", &["Mayer^A", "Maier^B", "Meyer"], &["Mai"]),
                ("Steph*", &["Stephen^King"], &["Steven^King"]),
                ("Stephen", &["Steven^King"], &["Stefano^X"]),
                ("schmidt", &["Schmitt^X", "SCHMID"], &["Schulz^X"]),
                ("山田", &["Yamada^Tarou=山田^太郎"], &["Yamada^Tarou"]),
            ],
        );
    }

    #[test]
    fn the_range_holds_all_that_matches_and_finds_a_name_once() {
        let names = ["muller^hans", "muller", "muller anna", "mullers", "mulder^fox=muller^b", "x=muller=mulb"];
        for key in ["Müller", "mul*", "m?ller*", "muller^h*"] {
            let name = Name::new(key, false);
            let (from, to) = name.range().unwrap();
            for folded in names {
                let groups: Vec<&str> = folded.split('=').collect();
                let inside = groups.iter().any(|group| (from.as_str()..=to.as_str()).contains(group));
                assert!(inside || !name.matches(folded), "{key} {folded}");
                let first = |group: &&&str| Name::is_first((&from, &to), group, folded);
                assert_eq!(groups.iter().filter(first).count(), usize::from(inside), "{key} {folded}");
            }
        }
        assert_eq!((Name::new("*x", false).range(), Name::new("mul", true).range()), (None, None));
        let Name::Literal(groups) = Name::new("A^=B", false) else { panic!("it is literal") };
        assert_eq!(groups.iter().map(Group::text).collect::<Vec<_>>(), ["a", "b"]);
    }
}
