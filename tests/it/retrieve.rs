//! Every object arrives, or its absence is proven and told, however badly the source delivers: each row B of the quirks.

use std::time::Duration;

use pacsferry::dicom::QueryLevel;
use pacsferry::sample::{
    AbortAfter, Archive, Delivery, Event, Fate, Profile, Request, Services, UidLists, UnknownDestination,
};

use crate::support::scene::{Scene, receiver_ae};

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

/// The retrieves that the source was asked for a study, in order.
fn retrieves(scene: &Scene, study: usize) -> Vec<Request> {
    let uid = scene.study(study).to_string();
    scene.pacs.retrieves().into_iter().filter(|request| request.studies.contains(&uid)).collect()
}

/// The most often that any object was sent.
fn most_sent(scene: &Scene) -> usize {
    scene.pacs.sent().into_values().max().unwrap_or(0)
}

fn ends(scene: &Scene, status: u16) -> usize {
    let ended = |event: &Event| matches!(event, Event::RetrieveEnded { status: s } if s.0 == status);
    scene.pacs.log().iter().filter(|entry| ended(&entry.event)).count()
}

#[test]
fn a_source_without_quirks_is_asked_once_for_each_study() {
    let scene = Scene::new(archive(4, 6), Profile::default());
    scene.proves_everything();
    assert_eq!(scene.pacs.retrieves().len(), 4);
    assert_eq!(most_sent(&scene), 1);
    let report = scene.report();
    assert_eq!((report.object("listed"), report.object("filed"), report.object("duplicate")), (28, 28, 0));
    assert!((0..4).all(|study| report.attempts(&scene.study(study)) <= 1));
}

#[test]
fn newest_first() {
    let scene = Scene::keyed(archive(12, 1), Profile::default(), &[("associations", "1")]);
    scene.proves_everything();
    let asked: Vec<String> = scene.pacs.retrieves().into_iter().flat_map(|request| request.studies).collect();
    let expected: Vec<String> = scene.pacs.archive().studies().iter().rev().map(ToString::to_string).collect();
    assert_eq!(asked, expected);
}

#[test]
fn b1_success_with_nothing_done_is_no_success() {
    let scene = Scene::new(archive(2, 3), Profile { empty_successes: 2, ..Profile::default() });
    scene.proves_everything();
    assert!(retrieves(&scene, 0).len() >= 3);
}

#[test]
fn b1_nothing_for_ever_ends_with_a_reason() {
    let scene = Scene::new(archive(1, 3), Profile { empty_successes: u32::MAX, ..Profile::default() });
    let done = scene.migrate();
    let report = scene.report();
    assert_eq!(done.code, 3, "{}", done.err);
    assert!(report.verdict(&scene.study(0)).starts_with("failed: "), "{}", report.fallout());
    assert_eq!(report.attempts(&scene.study(0)), 4);
}

#[test]
fn b2_success_although_all_failed_is_no_success() {
    let mut archive = archive(2, 3);
    archive.objects_mut().iter_mut().for_each(|object| object.fate = Fate::Fails(1));
    let scene = Scene::new(archive, Profile { success_always: true, ..Profile::default() });
    scene.proves_everything();
    assert_eq!(ends(&scene, 0), scene.pacs.retrieves().len());
}

#[test]
fn b3_what_comes_after_the_final_response_is_waited_for_and_not_asked_for_again() {
    let late = Duration::from_secs(3);
    let scene = Scene::keyed(
        archive(1, 9),
        Profile { final_first: Some(late), ..Profile::default() },
        &[("settle", "\"1500ms\"")],
    );
    scene.proves_everything();
    let log = scene.pacs.log();
    let ended = log.iter().position(|entry| matches!(entry.event, Event::RetrieveEnded { .. })).unwrap();
    let after = log[ended..].iter().filter(|entry| matches!(entry.event, Event::Stored { .. })).count();
    assert!(after >= 8, "the source did not misbehave: {after} objects after the end");
    assert_eq!((scene.pacs.retrieves().len(), most_sent(&scene)), (1, 1));
}

#[test]
fn b4_counters_and_pending_responses_are_not_needed() {
    let profile = Profile { counters: false, pendings: false, failed_list: false, ..Profile::default() };
    let scene = Scene::new(archive(2, 5), profile);
    scene.proves_everything();
    assert_eq!(most_sent(&scene), 1);
}

#[test]
fn b5_a_long_silence_is_waited_for() {
    let keys = [("timeout", "{ connect = \"5s\", find = \"1s\", move_idle = \"8s\", move_total = \"60s\" }")];
    let profile = Profile { silence: Duration::from_secs(3), pendings: false, ..Profile::default() };
    let scene = Scene::keyed(archive(1, 3), profile, &keys);
    scene.proves_everything();
    assert_eq!(scene.pacs.retrieves().len(), 1);
}

#[test]
fn b5_arrivals_are_a_sign_of_life_without_any_response() {
    let keys = [("timeout", "{ connect = \"5s\", find = \"5s\", move_idle = \"4s\", move_total = \"60s\" }")];
    let profile = Profile { store_pause: Duration::from_millis(700), pendings: false, ..Profile::default() };
    let scene = Scene::keyed(archive(1, 7), profile, &keys);
    scene.proves_everything();
    assert_eq!((scene.pacs.retrieves().len(), most_sent(&scene)), (1, 1));
}

#[test]
fn b6_pending_for_ever_ends_at_the_total_limit() {
    let keys = [
        ("timeout", "{ connect = \"5s\", find = \"5s\", move_idle = \"900ms\", move_total = \"2s\" }"),
        ("attempts", "2"),
    ];
    let profile = Profile { pending_forever: Some(Duration::from_millis(50)), ..Profile::default() };
    let scene = Scene::keyed(archive(1, 3), profile, &keys);
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    assert_eq!(scene.report().verdict(&scene.study(0)), "failed: timed out");
}

#[test]
fn b7_what_failed_is_asked_for_again_and_nothing_else() {
    let mut archive = archive(1, 30);
    let failing: Vec<String> = archive
        .objects_mut()
        .iter_mut()
        .step_by(10)
        .map(|object| {
            object.fate = Fate::Fails(1);
            object.identity.instance.to_string()
        })
        .collect();
    let scene = Scene::new(archive, Profile::default());
    scene.proves_everything();
    assert_eq!(ends(&scene, 0xB000), 1);
    // What goes by series may bring the rest of the series once more, never of the study a third time.
    assert!(most_sent(&scene) <= 2, "{:?}", scene.pacs.sent());
    let last = scene.pacs.retrieves().pop().unwrap();
    assert_ne!(last.level, Some(QueryLevel::Study));
    assert!(failing.len() == 4 && scene.report().object("filed") == 31);
}

#[test]
fn b7_what_fails_for_ever_is_told_with_the_words_of_the_source() {
    let mut archive = archive(2, 5);
    let poisoned = archive.studies()[1].clone();
    let mut objects = archive.objects_mut().iter_mut().filter(|o| o.identity.study == poisoned);
    objects.next().unwrap().fate = Fate::Fails(u32::MAX);
    let scene = Scene::new(archive, Profile::default());
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    let report = scene.report();
    assert_eq!(report.item("proven"), 1);
    assert!(report.verdict(&poisoned).starts_with("partial: "), "{}", report.fallout());
    assert!(report.study(&poisoned)["detail"].as_str().unwrap().contains("A702"), "{}", report.fallout());
    assert_eq!(report.attempts(&poisoned), 4);
    scene.has_everything();
}

#[test]
fn b9_an_unknown_destination_stops_the_job_and_says_what_to_register() {
    for unknown_destination in [UnknownDestination::Refused, UnknownDestination::Aborted] {
        let scene = Scene::keyed(
            archive(6, 2),
            Profile { unknown_destination, ..Profile::default() },
            &[("retrieve", "\"move\"")],
        );
        unregister(&scene);
        let done = scene.migrate();
        assert_eq!(done.code, 1, "{}", done.err);
        assert!(done.err.contains("FERRY_RX"), "the remedy names what to register: {}", done.err);
        assert!(scene.pacs.retrieves().len() <= 4, "hot loop: {}", scene.pacs.retrieves().len());
        // Mended, it goes on.
        scene.pacs.register(&receiver_ae(), ([127, 0, 0, 1], scene.ferry.receiver).into());
        let done = scene.ferry.run(&["job", "last", "resume"]);
        assert_eq!(done.code, 0, "{}", done.err);
        scene.has_everything();
    }
}

#[test]
fn b9_silence_towards_an_unknown_destination_is_bounded() {
    let keys = [
        ("timeout", "{ connect = \"5s\", find = \"5s\", move_idle = \"700ms\", move_total = \"3s\" }"),
        ("retrieve", "\"move\""),
        ("attempts", "2"),
    ];
    let scene = Scene::keyed(
        archive(1, 2),
        Profile { unknown_destination: UnknownDestination::Silence, ..Profile::default() },
        &keys,
    );
    unregister(&scene);
    let done = scene.migrate();
    assert_ne!(done.code, 0);
    assert!(scene.pacs.retrieves().len() <= 4);
}

#[test]
fn b9_with_retrieve_auto_the_objects_come_by_get_instead() {
    let scene = Scene::new(archive(3, 2), Profile::default());
    unregister(&scene);
    scene.proves_everything();
    assert!(scene.pacs.retrieves().iter().any(|request| request.destination.is_none()));
}

/// Makes the source forget the receiver; it keeps some other destination.
fn unregister(scene: &Scene) {
    scene.pacs.forget(&receiver_ae());
}

#[test]
fn b10_an_association_for_each_series_or_instance_is_all_the_same() {
    for delivery in [Delivery::PerSeries, Delivery::PerInstance] {
        let scene = Scene::new(archive(3, 25), Profile { delivery, ..Profile::default() });
        scene.proves_everything();
        assert_eq!(most_sent(&scene), 1);
    }
}

#[test]
fn b11_many_stores_at_once_are_taken() {
    let profile = Profile { delivery: Delivery::PerInstance, parallel_stores: 60, ..Profile::default() };
    let scene = Scene::new(archive(1, 300), profile);
    scene.proves_everything();
    assert!(scene.pacs.most_store_associations() > 30, "{}", scene.pacs.most_store_associations());
}

#[test]
fn b13_the_move_originator_is_not_needed() {
    Scene::new(archive(2, 4), Profile { originator: false, ..Profile::default() }).proves_everything();
}

#[test]
fn b14_lists_of_uids_are_done_without_where_they_are_not_understood() {
    for uid_lists in [UidLists::FirstOnly, UidLists::Refused] {
        let mut archive = archive(1, 8);
        archive.objects_mut().iter_mut().step_by(2).for_each(|object| object.fate = Fate::Fails(2));
        let scene = Scene::keyed(archive, Profile { uid_lists, ..Profile::default() }, &[("attempts", "6")]);
        scene.proves_everything();
    }
}

#[test]
fn b16_an_aborted_association_costs_what_was_under_way() {
    let profile = Profile { abort_after: Some(AbortAfter { objects: 7, times: 2 }), ..Profile::default() };
    let scene = Scene::new(archive(1, 30), profile);
    scene.proves_everything();
    assert!(scene.pacs.retrieves().len() >= 2);
}

#[test]
fn b16_by_get_too() {
    let profile = Profile { abort_after: Some(AbortAfter { objects: 7, times: 1 }), ..Profile::default() };
    let scene = Scene::keyed(archive(1, 20), profile, &[("retrieve", "\"get\"")]);
    scene.proves_everything();
    assert!(scene.pacs.retrieves().iter().all(|request| request.destination.is_none()));
}

#[test]
fn b18_get_without_the_role_falls_back_to_move() {
    let scene = Scene::new(archive(2, 3), Profile { get_role: false, ..Profile::default() });
    scene.proves_everything();
    let only_get = Services { move_: false, ..Services::default() };
    let scene = Scene::new(archive(1, 3), Profile { get_role: false, services: only_get, ..Profile::default() });
    let done = scene.migrate();
    assert!(done.code == 1 || done.code == 3, "{}: {}", done.code, done.err);
}

#[test]
fn b19_new_uids_with_each_retrieve_are_no_proof_and_no_loop() {
    let scene = Scene::new(archive(1, 3), Profile { fresh_uids: true, ..Profile::default() });
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    let report = scene.report();
    assert_eq!(report.verdict(&scene.study(0)), "failed: over count");
    let detail = report.study(&scene.study(0))["detail"].as_str().unwrap();
    assert!(detail.contains("UIDs anew with each retrieve"), "{detail}");
    assert_eq!((scene.pacs.retrieves().len(), report.attempts(&scene.study(0))), (2, 2));
}

#[test]
fn b19_beside_other_studies_and_by_get_too() {
    let profile = Profile { fresh_uids: true, ..Profile::default() };
    let scene = Scene::keyed(archive(3, 3), profile, &[("retrieve", "\"get\"")]);
    assert_eq!(scene.migrate().code, 3);
    let report = scene.report();
    assert!((0..3).all(|study| report.verdict(&scene.study(study)) == "failed: over count"), "{}", report.fallout());
    assert!((0..3).all(|study| report.attempts(&scene.study(study)) == 2), "{}", report.fallout());
}

#[test]
fn b20_a_source_that_rejects_fast_requests_is_asked_more_slowly() {
    let profile = Profile { associations_per_second: Some(2), ..Profile::default() };
    let scene = Scene::new(archive(6, 2), profile);
    scene.proves_everything();
}

#[test]
fn c1_c2_any_length_of_pdus_that_can_be_spoken_is_spoken() {
    for max_pdu in [0, 1024, 4097, 16_383, 1 << 20] {
        Scene::new(archive(1, 3), Profile { max_pdu, ..Profile::default() }).proves_everything();
    }
}

#[test]
fn c18_contexts_that_are_accepted_now_and_then_are_asked_for_again() {
    Scene::new(archive(5, 2), Profile { contexts_alternate: true, ..Profile::default() }).proves_everything();
}

#[test]
fn c19_transient_rejections_cost_no_attempt() {
    let scene = Scene::new(archive(8, 2), Profile { rejected_percent: 50, ..Profile::default() });
    scene.proves_everything();
    let rejected = scene.pacs.log().iter().filter(|entry| matches!(entry.event, Event::Rejected { .. })).count();
    assert!(rejected > 0, "the source never rejected");
    let report = scene.report();
    assert!((0..8).all(|study| report.attempts(&scene.study(study)) <= 1), "{}", report.0);
}

#[test]
fn b21_a_study_that_grows_under_way_is_whole_in_the_end() {
    let mut archive = archive(1, 5);
    archive.objects_mut().iter_mut().take(2).for_each(|object| object.fate = Fate::Later(1));
    let scene = Scene::new(archive, Profile::default());
    scene.proves_everything();
}

#[test]
fn what_the_source_delivers_but_does_not_list_is_filed_and_told() {
    let mut archive = archive(2, 3);
    archive.objects_mut()[0].fate = Fate::Unlisted;
    let scene = Scene::new(archive, Profile::default());
    let done = scene.migrate();
    assert_eq!(done.code, 3, "{}", done.err);
    assert_eq!(scene.report().verdict(&scene.study(0)), "partial: over count");
    scene.has_everything();
    // A second job has nothing to pull, and comes to the same verdict.
    let sent = scene.pacs.objects_sent();
    assert_eq!(scene.migrate().code, 3);
    assert_eq!(scene.report().verdict(&scene.study(0)), "partial: over count");
    assert_eq!(scene.pacs.objects_sent(), sent);
    // Until a person has looked at it.
    let uid = scene.study(0).to_string();
    for job in ["1", "2"] {
        assert_eq!(scene.ferry.run(&["job", job, "exclude", "--study", &uid, "--why", "looked at"]).code, 0);
    }
    scene.proves_everything();
}

#[test]
fn an_object_that_comes_twice_is_there_once() {
    let scene = Scene::new(archive(2, 4), Profile { times_each: 2, ..Profile::default() });
    scene.proves_everything();
    assert_eq!(scene.report().object("duplicate"), 10);
}
