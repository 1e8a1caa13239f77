//! What an asker takes: the header `Accept`, and the query parameter of that name, which goes before it (PS3.18 §8.3.3.1).

use axum::http::{HeaderMap, Uri, header};

/// The most media ranges that are looked at.
const MOST: usize = 64;

/// A media range.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// `multipart/related`, `*/*`; in lower case.
    pub(super) kind: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

impl Range {
    /// A parameter by its name in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it takes this media type in a part of its own, or as a whole.
    pub(super) fn takes(&self, kind: &str) -> bool {
        matches(&self.kind, kind)
    }

    /// Whether it is a multipart whose parts may be of this media type; one that does not say takes what is the default.
    pub(super) fn takes_parts(&self, kind: &str) -> bool {
        let parts = self.parameter("type");
        let multipart = matches!(self.kind.as_str(), "multipart/related" | "multipart/*" | "*/*");
        multipart && parts.is_none_or(|parts| matches(&parts.to_ascii_lowercase(), kind))
    }
}

fn matches(range: &str, kind: &str) -> bool {
    let all_of =
        |range: &str| range.strip_suffix('*').is_some_and(|start| start.ends_with('/') && kind.starts_with(start));
    range == "*/*" || range == kind || all_of(range)
}

/// What is taken, the best first; everything where nothing is said.
pub(super) fn accepted(headers: &HeaderMap, uri: &Uri) -> Vec<Range> {
    let query = uri.query().unwrap_or_default();
    let asked: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .map(|(_, value)| value.into_owned())
        .collect();
    let told = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
    let texts: Vec<String> = if asked.is_empty() { told.collect() } else { asked };
    let mut ranges: Vec<Range> = texts
        .iter()
        .flat_map(|text| split(text, ','))
        .filter_map(range)
        .filter(|range| range.quality > 0.0)
        .take(MOST)
        .collect();
    if ranges.is_empty() && texts.iter().all(|text| text.trim().is_empty()) {
        ranges.push(Range { kind: "*/*".to_owned(), parameters: Vec::new(), quality: 1.0 });
    }
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    ranges
}

/// A media type with its parameters, as in `Content-Type`.
pub(super) fn range(text: &str) -> Option<Range> {
    let mut parts = split(text, ';').into_iter();
    let kind = parts.next()?.trim().to_ascii_lowercase();
    let (mut parameters, mut quality) = (Vec::new(), 1.0);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches('"').to_owned();
        if name == "q" {
            quality = value.parse().ok().filter(|q: &f32| q.is_finite()).unwrap_or(1.0);
        } else {
            parameters.push((name, value));
        }
    }
    kind.contains('/').then_some(Range { kind, parameters, quality })
}

/// The parts of a text, separators within quotes left alone.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_comes_first_and_the_address_goes_before_the_header() {
        let mut headers = HeaderMap::new();
        let text = "image/jls;q=0.5, multipart/related; type=\"application/dicom\"; transfer-syntax=*, x, a/b;q=0";
        headers.insert(header::ACCEPT, text.parse().unwrap());
        let ranges = accepted(&headers, &Uri::from_static("/studies"));
        let kinds: Vec<&str> = ranges.iter().map(|range| range.kind.as_str()).collect();
        assert_eq!(kinds, ["multipart/related", "image/jls"]);
        assert_eq!(ranges[0].parameter("transfer-syntax"), Some("*"));
        assert!(ranges[0].takes_parts("application/dicom") && !ranges[0].takes_parts("image/jls"));
        assert!(ranges[1].takes("image/jls") && !ranges[1].takes_parts("image/jls"));
        let asked = accepted(&headers, &Uri::from_static("/studies?accept=image/*"));
        assert!(asked.len() == 1 && asked[0].takes("image/jpeg") && !asked[0].takes("video/mp4"));
        let anything = accepted(&HeaderMap::new(), &Uri::from_static("/studies"));
        assert!(anything[0].takes("a/b") && anything[0].takes_parts("a/b"));
        headers.insert(header::ACCEPT, "a/b;q=0".parse().unwrap());
        assert!(accepted(&headers, &Uri::from_static("/studies")).is_empty(), "nothing is taken");
    }

    #[test]
    fn what_is_quoted_is_one_word() {
        let range = range("multipart/related; boundary=\"a;b=c\"; type=x/y").unwrap();
        assert_eq!((range.parameter("boundary"), range.parameter("type")), (Some("a;b=c"), Some("x/y")));
    }
}
