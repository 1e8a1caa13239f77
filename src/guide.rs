//! The manual: the texts of `src/guide`, as the program and its console show them.

use std::borrow::Cow;

use crate::catalog::{ATTRIBUTES, Attribute, Compared, KeyType, Reason};

/// A chapter of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// What it is called by: `pacsferry guide NAME`.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
}

const fn topic(name: &'static str, title: &'static str, about: &'static str) -> Topic {
    Topic { name, title, about }
}

/// All chapters, in the order of reading.
pub const TOPICS: [Topic; 15] = [
    topic("migrate", "A migration", "From a real PACS, step by step"),
    topic("import", "Importing folders", "Folders of DICOM files: an old PACS's disk, a USB stick, a share"),
    topic("fallout", "What is not proven", "Every reason why a study is not proven, and what to do"),
    topic("console", "The console", "Jobs and studies in a browser, accounts, and JSON for programs"),
    topic("dicomweb", "DICOMweb", "For web viewers and programs, with tokens"),
    topic("api", "For programs", "The console's JSON for programs: tokens, requests, errors"),
    topic("reallocate", "Moving series", "Moving a series to another study, and taking it back"),
    topic("query", "Querying", "Asking the archive what it holds: keys, names, dates, large answers"),
    topic("retrieve", "Retrieving", "Who may fetch, what is sent, what to do when it fails"),
    topic("priors", "Priors", "Earlier studies of those who come tomorrow, filed first"),
    topic("serve", "The hospital's node", "Who may talk to it, its limits, its health, as a service"),
    topic("tls", "TLS and users", "Certificates and users: how to make them, and what to give to whom"),
    topic("audit", "The audit trail", "What is in it, how to read it, how to send it to a collector"),
    topic("config", "The configuration", "The annotated example"),
    topic("conformance", "Conformance", "The DICOM conformance statement"),
];

/// The pictures in chapters, by the names of their files; `scripts/guide-pictures` makes them anew.
pub const PICTURES: [(&str, &[u8]); 6] = [
    ("job.png", include_bytes!("guide/pictures/job.png")),
    ("plan.png", include_bytes!("guide/pictures/plan.png")),
    ("quarantined.png", include_bytes!("guide/pictures/quarantined.png")),
    ("report.png", include_bytes!("guide/pictures/report.png")),
    ("split.png", include_bytes!("guide/pictures/split.png")),
    ("studies.png", include_bytes!("guide/pictures/studies.png")),
];

/// The picture that a chapter names as `pictures/NAME`.
pub fn picture(name: &str) -> Option<&'static [u8]> {
    PICTURES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The text of a chapter: Markdown, but for the configuration.
pub fn text(name: &str) -> Option<Cow<'static, str>> {
    Some(match name {
        "migrate" => include_str!("guide/migrate.md").into(),
        "import" => include_str!("guide/import.md").into(),
        "query" => include_str!("guide/query.md").into(),
        "retrieve" => include_str!("guide/retrieve.md").into(),
        "priors" => include_str!("guide/priors.md").into(),
        "serve" => include_str!("guide/serve.md").into(),
        "console" => include_str!("guide/console.md").into(),
        "dicomweb" => include_str!("guide/dicomweb.md").into(),
        "api" => include_str!("guide/api.md").into(),
        "reallocate" => include_str!("guide/reallocate.md").into(),
        "audit" => include_str!("guide/audit.md").into(),
        "tls" => include_str!("guide/tls.md").into(),
        "fallout" => fallout().into(),
        "config" => crate::config::EXAMPLE.into(),
        "conformance" => conformance().into(),
        _ => return None,
    })
}

/// The introduction, and one section for each reason with the remedy that the report gives too.
fn fallout() -> String {
    let mut text = include_str!("guide/fallout.md").to_owned();
    for reason in Reason::ALL {
        text.push_str(&format!("\n## {}\n\n{}\n", reason.as_text(), reason.remedy()));
    }
    text
}

/// Where the table of query keys stands.
const QUERY_KEYS: &str = "<!-- query keys -->\n";

/// The conformance statement, with the keys that the code knows.
fn conformance() -> String {
    let mut keys = String::from("| level | attribute | tag | VR | key | matching |\n|---|---|---|---|---|---|\n");
    for attribute in ATTRIBUTES {
        let Attribute { tag, keyword, level, vr, .. } = attribute;
        let key = match attribute.key {
            KeyType::Unique => "unique",
            KeyType::Required => "required",
            KeyType::Optional => "optional",
        };
        let matching = match attribute.compared {
            Compared::Uid => "list of UIDs",
            Compared::Uids => "list of UIDs, several values",
            Compared::Text => "single value, wildcards",
            Compared::Texts => "single value, wildcards, several values",
            Compared::Person => "person name",
            Compared::Date | Compared::Time => "single value, range",
            Compared::Number => "number",
        };
        let vr = vr.escape_ascii();
        keys.push_str(&format!("| {level} | {keyword} | {tag} | {vr} | {key} | {matching} |\n"));
    }
    include_str!("guide/conformance.md").replace(QUERY_KEYS, &keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chapter_has_a_text_and_a_heading() {
        for topic in TOPICS {
            let text = text(topic.name).unwrap_or_else(|| panic!("{} has no text", topic.name));
            assert!(text.starts_with('#'), "{}", topic.name);
        }
        assert_eq!(text("nothing"), None);
    }

    #[test]
    fn the_conformance_statement_lists_every_key_once() {
        let text = conformance();
        assert!(!text.contains(QUERY_KEYS));
        for attribute in ATTRIBUTES {
            let row = format!("| {} | {} | {} |", attribute.level, attribute.keyword, attribute.tag);
            assert_eq!(text.matches(&row).count(), 1, "{row}");
        }
        assert!(text.contains("| STUDY | StudyInstanceUID | (0020,000D) | UI | unique | list of UIDs |\n"), "{text}");
    }
}
