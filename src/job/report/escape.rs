//! Text that a peer or a file chose, made harmless for the place where it is shown (I8).

use std::borrow::Cow;
use std::fmt::Write;

/// Characters that reverse or hide other text on a screen: bidirectional controls and line separators.
fn is_treacherous(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn replaced(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&bad) {
        return Cow::Borrowed(text);
    }
    let one = |c: char| {
        if bad(c) { c.escape_default().to_string() } else { c.to_string() }
    };
    Cow::Owned(text.chars().map(one).collect())
}

/// For one line on a terminal: control and bidirectional characters are shown as escapes.
pub fn terminal(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c.is_control() || is_treacherous(c))
}

/// For a text of our own with line breaks that may quote foreign text.
pub fn terminal_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c != '\n' && (c.is_control() || is_treacherous(c)))
}

/// For text whose control characters were taken care of: bidirectional ones only.
pub fn bidi(text: &str) -> Cow<'_, str> {
    replaced(text, is_treacherous)
}

/// For a field of a CSV file: always quoted, and never a formula to the program that opens it.
pub fn csv(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}'])
        || text.starts_with(['\t', '\r', '\n']);
    let harmless = bidi(text).replace('"', "\"\"");
    if formula { format!("\"'{harmless}\"") } else { format!("\"{harmless}\"") }
}

/// For the content and the quoted attributes of HTML.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || is_treacherous(c) => {
                // Writing to a String does not fail.
                let _ = write!(out, "{}", c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

/// A number with its thousands apart: `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_no_control_and_no_bidirectional_characters() {
        assert_eq!(terminal("M\u{fc}ller^J\u{f6}rg \u{5c71}\u{7530}"), "M\u{fc}ller^J\u{f6}rg \u{5c71}\u{7530}");
        assert_eq!(terminal("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(terminal("x\u{202e}gpj.exe\u{9b}1m"), "x\\u{202e}gpj.exe\\u{9b}1m");
        assert_eq!(terminal_lines("a\nb\r\u{2066}"), "a\nb\\r\\u{2066}");
        assert_eq!(bidi("\u{1b}[1m\u{202e}"), "\u{1b}[1m\\u{202e}");
    }

    #[test]
    fn csv_fields_are_quoted_and_no_formulas() {
        assert_eq!(csv("plain"), "\"plain\"");
        assert_eq!(csv("say \"hi\", ok"), "\"say \"\"hi\"\", ok\"");
        for text in ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "  =1", "\u{FF1D}1"] {
            assert!(csv(text).starts_with("\"'"), "{text:?}");
        }
        assert_eq!(csv("1-2"), "\"1-2\"");
    }

    #[test]
    fn html_text_is_never_markup() {
        assert_eq!(
            html("<img src=x onerror='a'>&\"\u{202e}"),
            "&lt;img src=x onerror=&#39;a&#39;&gt;&amp;&quot;\\u{202e}"
        );
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
