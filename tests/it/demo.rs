//! The demo: a whole migration of a made-up archive, with a report that has something to say.

use std::process::Command;
use std::time::{Duration, Instant};

use pacsferry::dicom::StudyInstanceUid;
use pacsferry::sample::{Archive, Fate, Profile};

use crate::support::peers::{finish, text};
use crate::support::scene::Scene;

/// The studies that cannot be proven, by the fate of one of their objects.
fn unprovable(archive: &Archive) -> Vec<StudyInstanceUid> {
    let studies = archive.studies();
    studies.into_iter().filter(|study| archive.study(study).any(|object| object.fate != Fate::Delivered)).collect()
}

#[test]
fn the_demo_archive_arrives_but_for_what_its_source_cannot_deliver() {
    let scene = Scene::new(Archive::demo(), Profile::demo());
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    let report = scene.report();
    let unprovable = unprovable(scene.pacs.archive());
    assert_eq!(report.item("total"), scene.pacs.archive().studies().len());
    assert_eq!(report.item("proven"), report.item("total") - unprovable.len(), "{}", report.fallout());
    let mut verdicts: Vec<String> = unprovable.iter().map(|study| report.verdict(study)).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["failed: refused by source", "partial: over count", "partial: refused by source"]);
    scene.has_everything();
    // The catalog shows every name as it was meant, whatever its character set.
    let rows = scene.ferry.json(&["find", "catalog", "--level", "study", "--json"]);
    let names: Vec<&str> = rows.as_array().unwrap().iter().filter_map(|row| row["PatientName"].as_str()).collect();
    for name in [
        "Grünwald^Jörg^^Dr.",
        "Tanigawa^Haruki=谷川^春樹=たにがわ^はるき",
        "Choi^Minseo=최^민서",
        "Zhao^Lihua=赵^丽华",
        "Кузнецова^Алёна",
        "Παππάς^Νίκος",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn the_command_takes_less_than_half_a_minute_and_names_what_was_not_proven() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pacsferry"));
    command.arg("demo").current_dir(folder.path());
    let began = Instant::now();
    let done = finish(command, Duration::from_secs(120));
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // It shows what it is meant to show, fallout included.
    assert_eq!(done.status.code(), Some(0), "{err}");
    for study in unprovable(&Archive::demo()) {
        assert!(out.contains(study.as_str()), "{study} is not in the report: {out}");
    }
    assert!(folder.path().join("pacsferry-demo/images").is_dir());
}
