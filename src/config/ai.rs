//! `[ai]`: which objects are findings of the AI platform, and where it is asked to scan a study again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::raw::Section;
use super::values::{ae_title, host_port, non_empty, positive};
use super::{ClientTls, HostPort, tls};
use crate::dicom::{AeTitle, Uid};

/// How long the platform may take to answer, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest URL.
const LONGEST_URL: usize = 2000;

/// `[ai]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ai {
    /// What its objects are known by: one rule that fits is enough.
    pub findings: Vec<AiRule>,
    /// Where it takes requests to scan a study again.
    pub rescan_url: HttpUrl,
    /// How it is known, and we to it; for `https`.
    pub tls: Option<Arc<ClientTls>>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The file with the bearer token that it is shown.
    pub token_file: Option<PathBuf>,
}

/// What an object is known by as a finding of the AI platform: everything that is named must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AiRule {
    /// The AE title that it was received from.
    pub ae_title: Option<AeTitle>,
    /// Its SOP class.
    pub sop_class: Option<Uid>,
    /// An algorithm that its header names.
    pub algorithm: Option<Pattern>,
    /// A manufacturer that its header names.
    pub manufacturer: Option<Pattern>,
}

/// A text, or the beginning of one where a `*` is at its end; case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    begins: bool,
}

/// What a rule is asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AiTraits {
    /// The names of algorithms in the header.
    pub algorithms: Vec<String>,
    /// The manufacturers of the equipment that made it or contributed to it.
    pub manufacturers: Vec<String>,
}

/// Where an HTTP server takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// `https`.
    pub secure: bool,
    /// The server.
    pub address: HostPort,
    /// Path and query.
    pub path: String,
}

impl Ai {
    /// Whether the headers of objects have to be read that came from there and are of this class; with `None`, whether
    /// some rule or other needs it.
    pub fn needs_header(&self, origin: &str, class: &str) -> bool {
        let reads = |rule: &&AiRule| rule.algorithm.is_some() || rule.manufacturer.is_some();
        self.findings.iter().filter(reads).any(|rule| rule.may_match(origin, class))
    }

    /// Whether an object is a finding of the platform.
    pub fn matches(&self, origin: &str, class: &str, traits: &AiTraits) -> bool {
        self.findings.iter().any(|rule| rule.matches(origin, class, traits))
    }
}

impl AiRule {
    /// Whether an object is meant that was received from this AE title, is of this SOP class, and has this in its header.
    pub fn matches(&self, origin: &str, class: &str, traits: &AiTraits) -> bool {
        let any = |pattern: &Option<Pattern>, texts: &[String]| {
            pattern.as_ref().is_none_or(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        self.may_match(origin, class)
            && any(&self.algorithm, &traits.algorithms)
            && any(&self.manufacturer, &traits.manufacturers)
    }

    /// The same, as far as it can be said without the header.
    fn may_match(&self, origin: &str, class: &str) -> bool {
        self.ae_title.as_ref().is_none_or(|title| title.as_str().eq_ignore_ascii_case(origin))
            && self.sop_class.as_ref().is_none_or(|wanted| wanted.as_str() == class)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = text.escape_default();
            format!("`{shown}` says nothing; write a name, or the beginning of one with a `*` at its end")
        };
        let (text, begins) = text.trim().strip_suffix('*').map_or((text.trim(), false), |text| (text, true));
        if text.trim().is_empty() || text.contains('*') {
            return Err(wrong());
        }
        Ok(Pattern { text: text.to_lowercase(), begins })
    }

    /// Whether a text is meant.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        if self.begins { text.starts_with(&self.text) } else { text == self.text }
    }
}

impl std::fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.secure { "https" } else { "http" }, self.address, self.path)
    }
}

impl std::str::FromStr for HttpUrl {
    type Err = String;

    /// `http://host:8080/path?query` or `https://host/path`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.escape_default().take(80).collect();
            format!("`{shown}` is no URL of a server; write for example \"https://ai.example.org/rescan\"")
        };
        let text = text.trim();
        if text.len() > LONGEST_URL || !text.chars().all(|c| c.is_ascii_graphic()) || text.contains('#') {
            return Err(wrong());
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (secure, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let with_port = || format!("{authority}:{port}");
        let address = host_port(authority).or_else(|_| host_port(&with_port())).map_err(|_| wrong())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(HttpUrl { secure, address, path })
    }
}

pub(super) fn ai(s: Section<'_>) -> Option<Ai> {
    let url = s.text("rescan_url", |text| text.parse::<HttpUrl>());
    let tls = tls::client(&s, None);
    let timeout = s.text("timeout", positive).unwrap_or(TIMEOUT);
    let token_file = s.text("token_file", non_empty).map(PathBuf::from);
    let findings: Vec<AiRule> = s.sections("findings").into_iter().map(rule).collect();
    s.finish();
    s.require("rescan_url", "\"https://ai.example.org/rescan\"");
    s.require("findings", "[ { ae_title = \"AIPLATFORM\" } ]");
    if s.has("findings") && findings.is_empty() && s.is_sound() {
        s.problem(
            "findings",
            "no finding is described",
            "write for example: findings = [ { ae_title = \"AIPLATFORM\" } ]",
        );
    }
    let rescan_url = url?;
    let loopback = ["127.0.0.1", "::1", "localhost"].contains(&rescan_url.address.host.as_str());
    if rescan_url.secure && tls.is_none() {
        s.require("tls", "{ ca = \"/etc/ssl/certs/ca-certificates.crt\" }");
    }
    if !rescan_url.secure && tls.is_some() {
        s.problem("tls", "http:// uses no certificates", "write https://, or remove `tls`");
    }
    if !rescan_url.secure && !loopback && token_file.is_some() {
        let remedy = "write https://, or leave `token_file` out";
        s.problem("token_file", "http:// would show the token to everybody on the way", remedy);
    }
    Some(Ai { findings, rescan_url, tls, timeout, token_file })
}

fn rule(s: Section<'_>) -> AiRule {
    let uid = |text: &str| match Uid::new(text) {
        uid if uid.is_conformant() => Ok(uid),
        _ => Err(format!("`{}` is no UID; write for example \"1.2.840.10008.5.1.4.1.1.66.4\"", text.escape_default())),
    };
    let rule = AiRule {
        ae_title: s.text("ae_title", ae_title),
        sop_class: s.text("sop_class", uid),
        algorithm: s.text("algorithm", Pattern::parse),
        manufacturer: s.text("manufacturer", Pattern::parse),
    };
    s.finish();
    if s.is_sound() && rule == AiRule::default() {
        let remedy = "name `ae_title`, `sop_class`, `algorithm`, `manufacturer`, or several of them";
        s.problem("ae_title", "the rule would fit every object", remedy);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, parse};

    fn read(text: &str) -> Result<Config, String> {
        parse(&format!("[ai]\n{text}"), None).map_err(|error| error.to_string())
    }

    fn rules(rules: &str) -> Ai {
        read(&format!("rescan_url = \"http://127.0.0.1/x\"\nfindings = [ {rules} ]")).unwrap().ai.unwrap()
    }

    #[test]
    fn an_object_is_a_finding_when_all_of_one_rule_fits() {
        let traits = |algorithm: &str, manufacturer: &str| AiTraits {
            algorithms: vec!["Other".into(), algorithm.into()],
            manufacturers: vec![manufacturer.into()],
        };
        let none = AiTraits::default();
        let (seg, sr) = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34");
        let ai = rules(
            "{ ae_title = \"AI1\" }, { sop_class = \"1.2.840.10008.5.1.4.1.1.66.4\", algorithm = \"lung*\" }, { manufacturer = \"Acme\" }",
        );
        assert!(ai.matches("ai1", "1.2", &none) && !ai.matches("AI", "1.2", &none));
        assert!(ai.matches("", seg, &traits("LungNodule 2.1", "")) && !ai.matches("", sr, &traits("LungNodule", "")));
        assert!(!ai.matches("", seg, &traits("A Lung", "")) && !ai.matches("", seg, &none));
        assert!(ai.matches("", sr, &traits("", "ACME ")) && !ai.matches("", sr, &traits("", "Acme Inc.")));
        // The header of everything has to be read for the sake of the manufacturer.
        assert!(ai.needs_header("", sr));
        let ai = rules("{ ae_title = \"AI1\", manufacturer = \"Acme\" }, { sop_class = \"1.2\" }");
        assert!(ai.needs_header("AI1", sr) && !ai.needs_header("CT1", sr) && !ai.needs_header("CT1", "1.2"));
        assert!(ai.matches("AI1", sr, &traits("", "acme")) && !ai.matches("CT1", sr, &traits("", "acme")));
    }

    #[test]
    fn what_would_not_work_is_refused() {
        let findings = "findings = [ { ae_title = \"AI\" } ]";
        for (text, said) in [
            ("timeout = \"5s\"".to_owned(), "`rescan_url` is missing"),
            ("rescan_url = \"http://h/\"".to_owned(), "`findings` is missing"),
            ("rescan_url = \"http://h/\"\nfindings = []".to_owned(), "no finding is described"),
            ("rescan_url = \"http://h/\"\nfindings = [ {} ]".to_owned(), "would fit every object"),
            ("rescan_url = \"http://h/\"\nfindings = [ { algorithm = \"*\" } ]".to_owned(), "says nothing"),
            ("rescan_url = \"http://h/\"\nfindings = [ { sop_class = \"SEG\" } ]".to_owned(), "is no UID"),
            (format!("rescan_url = \"https://h/\"\n{findings}"), "`tls` is missing"),
            (format!("rescan_url = \"http://h/\"\ntls = {{ ca = \"x\" }}\n{findings}"), "uses no certificates"),
            (format!("rescan_url = \"http://h/\"\ntoken_file = \"t\"\n{findings}"), "show the token"),
            (format!("rescan_url = \"ftp://h/\"\n{findings}"), "is no URL"),
            (format!("rescan_url = \"http://user@h/\"\n{findings}"), "is no URL"),
            (format!("rescan_url = \"http://h/a b\"\n{findings}"), "is no URL"),
            (format!("rescan_url = \"http://h/\"\ntimeout = \"0s\"\n{findings}"), "is zero"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(parse("", None).unwrap().ai, None);
    }

    #[test]
    fn a_url_is_read_and_written() {
        for (text, shown) in [
            ("http://h", "http://h:80/"),
            ("HTTPS://h/a/b?c=d", "https://h:443/a/b?c=d"),
            ("http://[::1]:8080?x", "http://[::1]:8080/?x"),
        ] {
            assert_eq!(text.parse::<HttpUrl>().unwrap().to_string(), shown);
        }
    }
}
