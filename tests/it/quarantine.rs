//! What could not be filed is named, kept, and shown.

use std::collections::HashMap;

use pacsferry::sample::{Archive, Fate, Profile, SampleObject};

use crate::support::peers::string;
use crate::support::scene::Scene;

/// Some studies of a CT series and a report each.
fn archive(studies: usize, instances: usize) -> Archive {
    Archive::with(|b| {
        for number in 0..studies {
            b.study(&format!("202401{:02}", number + 1))
                .series("CT")
                .instances(instances, 3000)
                .series("SR")
                .instances(1, 300);
        }
    })
}

#[test]
fn another_content_under_the_same_uid_is_kept_aside_and_the_study_flagged() {
    let mut archive = archive(2, 4);
    let mut other: SampleObject = archive.objects()[1].clone();
    let mut bytes = other.body.to_vec();
    let end = bytes.len() - 1;
    bytes[end] ^= 0xFF;
    other.body = pacsferry::sample::Body::of(bytes);
    other.fate = Fate::Unlisted;
    archive.objects_mut().push(other);
    let scene = Scene::new(archive, Profile::default());
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    let report = scene.report();
    assert_eq!(report.object("collision"), 1);
    assert_eq!(report.verdict(&scene.study(0)), "partial: UID collision");
    // The report names it, and the command that it names shows both.
    let list = scene.ferry.json(&["quarantine", "list", "--json"]);
    let uid = string(&list[0], "sop_instance_uid");
    let kept = string(&list[0], "file");
    assert!(std::path::Path::new(&kept).is_file(), "{list}");
    let place = kept.strip_prefix(&format!("{}/", scene.ferry.storage().display())).unwrap();
    let said = scene.ferry.run(&["report", "last"]).out;
    assert!(said.contains(&uid) && said.contains(place) && said.contains("quarantine show"), "{said}");
    for key in [&uid, &string(&list[0], "study_uid"), &list[0]["number"].to_string()] {
        let shown = scene.ferry.json(&["quarantine", "show", key, "--json"]);
        assert_eq!(string(&shown[0], "file"), kept);
        assert_eq!(shown[0]["filed"]["file"], scene.ferry.instances()[&uid]["file"]);
    }
    let shown = scene.ferry.run(&["quarantine", "show", &uid]).out;
    assert!(shown.contains(&kept) && shown.contains("another object with its SOP Instance UID is filed"), "{shown}");
    for nobody in ["1.2.3.4.5", "4711"] {
        assert_eq!(scene.ferry.run(&["quarantine", "show", nobody]).code, 1);
    }
    assert!(done.err.contains("kept in quarantine") && done.err.contains(&uid), "{}", done.err);
    // The first one stays current, the second one is not lost.
    let copies: HashMap<String, usize> = scene.ferry.quarantined().into_iter().map(|digest| (digest, 1)).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(scene.ferry.filed().len(), 10);
    // It is discarded by its UID as well as by its number.
    assert_ne!(scene.ferry.run(&["quarantine", "discard", "1.2.3.4.5"]).code, 0);
    let gone = scene.ferry.json(&["quarantine", "discard", &uid, "--reason", "BROKEN", "--json"]);
    assert_eq!(gone["number"], list[0]["number"]);
    assert_eq!(scene.ferry.json(&["quarantine", "list", "--json"]).as_array().map(Vec::len), Some(0));
}
