//! Every study of the source is found, however badly the source answers: each row A of the quirks.

use std::collections::BTreeSet;
use std::time::Duration;

use pacsferry::dicom::{Tag, tags};
use pacsferry::sample::{Archive, Cap, Counts, Event, Profile, Services, TextLabel};

use crate::support::peers::string;
use crate::support::scene::{SOURCE, Scene};

/// Lists the archive without pulling; sees that every study was found and nothing is left open.
fn finds_everything(archive: Archive, profile: Profile, keys: &[(&str, &str)]) -> Scene {
    let studies = archive.studies().len();
    let scene = Scene::keyed(archive, profile, keys);
    let found = scene.dry_run();
    // That a capped source may hide studies with neither date nor patient ID is told in any case.
    let told = found["not_enumerated"].as_array().unwrap();
    let hidden = |note: &serde_json::Value| note.as_str().unwrap().contains("those that have neither");
    assert!(told.iter().all(hidden), "{found}");
    assert_eq!(found["studies"], studies, "{found}");
    scene
}

/// So many studies on each of some days, one small object each.
fn days(days: &[&str], studies: usize) -> Archive {
    Archive::with(|b| {
        for day in days {
            b.studies(day, studies, 1);
        }
    })
}

/// The queries that the source was asked, as the values of one key.
fn asked(scene: &Scene, tag: Tag) -> Vec<String> {
    let values = |event: Event| match event {
        Event::Find { keys, .. } => keys.into_iter().find(|(key, _)| *key == tag).map(|(_, value)| value),
        _ => None,
    };
    scene.pacs.log().into_iter().filter_map(|entry| values(entry.event)).collect()
}

fn status_ends(scene: &Scene, status: u16) -> usize {
    let ended = |event: &Event| matches!(event, Event::FindEnded { status: s, .. } if s.0 == status);
    scene.pacs.log().iter().filter(|entry| ended(&entry.event)).count()
}

#[test]
fn a1_a_silent_cap_hides_no_study() {
    let archive = days(&["20240105", "20240106", "20240301"], 250);
    finds_everything(archive, Profile { cap: Cap::Silent(100), ..Profile::default() }, &[]);
}

#[test]
fn a1_a_cap_of_no_round_number_is_noticed_too() {
    let archive = days(&["20240105", "20240106", "20230301", "20190704"], 40);
    finds_everything(archive, Profile { cap: Cap::Silent(37), ..Profile::default() }, &[("find_limit", "37")]);
}

#[test]
fn a2_a_stated_cap_splits_the_window_before_and_after_rows() {
    for cap in [Cap::RefusedBefore(20), Cap::RefusedAfter(20), Cap::Cancelled(20)] {
        let scene = finds_everything(
            days(&["20240105", "20230611", "20170101"], 50),
            Profile { cap, ..Profile::default() },
            &[],
        );
        let status = if matches!(cap, Cap::Cancelled(_)) { 0xFE00 } else { 0xA700 };
        assert!(status_ends(&scene, status) > 0, "{cap:?} never showed");
    }
}

#[test]
fn a3_a_day_above_the_cap_is_split_by_time_then_modality_then_patient() {
    finds_everything(days(&["20240105"], 300), Profile { cap: Cap::Silent(50), ..Profile::default() }, &[]);
    let at_once = Archive::with(|b| {
        for number in 0..120 {
            let patient = format!("{}{number:03}", ["A", "B", "7"][number % 3]);
            let modality = ["CT", "MR", "US"][number / 40];
            b.study("20240105").time("080000").patient(&patient, "X^Y").series(modality).instances(1, 64);
        }
    });
    finds_everything(at_once, Profile { cap: Cap::Silent(25), ..Profile::default() }, &[]);
}

#[test]
fn a3_what_cannot_be_split_any_further_is_said_aloud() {
    let archive = Archive::with(|b| {
        for _ in 0..40 {
            b.study("20240105").time("080000").patient("SAME", "X^Y").series("CT").instances(1, 64);
        }
    });
    let scene = Scene::new(archive, Profile { cap: Cap::Silent(25), ..Profile::default() });
    let found = scene.dry_run();
    assert!(!found["not_enumerated"].as_array().unwrap().is_empty(), "{found}");
    let done = scene.migrate();
    assert_eq!(done.code, 3, "an incomplete list is fallout: {}", done.err);
}

#[test]
fn a4_studies_without_a_proper_date_are_found() {
    let odd = ["", "2010.01.05", "18000101", "99991231", "20101305", "UNKNOWN"];
    let archive = Archive::with(|b| {
        b.studies("20240105", 5, 1);
        for date in odd {
            b.studies(date, 2, 1);
        }
        b.study("x").without(tags::STUDY_DATE).series("CT").instances(1, 64);
    });
    finds_everything(archive.clone(), Profile::default(), &[]);
    finds_everything(archive, Profile { cap: Cap::Silent(10), ..Profile::default() }, &[("find_limit", "10")]);
}

#[test]
fn a4_what_a_capped_source_may_hide_is_fallout() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 30, 1);
        b.study("").patient("", "X^Y").series("CT").instances(1, 64);
    });
    let scene = Scene::new(archive, Profile { cap: Cap::Silent(10), ..Profile::default() });
    let dry = scene.ferry.run(&["migrate", SOURCE, "--dry-run"]);
    assert_eq!(dry.code, 3, "{}", dry.out);
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}\n{}", done.err, done.out);
    assert_eq!(scene.report().item("proven"), 30);
    assert!(done.out.contains("NOT everything could be listed"), "{}", done.out);
    assert!(done.out.contains("not enumerated: the source caps its answers"), "{}", done.out);
}

#[test]
fn a5_studies_around_midnight_are_found_whatever_the_splits() {
    let archive = Archive::with(|b| {
        for day in ["20240105", "20240106"] {
            for minute in 0..30 {
                b.study(day).time(&format!("23{:02}59", 30 + minute)).series("CT").instances(1, 64);
                b.study(day).time(&format!("00{minute:02}00.000001")).series("CT").instances(1, 64);
            }
            b.study(day).time("").series("CT").instances(1, 64);
        }
    });
    finds_everything(archive.clone(), Profile { cap: Cap::Silent(20), ..Profile::default() }, &[]);
    finds_everything(archive, Profile { cap: Cap::RefusedBefore(20), combined_times: true, ..Profile::default() }, &[]);
}

#[test]
fn a6_a_key_that_makes_the_source_hang_is_done_without() {
    let keys = [("timeout", "{ connect = \"5s\", find = \"700ms\", move_idle = \"10s\", move_total = \"60s\" }")];
    let archive = Archive::with(|b| {
        for number in 0..60 {
            b.study("20240105").series(["CT", "MR", "US"][number / 20]).instances(1, 64);
        }
    });
    let profile = Profile { cap: Cap::Silent(25), hangs_on: Some(tags::STUDY_TIME), ..Profile::default() };
    let scene = finds_everything(archive, profile, &keys);
    let hung = asked(&scene, tags::STUDY_TIME).into_iter().filter(|time| !time.is_empty()).count();
    assert!((1..=4).contains(&hung), "asked {hung} times for what makes it hang");
}

#[test]
fn a7_a_source_that_takes_no_wildcards_is_never_sent_one_first() {
    let scene =
        finds_everything(days(&["20240105", ""], 8), Profile { rejects_wildcards: true, ..Profile::default() }, &[]);
    for tag in [tags::STUDY_DATE, tags::PATIENT_NAME, tags::STUDY_INSTANCE_UID] {
        assert!(asked(&scene, tag).iter().all(|value| !value.contains('*')), "{tag}");
    }
}

#[test]
fn a9_a_long_slow_answer_is_waited_for_row_by_row() {
    let keys = [("timeout", "{ connect = \"5s\", find = \"1s\", move_idle = \"10s\", move_total = \"60s\" }")];
    let profile = Profile { row_pause: Duration::from_millis(20), ..Profile::default() };
    finds_everything(days(&["20240105"], 120), profile, &keys);
}

#[test]
fn a10_several_rows_for_a_study_are_one_study_and_a_conflict_is_told() {
    let profile = Profile { rows_each: 3, conflicting_patients: true, ..Profile::default() };
    let scene = finds_everything(days(&["20240105", "20230105"], 4), profile, &[]);
    scene.proves_everything();
    assert_eq!(scene.report().item("total"), 8);
    let report = scene.report();
    assert!(
        report.0["studies"].as_array().unwrap().iter().all(|study| study["patient_conflict"] == true),
        "{}",
        report.0
    );
}

#[test]
fn a11_counts_are_hints_and_nothing_more() {
    for counts in [Counts::Missing, Counts::Empty, Counts::Zero, Counts::Off(3), Counts::Off(-1)] {
        let archive = Archive::with(|b| {
            b.study("20240105").series("CT").instances(3, 64).series("SR").instances(1, 64);
        });
        let scene = Scene::new(archive, Profile { counts, ..Profile::default() });
        scene.proves_everything();
    }
}

#[test]
fn a12_a_row_without_its_study_uid_is_told_of() {
    let scene = Scene::new(days(&["20240105"], 4), Profile { without_uid_every: Some(1), ..Profile::default() });
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    assert_eq!(scene.report().item("proven"), 0);
    let text = scene.ferry.run(&["report", "last"]).out;
    assert!(text.to_lowercase().contains("study instance uid"), "{text}");
}

#[test]
fn a13_names_are_shown_right_whatever_the_label_says() {
    let names = [
        ("ISO_IR 100", "Grün^Jörg"),
        ("ISO_IR 144", "Кузнецова^Алёна"),
        ("\\ISO 2022 IR 87", "Tanigawa^Haruki=谷川^春樹"),
        ("\\ISO 2022 IR 149", "Choi^Minseo=최^민서"),
        ("GB18030", "Zhao^Lihua=赵^丽华"),
    ];
    let archive = Archive::with(|b| {
        for (number, (terms, name)) in names.into_iter().enumerate() {
            b.study(&format!("2024010{}", number + 1)).name(terms, name).series("CT").instances(1, 64);
        }
    });
    let scene = Scene::new(archive, Profile::default());
    scene.proves_everything();
    let shown = |source: &str| -> BTreeSet<String> {
        let rows = scene.ferry.json(&["find", source, "--level", "study", "--json"]);
        rows.as_array().unwrap().iter().map(|row| string(row, "PatientName")).collect()
    };
    let expected: BTreeSet<String> = names.iter().map(|(_, name)| (*name).to_owned()).collect();
    assert_eq!(shown("catalog"), expected);
    assert_eq!(shown(SOURCE), expected);
}

#[test]
fn a13_an_answer_without_label_is_read_as_the_source_is_configured() {
    let archive = || {
        Archive::with(|b| {
            let study = b.study("20240105").name("ISO_IR 100", "Grün^Jörg").without(tags::SPECIFIC_CHARACTER_SET);
            study.series("CT").instances(1, 64);
        })
    };
    let scene = Scene::keyed(
        archive(),
        Profile { character_set: TextLabel::Missing, ..Profile::default() },
        &[("charset", "\"ISO_IR 100\"")],
    );
    scene.proves_everything();
    let rows = scene.ferry.json(&["find", SOURCE, "--level", "study", "--json"]);
    assert_eq!(string(&rows[0], "PatientName"), "Grün^Jörg");
    let rows = scene.ferry.json(&["find", "catalog", "--level", "study", "--json"]);
    assert_eq!(string(&rows[0], "PatientName"), "Grün^Jörg");

    let misspelt = TextLabel::Says("ISO-IR 100".to_owned());
    let scene = Scene::new(archive(), Profile { character_set: misspelt, ..Profile::default() });
    scene.proves_everything();
    let rows = scene.ferry.json(&["find", SOURCE, "--level", "study", "--json"]);
    assert_eq!(string(&rows[0], "PatientName"), "Grün^Jörg");
}

#[test]
fn modalities_that_a_source_does_not_tell_are_asked_of_the_series() {
    let archive = || {
        Archive::with(|b| {
            b.study("20240105").series("CT").instances(2, 64).series("SR").instances(1, 64);
            b.study("20240104").series("MR").instances(2, 64);
            b.study("20230104").series("US").instances(1, 64).series("SR").instances(1, 64);
        })
    };
    let (study, series) = (tags::MODALITIES_IN_STUDY, tags::MODALITY);
    let profile = |untold: &[Tag]| Profile {
        ignored_keys: BTreeSet::from([study]),
        untold_keys: untold.iter().copied().collect(),
        ..Profile::default()
    };
    for modalities in [&["CT"][..], &["CT", "MR"]] {
        let scene = Scene::new(archive(), profile(&[study]));
        let mut command = vec!["migrate", SOURCE];
        command.extend(modalities.iter().flat_map(|modality| ["--modality", *modality]));
        let done = scene.ferry.run(&command);
        assert_eq!(done.code, 0, "{}", done.err);
        let report = scene.report();
        assert_eq!((report.item("total"), report.item("proven")), (modalities.len(), modalities.len()));
        assert_eq!(scene.pacs.retrieves().len(), modalities.len());
    }
    // A source that tells it nowhere: better too much than too little, and said.
    let scene = Scene::new(archive(), profile(&[study, series]));
    assert_eq!(scene.ferry.run(&["migrate", SOURCE, "--modality", "CT"]).code, 0);
    assert_eq!(scene.report().item("total"), 3);
    assert!(scene.report().0["notes"].to_string().contains("neither at STUDY nor at SERIES"), "{}", scene.report().0);

    let scene = Scene::new(archive(), profile(&[]));
    let found = scene.ferry.json(&["find", SOURCE, "ModalitiesInStudy=CT", "--json"]);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let scene = Scene::new(archive(), profile(&[study]));
    let found = scene.ferry.run(&["find", SOURCE, "ModalitiesInStudy=CT"]);
    assert!(found.code == 0 && found.err.contains("its word alone"), "{}", found.err);
}

#[test]
fn a15_elements_that_nobody_asked_for_are_ignored() {
    let scene = Scene::new(days(&["20240105"], 3), Profile { extra_elements: true, ..Profile::default() });
    scene.proves_everything();
}

#[test]
fn a16_a_source_that_wants_every_key_gets_every_key() {
    let needed = BTreeSet::from([
        tags::STUDY_DATE,
        tags::STUDY_TIME,
        tags::ACCESSION_NUMBER,
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::STUDY_ID,
        tags::STUDY_INSTANCE_UID,
    ]);
    finds_everything(days(&["20240105"], 4), Profile { needed_keys: needed, ..Profile::default() }, &[]);
}

#[test]
fn a17_one_information_model_is_enough() {
    let all = Services::default();
    for services in [
        Services { patient_root: false, ..all },
        Services { study_root: false, ..all },
        Services { move_: false, ..all },
        Services { get: false, ..all },
    ] {
        let scene = Scene::new(days(&["20240105"], 3), Profile { services, ..Profile::default() });
        scene.proves_everything();
    }
}

#[test]
fn answers_that_were_not_asked_for_are_dropped() {
    let ignored = [tags::STUDY_DATE, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID];
    for tag in ignored {
        let profile = Profile { ignored_keys: BTreeSet::from([tag]), ..Profile::default() };
        let archive = Archive::with(|b| {
            b.study("20240105").series("CT").instances(2, 64).series("MR").instances(1, 64);
            b.study("20200105").series("CT").instances(2, 64);
        });
        Scene::new(archive, profile).proves_everything();
    }
}

#[test]
fn a_job_of_some_days_takes_no_other_days_from_a_source_that_ignores_dates() {
    let profile = Profile { ignored_keys: BTreeSet::from([tags::STUDY_DATE]), ..Profile::default() };
    let scene = Scene::new(days(&["20240105", "20200105"], 2), profile);
    let done = scene.ferry.run(&["migrate", SOURCE, "--from", "2024-01-01"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(scene.report().item("total"), 2);
}

#[test]
fn a_source_that_lists_no_images_is_proven_by_count_and_the_report_says_so() {
    let profile = Profile { image_level: false, ..Profile::default() };
    let scene = Scene::keyed(days(&["20240105"], 3), profile, &[("verify", "\"count\"")]);
    scene.proves_everything();
    assert_eq!(scene.report().item("proven_by_count"), 3);
}
