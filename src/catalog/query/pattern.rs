//! Texts with wildcards (PS3.4 §C.2.2.2.4): `*` is any sequence of characters, `?` any one.

/// What a text must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Wild(Vec<char>),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Pattern {
        if !has_wildcard(text) {
            return Pattern::Exact(text.to_owned());
        }
        let mut pattern: Vec<char> = text.chars().collect();
        // Several stars mean what one means, and would only cost time.
        pattern.dedup_by(|a, b| *a == '*' && *b == '*');
        Pattern::Wild(pattern)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(exact) => exact == text,
            Pattern::Wild(pattern) => wild(pattern, text),
        }
    }

    /// What every text that matches begins with.
    pub(super) fn prefix(&self) -> String {
        match self {
            Pattern::Exact(exact) => exact.clone(),
            Pattern::Wild(pattern) => pattern.iter().take_while(|c| !matches!(c, '*' | '?')).collect(),
        }
    }
}

pub(super) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Goes back to the last star only, so that the time is at most the product of the lengths.
fn wild(pattern: &[char], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut star = None;
    loop {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, rest.clone()));
                continue;
            }
            Some(&wanted) => {
                let mut ahead = rest.clone();
                if ahead.next().is_some_and(|c| wanted == '?' || wanted == c) {
                    (at, rest) = (at + 1, ahead);
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        // The last star takes one character more.
        let Some((behind, from)) = &mut star else { return false };
        if from.next().is_none() {
            return false;
        }
        (at, rest) = (*behind, from.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_are_wildcards_and_nothing_else_is() {
        for (pattern, yes, no) in [
            ("abc", &["abc"][..], &["ABC", "abcd", "ab", ""][..]),
            ("a*", &["a", "abc"], &["ba", ""]),
            ("*c", &["c", "abc", "cc"], &["ca"]),
            ("a*b*c", &["abc", "aXbYc", "abbcbc"], &["acb", "ab"]),
            ("a?c", &["abc", "a?c", "aüc"], &["ac", "abbc"]),
            ("??", &["ab", "山田"], &["a", "abc"]),
            ("*", &["", "x"], &[]),
            ("a**?", &["ab", "abc"], &["a"]),
            ("[ab]*", &["[ab]c"], &["a", "b"]),
            ("%_", &["%_"], &["ab"]),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(yes.iter().all(|text| pattern.matches(text)), "{pattern:?}");
            assert!(!no.iter().any(|text| pattern.matches(text)), "{pattern:?}");
        }
        assert_eq!(Pattern::new("mül*er").prefix(), "mül");
        assert_eq!(Pattern::new("?x").prefix(), "");
    }

    #[test]
    fn a_pattern_made_to_take_long_does_not() {
        let pattern = Pattern::new(&"a*".repeat(200));
        let start = std::time::Instant::now();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(150))));
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }
}
