//! The command line keeps its word: exit codes, JSON shapes, and errors that say what to do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use pacsferry::dicom::AeTitle;
use pacsferry::sample::{Archive, Fate, Profile, SamplePacs};
use serde_json::{Value, json};

use crate::support::peers::{Ferry, PATIENCE, Source, finish, free_port, text, until};

const KEYS: &str = "settle = \"200ms\"\nattempts = 2\nretry = { first = \"50ms\", longest = \"100ms\" }\n";

/// A small PACS and a pacsferry that knows it as `old`.
struct Site {
    ferry: Ferry,
    pacs: SamplePacs,
}

impl Site {
    fn of(archive: Archive) -> Self {
        let ferry = Ferry::new();
        let ae = |text: &str| AeTitle::new(text).unwrap();
        let receiver = HashMap::from([(ae(Ferry::AE_TITLE), SocketAddr::from(([127, 0, 0, 1], ferry.receiver)))]);
        let pacs = SamplePacs::start(archive, Profile::default(), ae("OLDPACS"), receiver).unwrap();
        ferry.configure(&[Source { name: "old", ae_title: "OLDPACS", port: pacs.addr().port(), keys: KEYS }]);
        Site { ferry, pacs }
    }

    /// Three studies of three objects each, one of them of the year 2019.
    fn small() -> Self {
        Site::of(Archive::with(|b| {
            b.studies("20240301", 2, 3);
            b.studies("20190704", 1, 3);
        }))
    }

    /// The same, with one object that the source lists and never sends.
    fn short() -> Self {
        let mut archive = Archive::with(|b| {
            b.studies("20240301", 2, 3);
            b.studies("20190704", 1, 3);
        });
        archive.objects_mut().last_mut().unwrap().fate = Fate::Fails(u32::MAX);
        Site::of(archive)
    }

    fn migrated(self) -> Self {
        let done = self.ferry.run(&["migrate", "old"]);
        assert!(matches!(done.code, 0 | 3), "{}\n{}", done.out, done.err);
        self
    }
}

fn pacsferry(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pacsferry"));
    command.args(arguments).current_dir(std::env::temp_dir()).env_remove("PACSFERRY_CONFIG");
    let done = finish(command, Duration::from_secs(60));
    (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

fn has_keys(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "no {key} in {value}");
    }
}

#[test]
fn mistakes_of_the_caller_end_with_2_and_help_with_0() {
    for wrong in [
        &[][..],
        &["fly"],
        &["migrate"],
        &["report", "none"],
        &["job", "0"],
        &["verify"],
        &["find", "catalog", "Nme=x"],
    ] {
        let (code, out, err) = pacsferry(wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{wrong:?}");
        assert!(!err.is_empty());
    }
    for help in [
        &["--help"][..],
        &["help"],
        &["migrate", "--help"],
        &["--version"],
        &["guide"],
        &["guide", "fallout"],
        &["guide", "conformance"],
    ] {
        let (code, out, err) = pacsferry(help);
        assert_eq!((code, err.as_str()), (0, ""), "{help:?}");
        assert!(!out.is_empty());
    }
    let (_, config, _) = pacsferry(&["guide", "config"]);
    assert_eq!(config, include_str!("../../conf/pacsferry.toml"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(pacsferry(&["completions", shell]).1.contains("migrate"));
    }
    let (code, page, _) = pacsferry(&["man", "migrate"]);
    assert!(code == 0 && page.starts_with(".ie") && page.contains("pacsferry\\-migrate"), "{page}");
}

#[test]
fn a_configuration_with_mistakes_ends_every_command_with_2_and_names_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "[storage]\nfoldr = \"x\"\n[receiver]\nlisten = \"nowhere\"\n").unwrap();
    let file = file.to_str().unwrap();
    for command in [&["jobs"][..], &["migrate", "old"], &["work"], &["report", "last"]] {
        let (code, _, err) = pacsferry(&[command, &["--config", file]].concat());
        assert_eq!(code, 2, "{command:?}");
        assert!(
            err.contains("line 2, storage.foldr") && err.contains("did you mean `folder`") && err.contains("line 4"),
            "{err}"
        );
    }
    let (code, out, _) = pacsferry(&["check", "--json", "--config", file]);
    let check: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &check["ok"]), (2, &json!(false)));
    assert_eq!(check["findings"].as_array().unwrap().len(), 2);
    for finding in check["findings"].as_array().unwrap() {
        has_keys(finding, &["level", "where", "message", "remedy"]);
        assert_eq!(finding["level"], "error");
    }
    assert_eq!(pacsferry(&["jobs", "--config", "/nonexistent.toml"]).0, 2);
}

#[test]
fn check_says_what_is_wrong_and_what_to_register() {
    let mut site = Site::small();
    let good = site.ferry.run(&["check"]);
    assert_eq!(good.code, 0, "{}", good.out);
    assert!(
        good.out.contains("What must be registered at old")
            && good.out.contains(&format!("port {}", site.ferry.receiver)),
        "{}",
        good.out
    );
    assert!(!site.ferry.storage().exists(), "check makes nothing");
    let other = std::net::TcpListener::bind(("127.0.0.1", site.ferry.receiver)).unwrap();
    site.pacs.stop();
    let bad = site.ferry.run(&["check", "--json"]);
    let check: Value = serde_json::from_str(&bad.out).unwrap();
    assert_eq!((bad.code, &check["ok"]), (1, &json!(false)));
    let places: Vec<&str> =
        check["findings"].as_array().unwrap().iter().map(|f| f["where"].as_str().unwrap()).collect();
    assert_eq!(places, ["receiver.listen", "source.old"], "{check}");
    assert!(check["findings"].as_array().unwrap().iter().all(|f| !f["remedy"].as_str().unwrap().is_empty()));
    drop(other);
}

#[test]
fn echo_names_what_a_peer_accepts_and_what_to_do_when_there_is_none() {
    let site = Site::small();
    let known = site.ferry.json(&["echo", "old", "--json"]);
    assert!(known["accepted"].as_array().unwrap().iter().any(|a| a["name"] == "Study Root C-MOVE"), "{known}");
    let address = format!("OLDPACS@127.0.0.1:{}", site.pacs.addr().port());
    assert_eq!(site.ferry.run(&["echo", &address]).code, 0);
    let nobody = site.ferry.run(&["echo", &format!("OLDPACS@127.0.0.1:{}", free_port())]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("check that"), "{}", nobody.err);
    let unknown = site.ferry.run(&["echo", "olds"]);
    assert!(unknown.code == 2 && unknown.err.contains("did you mean `old`"), "{}", unknown.err);
}

#[test]
fn a_proven_migration_ends_with_0_and_everything_tells_the_same() {
    let site = Site::small();
    assert_eq!(site.ferry.json(&["jobs", "--json"]), json!([]));
    let dry = site.ferry.json(&["migrate", "old", "--dry-run", "--json"]);
    assert_eq!((&dry["studies"], &dry["objects"]), (&json!(3), &json!(9)));
    assert_eq!(dry["years"], json!([{ "year": "2024", "studies": 2 }, { "year": "2019", "studies": 1 }]));
    assert_eq!(site.ferry.json(&["jobs", "--json"]), json!([]), "a dry run makes no job");

    let done = site.ferry.run(&["migrate", "old", "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    has_keys(&report, &["job", "kind", "source", "state", "started", "ended", "items", "objects", "bytes", "studies"]);
    assert_eq!(
        (&report["kind"], &report["source"], &report["state"]),
        (&json!("migration"), &json!("old"), &json!("finished"))
    );
    assert_eq!(
        report["items"],
        json!({ "total": 3, "proven": 3, "proven_by_count": 0, "partial": 0, "failed": 0, "excluded": 0, "cancelled": 0, "pending": 0 })
    );
    assert_eq!((&report["objects"]["listed"], &report["objects"]["filed"]), (&json!(9), &json!(9)));
    for study in report["studies"].as_array().unwrap() {
        has_keys(
            study,
            &["study_uid", "study_date", "patient_id", "state", "listed", "filed", "attempts", "reason", "detail"],
        );
    }
    assert_eq!(report["studies"][2]["study_date"], "20190704", "newest first");

    let jobs = site.ferry.json(&["jobs", "--json"]);
    has_keys(
        &jobs[0],
        &[
            "job",
            "kind",
            "source",
            "state",
            "items",
            "objects",
            "bytes",
            "rate_bytes_per_second",
            "eta_seconds",
            "newest_pending",
        ],
    );
    assert_eq!((&jobs[0]["items"], &jobs[0]["bytes"]), (&report["items"], &report["bytes"]));
    let job = site.ferry.json(&["job", "last", "--json"]);
    assert_eq!(job["checkpoints"].as_array().unwrap().len(), 3);
    has_keys(
        &job["checkpoints"][0],
        &["source", "study_uid", "message_id", "phase", "remaining", "completed", "failed", "warning", "received"],
    );
    assert!(
        job["checkpoints"].as_array().unwrap().iter().all(|c| c["phase"] == "ended" && c["received"] == 3),
        "{job}"
    );

    let verify = site.ferry.json(&["verify", "last", "--json"]);
    assert_eq!((&verify["studies"], &verify["objects"], &verify["findings"]), (&json!(3), &json!(9), &json!([])));
    // The same again pulls nothing, and is a new job.
    let again = site.ferry.run(&["migrate", "old"]);
    assert!(again.code == 0 && again.out.starts_with("Job 2:"), "{}", again.out);
    assert_eq!(site.pacs.objects_sent(), 9);
}

#[test]
fn the_catalog_is_found_by_keyword_at_every_level() {
    let site = Site::small().migrated();
    let studies = site.ferry.json(&["find", "catalog", "StudyDate=20190101-20191231", "--json"]);
    let study = studies[0]["StudyInstanceUID"].as_str().unwrap();
    assert_eq!((studies.as_array().unwrap().len(), &studies[0]["NumberOfStudyRelatedInstances"]), (1, &json!("3")));
    let by_study = format!("StudyInstanceUID={study}");
    let series = site.ferry.json(&["find", "catalog", "--level", "series", &by_study, "--json"]);
    assert_eq!(series[0]["Modality"], "CT");
    let instances = site.ferry.json(&["find", "catalog", "--level", "instance", &by_study, "--json"]);
    assert_eq!(instances.as_array().unwrap().len(), 3);
    for instance in instances.as_array().unwrap() {
        has_keys(instance, &["SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "file", "size", "digest"]);
        let file = std::fs::metadata(instance["file"].as_str().unwrap()).unwrap();
        assert_eq!(instance["size"], file.len());
        assert_eq!(instance["digest"].as_str().unwrap().len(), 64);
    }
    let at_source = site.ferry.json(&["find", "old", "--level", "instance", &by_study, "--json"]);
    let uids = |rows: &Value| {
        let mut uids: Vec<String> =
            rows.as_array().unwrap().iter().map(|r| r["SOPInstanceUID"].as_str().unwrap().into()).collect();
        uids.sort();
        uids
    };
    assert_eq!(uids(&at_source), uids(&instances));
    assert_eq!(site.ferry.run(&["find", "old", "--level", "series"]).code, 2, "a study must be named");
    let some = site.ferry.run(&["find", "old", "--limit", "1", "--json"]);
    let rows: Value = serde_json::from_str(&some.out).unwrap();
    assert!(rows.as_array().unwrap().len() == 1 && some.err.contains("more than 1"), "{}", some.err);
}

#[test]
fn fallout_ends_with_3_and_can_be_tried_again_and_excluded() {
    let site = Site::short();
    let done = site.ferry.run(&["migrate", "old"]);
    assert_eq!(done.code, 3, "{}", done.out);
    assert!(done.out.contains("2 studies proven, 1 NOT") && done.out.contains("job 1 retry --config"), "{}", done.out);
    let report = site.ferry.json(&["report", "last", "--failed", "--json"]);
    let fallout = &report["studies"][0];
    assert_eq!(
        (&fallout["state"], &fallout["listed"], &fallout["filed"]),
        (&json!("partial"), &json!(3), &json!(2)),
        "{fallout}"
    );
    assert!(fallout["reason"].is_string() && !fallout["detail"].as_str().unwrap().is_empty());
    let uid = fallout["study_uid"].as_str().unwrap();

    let verify = site.ferry.run(&["verify", "--study", uid, "--json"]);
    let found: Value = serde_json::from_str(&verify.out).unwrap();
    assert_eq!((verify.code, found["findings"].as_array().unwrap().len()), (3, 2), "{found}");
    has_keys(&found["findings"][0], &["kind", "study_uid", "sop_instance_uid", "detail"]);

    assert_eq!(site.ferry.run(&["job", "1", "retry", "--reason", "timed out"]).code, 1, "no study has this reason");
    let before = site.pacs.objects_sent();
    assert_eq!(site.ferry.run(&["job", "1", "retry", "--study", uid]).code, 3);
    assert_eq!(site.pacs.objects_sent(), before, "what is there is not sent again");
    assert_eq!(site.ferry.run(&["job", "1", "resume"]).code, 2, "it is finished");
    assert_eq!(site.ferry.run(&["job", "7"]).code, 2);
    for (format, begins) in [("csv", "\"study_uid\""), ("html", "<!doctype html>"), ("text", "Job 1:"), ("json", "{")] {
        let report = site.ferry.run(&["report", "1", "--format", format]);
        assert!(report.code == 0 && report.out.starts_with(begins), "{format}: {}", report.out);
    }
}

#[test]
fn a_detached_job_waits_for_the_worker_and_is_cancelled_without_one() {
    let site = Site::small();
    let queued = site.ferry.json(&["migrate", "old", "--detach", "--json"]);
    assert_eq!(queued, json!({ "job": 1 }));
    let told = site.ferry.run(&["migrate", "old", "--detach"]);
    assert!(
        told.err.contains("going on with job 1") && told.out.contains("pacsferry work --config"),
        "{}{}",
        told.err,
        told.out
    );
    assert_eq!(site.ferry.run(&["job", "1", "pause"]).code, 0);
    assert_eq!(site.ferry.json(&["job", "1", "--json"])["state"], "paused");
    assert_eq!(site.ferry.run(&["job", "1", "cancel"]).code, 0);
    assert_eq!(site.ferry.json(&["jobs", "--json"])[0]["state"], "cancelled");
    let new = site.ferry.json(&["migrate", "old", "--detach", "--json"]);
    assert_eq!(new, json!({ "job": 2 }), "a cancelled job is over");
    let another = site.ferry.json(&["migrate", "old", "--detach", "--new", "--json"]);
    assert_eq!(another, json!({ "job": 3 }));
}

#[test]
fn a_port_that_is_taken_leaves_no_job_behind() {
    let site = Site::small();
    let taken = std::net::TcpListener::bind(("127.0.0.1", site.ferry.receiver)).unwrap();
    let done = site.ferry.run(&["migrate", "old"]);
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("nothing was begun") && done.err.contains("ss -ltnp"), "{}", done.err);
    assert_eq!(site.ferry.json(&["jobs", "--json"]), json!([]));
    drop(taken);
    let done = site.ferry.run(&["migrate", "old", "--study", "1.2.a"]);
    assert!(done.code == 3 && done.err.contains("`1.2.a` is no well-formed UID"), "{}", done.err);
    assert!(done.out.contains("not found at source"), "{}", done.out);
}

#[test]
fn a_worker_takes_up_what_is_queued_and_migrate_beside_it_only_follows() {
    let site = Site::small();
    let worker = site.ferry.work();
    until("the worker says that it is there", PATIENCE, || {
        site.ferry.run(&["migrate", "old", "--detach", "--new"]).out.contains("takes it up").then_some(())
    });
    let followed = site.ferry.run(&["migrate", "old", "--new"]);
    assert_eq!(followed.code, 0, "{}", followed.err);
    assert!(followed.err.contains("a worker is running"), "{}", followed.err);
    until("every job ends", PATIENCE, || {
        let jobs = site.ferry.json(&["jobs", "--json"]);
        jobs.as_array().unwrap().iter().all(|job| job["state"] == "finished").then_some(())
    });
    for job in site.ferry.json(&["jobs", "--json"]).as_array().unwrap() {
        assert_eq!(job["items"]["proven"], 3, "{job}");
    }
    drop(worker);
}

#[test]
fn what_is_wrong_with_the_files_is_found_and_a_lost_catalog_comes_back() {
    let site = Site::small().migrated();
    let files: Vec<String> =
        site.ferry.instances().values().map(|row| row["file"].as_str().unwrap().to_owned()).collect();
    let before = site.ferry.filed();
    let backup = site.ferry.storage().with_file_name("copy.db");
    assert_eq!(site.ferry.run(&["backup", backup.to_str().unwrap()]).code, 0);
    assert_eq!(site.ferry.run(&["backup", backup.to_str().unwrap()]).code, 2, "nothing is overwritten");
    assert_eq!(site.ferry.run(&["rebuild"]).code, 2, "there is a catalog");

    let catalog = site.ferry.storage().with_file_name("catalog.db");
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", catalog.display());
        assert!(std::fs::remove_file(&file).is_ok() || !suffix.is_empty(), "{file}");
    }
    let rebuilt = site.ferry.json(&["rebuild", "--json"]);
    let lost = ["jobs", "accounts", "retrieve-log", "outbox", "audit-trail"];
    assert_eq!(rebuilt, json!({ "objects": 9, "quarantined": 0, "problems": [], "lost": lost }));
    assert_eq!(site.ferry.filed(), before);
    assert_eq!(site.ferry.json(&["verify", "--all", "--files", "--json"])["findings"], json!([]));
    // It is the catalog of this folder: a migration goes on with it, and pulls nothing.
    let sent = site.pacs.objects_sent();
    assert_eq!(site.ferry.run(&["migrate", "old"]).code, 0);
    assert_eq!(site.pacs.objects_sent(), sent);

    let damaged = std::fs::read(&files[0]).unwrap();
    let mut permissions = std::fs::metadata(&files[0]).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&files[0], permissions).unwrap();
    std::fs::write(&files[0], [&damaged[..damaged.len() - 1], &[damaged[damaged.len() - 1] ^ 1]].concat()).unwrap();
    std::fs::rename(&files[1], format!("{}x", files[1])).unwrap();
    let verify = site.ferry.run(&["verify", "--all", "--files", "--json"]);
    let found: Value = serde_json::from_str(&verify.out).unwrap();
    let mut kinds: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!((verify.code, kinds), (3, vec!["digest differs", "file without row", "missing file"]), "{found}");
}
