//! What is lost after it was filed is told, counts no more, and comes again.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pacsferry::sample::{Archive, Fate, Profile};
use serde_json::Value;

use crate::support::scene::{SOURCE, Scene};

fn scene() -> Scene {
    let archive = Archive::with(|b| {
        for day in ["20240101", "20240102", "20240103"] {
            b.study(day).series("CT").instances(4, 3000).series("SR").instances(1, 300);
        }
    });
    Scene::new(archive, Profile::default())
}

/// The file of the n-th object of the archive.
fn file_of(scene: &Scene, object: usize) -> PathBuf {
    let uid = scene.pacs.archive().objects()[object].identity.instance.to_string();
    PathBuf::from(scene.ferry.instances()[&uid]["file"].as_str().unwrap())
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

/// Flips the last bit of a file, as a bad disk does.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(file, bytes).unwrap();
}

fn kinds(verified: &Value) -> Vec<&str> {
    let mut kinds: Vec<_> =
        verified["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

/// Loses an object of the first study, damages one of the second, truncates one of the third to nothing.
fn lose_some(scene: &Scene) {
    scene.proves_everything();
    std::fs::remove_file(file_of(scene, 0)).unwrap();
    damage(&file_of(scene, 5));
    let third = file_of(scene, 10);
    std::fs::set_permissions(&third, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&third, []).unwrap();
}

#[test]
fn what_verify_finds_lost_is_proven_no_more_and_only_that_comes_again() {
    let scene = scene();
    lose_some(&scene);
    let verified = scene.ferry.run(&["verify", "last", "--files"]);
    assert_eq!(verified.code, 3, "{}", verified.out);
    assert!(verified.out.contains("3 objects are not counted as filed any more"), "{}", verified.out);
    assert!(verified.out.contains("job 1 retry --config"), "{}", verified.out);

    let report = scene.report();
    assert_eq!((report.item("proven"), report.item("partial"), report.object("filed")), (0, 3, 12), "{}", report.0);
    assert_eq!(report.verdict(&scene.study(1)), "partial: file lost here");
    assert!(report.study(&scene.study(1))["detail"].as_str().unwrap().contains("verify: "), "{}", report.0);
    assert_eq!(scene.ferry.instances().len(), 12);
    assert_eq!(files_below(&scene.ferry.storage().join("quarantine")), 2, "the damaged bytes are kept");

    let sent = scene.pacs.objects_sent();
    let retried = scene.ferry.run(&["job", "last", "retry"]);
    assert_eq!(retried.code, 0, "{}\n{}", retried.err, scene.report().fallout());
    assert_eq!(scene.pacs.objects_sent(), sent + 3);
    assert_eq!(scene.report().item("proven"), 3);
    scene.has_everything();
    let verified = scene.ferry.json(&["verify", "--all", "--json"]);
    assert_eq!(kinds(&verified), Vec::<&str>::new(), "{verified}");
}

#[test]
fn another_migration_brings_it_as_well() {
    let scene = scene();
    lose_some(&scene);
    let verified = scene.ferry.run(&["verify", "--all", "--files", "--json"]);
    let found: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(kinds(&found), ["digest differs", "missing file", "unreadable file"], "{found}");
    assert_eq!((verified.code, &found["lost"], &found["jobs_to_retry"]), (3, &3.into(), &serde_json::json!([1])));
    let sent = scene.pacs.objects_sent();
    let done = scene.ferry.run(&["migrate", SOURCE]);
    assert_eq!(done.code, 0, "{}\n{}", done.err, scene.report().fallout());
    assert_eq!(scene.pacs.objects_sent(), sent + 3);
    scene.has_everything();
}

fn lose_the_catalog(scene: &Scene) {
    for suffix in ["", "-wal", "-shm"] {
        let file = scene.ferry.folder().join(format!("catalog.db{suffix}"));
        assert!(std::fs::remove_file(&file).is_ok() || !suffix.is_empty(), "{}", file.display());
    }
}

#[test]
fn a_lost_catalog_is_not_replaced_by_an_empty_one() {
    let scene = scene();
    scene.proves_everything();
    let unmounted = scene.ferry.folder().join("unmounted");
    assert_eq!(scene.ferry.run(&["backup", unmounted.join("copy.db").to_str().unwrap()]).code, 2);
    assert!(!unmounted.exists(), "a disk that is not mounted is not written beside");
    lose_the_catalog(&scene);
    let folder = scene.ferry.folder().display().to_string();
    for begin in
        [&["migrate", SOURCE][..], &["migrate", SOURCE, "--dry-run"], &["work"], &["import", "--copy", &folder]]
    {
        let refused = scene.ferry.run(begin);
        assert!(refused.code == 1 && refused.err.contains("pacsferry rebuild"), "{begin:?}: {}", refused.err);
        assert!(!scene.ferry.folder().join("catalog.db").exists(), "{begin:?}");
    }
    // An empty catalog in its place is no better.
    std::fs::write(scene.ferry.folder().join("catalog.db"), []).unwrap();
    assert_eq!(scene.migrate().code, 1);
    // A storage folder that holds nothing needs none.
    lose_the_catalog(&scene);
    std::fs::remove_dir_all(scene.ferry.storage().join("images")).unwrap();
    scene.proves_everything();
}

#[test]
fn a_catalog_made_anew_says_what_it_cannot_see() {
    let scene = scene();
    scene.proves_everything();
    damage(&file_of(&scene, 5));
    let gone = file_of(&scene, 0);
    lose_the_catalog(&scene);
    std::fs::remove_file(gone).unwrap();
    let rebuilt = scene.ferry.run(&["rebuild"]);
    assert_eq!(rebuilt.code, 0, "{}{}", rebuilt.out, rebuilt.err);
    assert!(rebuilt.out.contains("damage from before shows no more"), "{}", rebuilt.out);
    assert!(rebuilt.out.contains("migrate SOURCE --config"), "{}", rebuilt.out);
    // What it advises brings back what is missing.
    let sent = scene.pacs.objects_sent();
    assert_eq!(scene.ferry.run(&["migrate", SOURCE]).code, 0);
    assert_eq!((scene.pacs.objects_sent(), scene.ferry.instances().len()), (sent + 1, 15));
    assert_eq!(scene.ferry.run(&["verify", "last"]).code, 0);
}

#[test]
fn what_was_agreed_to_is_not_lost_with_the_catalog() {
    let mut archive = Archive::with(|b| {
        b.studies("20240301", 2, 3);
    });
    archive.objects_mut().last_mut().unwrap().fate = Fate::Fails(u32::MAX);
    let scene = Scene::new(archive, Profile::default());
    let behind = || {
        assert_eq!(scene.ferry.run(&["migrate", SOURCE]).code, 3);
        scene.ferry.json(&["report", "last", "--failed", "--json"])["studies"][0].clone()
    };
    let study = behind()["study_uid"].as_str().unwrap().to_owned();
    let why = "on a tape that is broken";
    assert_eq!(scene.ferry.run(&["job", "last", "approve", "--study", &study, "--why", why]).code, 0);
    let before = scene.ferry.json(&["report", "last", "--failed", "--json"])["studies"][0]["approval"].clone();
    assert_eq!(before["why"], why, "{before}");
    lose_the_catalog(&scene);
    assert_eq!(scene.ferry.run(&["rebuild"]).code, 0);
    assert_eq!(behind()["approval"], before, "who, when and why");
}

#[test]
fn a_folder_that_is_not_mounted_has_lost_nothing() {
    let scene = scene();
    scene.proves_everything();
    std::fs::remove_file(scene.ferry.storage().join(".pacsferry-storage")).unwrap();
    let verified = scene.ferry.run(&["verify", "--all", "--files"]);
    assert!(verified.code == 1 || verified.code == 2, "{}: {}", verified.code, verified.err);
    assert_eq!(scene.ferry.instances().len(), 15);
}

#[test]
fn what_was_damaged_and_came_again_is_no_obstacle_after_the_catalog_was_lost() {
    let scene = scene();
    lose_some(&scene);
    assert_eq!(scene.ferry.run(&["verify", "last", "--files"]).code, 3);
    assert_eq!(scene.ferry.run(&["job", "last", "retry"]).code, 0);
    lose_the_catalog(&scene);
    let rebuilt = scene.ferry.run(&["rebuild", "--json"]);
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.out);
    let rebuilt: Value = serde_json::from_str(&rebuilt.out).unwrap();
    assert_eq!((&rebuilt["objects"], &rebuilt["quarantined"]), (&15.into(), &2.into()), "{rebuilt}");
    let sent = scene.pacs.objects_sent();
    scene.proves_everything();
    assert_eq!(scene.pacs.objects_sent(), sent);
    let verified = scene.ferry.run(&["verify", "--all"]);
    assert_eq!(verified.code, 0, "{}", verified.out);
    assert_eq!(files_below(&scene.ferry.storage().join("quarantine")), 2, "the damaged bytes are kept");
}

#[test]
fn a_folder_or_a_link_in_the_place_of_a_file_is_no_file_of_ours() {
    let scene = scene();
    scene.proves_everything();
    let (folder, link) = (file_of(&scene, 0), file_of(&scene, 5));
    let away = scene.ferry.folder().join("away.dcm");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(&link, &away).unwrap();
    std::os::unix::fs::symlink(&away, &link).unwrap();
    let verified = scene.ferry.run(&["verify", "last", "--files", "--json"]);
    let found: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!((kinds(&found), &found["lost"]), (vec!["missing file", "missing file"], &2.into()), "{found}");
    assert!(verified.out.contains("a folder has its name; move that away"), "{}", verified.out);
    assert_eq!(scene.report().item("partial"), 2);

    let retried = scene.ferry.run(&["job", "last", "retry"]);
    assert_eq!(retried.code, 0, "{}", retried.err);
    scene.has_everything();
    assert!(folder.is_dir() && link.is_symlink() && away.is_file(), "what others put there stays");
}

#[test]
fn verify_names_what_is_not_proven_and_counts_what_is_distinct() {
    let scene = scene();
    scene.proves_everything();
    assert_eq!(scene.ferry.run(&["migrate", SOURCE, "--new"]).code, 0);
    let verified = scene.ferry.json(&["verify", "--all", "--json"]);
    assert_eq!((&verified["studies"], &verified["objects"]), (&3.into(), &15.into()), "two jobs, one archive");
    // All of a study is gone, and one object of another is damaged.
    (0..5).for_each(|object| std::fs::remove_file(file_of(&scene, object)).unwrap());
    damage(&file_of(&scene, 5));
    let found: Value = serde_json::from_str(&scene.ferry.run(&["verify", "last", "--files", "--json"]).out).unwrap();
    assert_eq!((&found["lost"], &found["jobs_to_retry"]), (&6.into(), &serde_json::json!([1, 2])), "{found}");
    let report = scene.report();
    assert_eq!((report.item("proven"), report.item("partial"), report.item("failed")), (1, 1, 1), "{}", report.0);
    let detail = report.study(&scene.study(0))["detail"].as_str().unwrap();
    assert!(detail.contains("`pacsferry job 2 retry` pulls it again"), "{detail}");
    for scope in ["last", "--all"] {
        let verified = scene.ferry.run(&["verify", scope, "--json"]);
        let found: Value = serde_json::from_str(&verified.out).unwrap();
        assert_eq!((verified.code, &found["studies"], &found["objects"]), (3, &3.into(), &9.into()), "{found}");
        assert_eq!(kinds(&found), [&["missing in catalog"; 6][..], &["not proven"; 2]].concat(), "{found}");
        assert_eq!(found["quarantined"], 1, "{found}");
    }
    let study = scene.study(0).to_string();
    assert_eq!(scene.ferry.run(&["verify", "--study", &study]).code, 3);
    let unknown = scene.ferry.run(&["verify", "--study", &format!("{study}.1")]);
    assert!(unknown.code == 2 && unknown.err.contains("no job has it"), "{}", unknown.err);
    let dry = scene.ferry.json(&["migrate", SOURCE, "--dry-run", "--study", &format!("{study}.1"), "--json"]);
    assert_eq!(dry["studies"], 0, "{dry}");

    for job in ["2", "1"] {
        assert_eq!(scene.ferry.run(&["job", job, "retry"]).code, 0);
    }
    let verified = scene.ferry.run(&["verify", "--all"]);
    assert_eq!(verified.code, 0, "{}", verified.out);
    assert!(verified.out.contains("3 studies with 15 objects, 1 file in quarantine compared"), "{}", verified.out);
}
