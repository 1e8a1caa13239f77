//! Reports of small jobs, written and read again.

use super::*;
use crate::catalog::{Evidence, ItemUpdate, JobSpec, ListedStudy, Reason};
use crate::dicom::{Date, StudyInstanceUid};

const LEASE: Duration = Duration::from_secs(60);

struct Bench {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    job: i64,
}

impl Bench {
    async fn new(studies: Vec<ListedStudy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        let spec = JobSpec {
            kind: JobKind::Migration,
            source: Some("old\u{202e}pacs".into()),
            from: None,
            to: None,
            studies: vec![],
            modalities: vec![],
            follow: None,
            import: None,
        };
        let job = catalog.create_job(&spec).await.unwrap().id;
        catalog.set_job_state(job, JobState::Running, None).await.unwrap();
        catalog.add_studies(job, studies).await.unwrap();
        catalog.set_enumerated(job, true).await.unwrap();
        Bench { _folder: folder, catalog, job }
    }

    /// Ends the newest study that is not ended.
    async fn end(&self, state: ItemState, change: impl FnOnce(&mut ItemUpdate)) {
        let item = self.catalog.claim(self.job, "test", LEASE).await.unwrap().expect("a study to claim");
        let mut update = ItemUpdate::to(state, 1);
        change(&mut update);
        assert!(self.catalog.update_item(item.id, item.fence, update).await.unwrap());
    }

    async fn write(&self, format: Format, style: &Style) -> String {
        let mut out = Vec::new();
        let report = Report::of(&self.catalog, self.job).await.unwrap().unwrap();
        report.write(format, style, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    async fn json(&self, style: &Style) -> Value {
        serde_json::from_str(&self.write(Format::Json, style).await).unwrap()
    }
}

fn study(uid: &str, date: &str, patient: &str) -> ListedStudy {
    ListedStudy {
        study_date: Date::parse(date).ok(),
        study_date_raw: date.into(),
        patient_id: patient.into(),
        ..ListedStudy::of(StudyInstanceUid::new(uid))
    }
}

/// Four studies: proven, proven by count, partial with hostile words, and one without a date that is still to come.
async fn mixed() -> Bench {
    let studies = vec![
        study("1.2.4", "", "P4"),
        study("1.2.1", "20240305", "P1"),
        study("1.2.2", "20240101", "P2"),
        study("1.2.3", "20190704", "=cmd()|<img onerror=x>"),
    ];
    let bench = Bench::new(studies).await;
    bench
        .end(ItemState::Proven, |update| {
            (update.evidence, update.listed, update.filed) = (Some(Evidence::Instances), Some(3), Some(3))
        })
        .await;
    bench.end(ItemState::Proven, |update| update.evidence = Some(Evidence::Count)).await;
    bench
        .end(ItemState::Partial, |update| {
            (update.listed, update.filed) = (Some(5), Some(2));
            update.reason = Some(Reason::ShortCount);
            update.detail = "A702 \"sub-operations\" <b>failed</b>\u{1b}[2J\u{202e}".into();
        })
        .await;
    bench
}

#[tokio::test]
async fn json_has_the_shape_that_scripts_rely_on() {
    let bench = mixed().await;
    let report = bench.json(&Style::default()).await;
    assert_eq!(
        (&report["job"], &report["kind"], &report["state"]),
        (&json!(bench.job), &json!("migration"), &json!("running"))
    );
    assert_eq!(
        report["items"],
        json!({ "total": 4, "proven": 1, "proven_by_count": 1, "partial": 1, "failed": 0, "excluded": 0, "cancelled": 0, "pending": 1 })
    );
    let sum: u64 = report["items"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| *key != "total")
        .map(|(_, n)| n.as_u64().unwrap())
        .sum();
    assert_eq!(report["items"]["total"], sum);
    for key in ["listed", "filed", "duplicate", "variant", "collision", "quarantined"] {
        assert!(report["objects"][key].is_u64(), "{key}");
    }
    assert!(report["bytes"].is_u64() && report["started"].is_string() && report["ended"].is_null());
    // Newest first, the one without a date last.
    let uids: Vec<&str> =
        report["studies"].as_array().unwrap().iter().map(|s| s["study_uid"].as_str().unwrap()).collect();
    assert_eq!(uids, ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]);
    let partial = &report["studies"][2];
    assert_eq!(partial["study_date"], "20190704");
    assert_eq!(
        (&partial["state"], &partial["reason"], &partial["listed"], &partial["filed"]),
        (&json!("partial"), &json!("short count"), &json!(5), &json!(2))
    );
    assert_eq!(partial["detail"], "A702 \"sub-operations\" <b>failed</b>\u{1b}[2J\u{202e}", "verbatim");
    assert_eq!(report["studies"][3]["study_date"], Value::Null);
    assert_eq!(
        report["years"][0],
        json!({ "year": 2024, "total": 2, "proven": 2, "fallout": 0, "pending": 0, "objects_listed": 3, "objects_filed": 3 })
    );
    assert_eq!(report["reasons"][0]["reason"], "short count");
    let failed = bench.json(&Style { failed_only: true, ..Style::default() }).await;
    assert_eq!(failed["studies"].as_array().unwrap().len(), 1);
    assert_eq!(failed["items"]["total"], 4);
}

#[tokio::test]
async fn text_says_what_is_proven_what_is_not_and_where_to_look() {
    let bench = mixed().await;
    let style = Style { failed_only: false, source_gone: false, command_suffix: " --config 'my site.toml'".into() };
    let text = bench.write(Format::Text, &style).await;
    for needle in [
        "migration of old\\u{202e}pacs, running",
        "2 of 4 studies proven, 1 to go, 1 given up",
        "short count: 1",
        "2019-07-04  1.2.3",
        "partial: short count; 2 of 5 objects filed, 1 attempt",
        "A702 \"sub-operations\" <b>failed</b>\\u{1b}[2J\\u{202e}",
        &format!("pacsferry job {} retry --config 'my site.toml'", bench.job),
    ] {
        assert!(text.contains(needle), "{needle}\nis not in\n{text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    let failed = bench.write(Format::Text, &Style { failed_only: true, ..style }).await;
    assert!(failed.starts_with("Not proven\n") && !failed.contains("1.2.1"), "{failed}");
}

#[tokio::test]
async fn csv_and_html_hold_no_formula_and_no_markup_of_others() {
    let bench = mixed().await;
    let csv = bench.write(Format::Csv, &Style::default()).await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("\"study_uid\",\"study_date\",\"patient_id\""));
    assert!(
        lines[3].contains("\"'=cmd()|<img onerror=x>\"") && lines[3].contains("\"A702 \"\"sub-operations\"\""),
        "{}",
        lines[3]
    );
    let html = bench.write(Format::Html, &Style::default()).await;
    assert!(html.contains("=cmd()|&lt;img onerror=x&gt;") && html.contains("&lt;b&gt;failed&lt;/b&gt;"));
    assert!(
        !html.contains("<img")
            && !html.contains("<b>")
            && !html.contains('\u{202e}')
            && !html.contains("http://")
            && !html.contains("<script")
    );
    assert!(html.trim_end().ends_with("</html>"));
}

#[tokio::test]
async fn a_job_is_proven_only_when_nothing_fell_out_and_everything_was_listed() {
    let bench = Bench::new(vec![study("1.2.1", "20240305", "P1")]).await;
    let report = async || Report::of(&bench.catalog, bench.job).await.unwrap().unwrap();
    bench.end(ItemState::Proven, |update| update.evidence = Some(Evidence::Instances)).await;
    assert!(!report().await.is_proven(), "it is not finished");
    bench.catalog.set_job_state(bench.job, JobState::Finished, None).await.unwrap();
    bench.catalog.append_note(bench.job, "scope", "a remark").await.unwrap();
    assert!(report().await.is_proven());
    assert!(bench.write(Format::Text, &Style::default()).await.contains("The one study that had to come is proven"));
    bench.catalog.append_note(bench.job, "not enumerated", "2011: no answer").await.unwrap();
    assert!(!report().await.is_proven());
    let text = bench.write(Format::Text, &Style::default()).await;
    assert!(
        text.contains("NOT everything could be listed") && text.contains("not enumerated: 2011: no answer"),
        "{text}"
    );
}

#[tokio::test]
async fn a_long_report_is_read_page_by_page() {
    let count = PAGE * 2 + 1;
    let studies = (0..count).map(|n| study(&format!("1.2.{n}"), "20240101", "P")).collect();
    let bench = Bench::new(studies).await;
    let report = bench.json(&Style::default()).await;
    let uids: std::collections::BTreeSet<&str> =
        report["studies"].as_array().unwrap().iter().map(|s| s["study_uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), count);
    assert_eq!(report["years"][0]["pending"], count);
}

#[tokio::test]
async fn there_is_no_report_of_a_job_that_is_not() {
    let bench = Bench::new(vec![]).await;
    assert!(Report::of(&bench.catalog, bench.job + 1).await.unwrap().is_none());
}
