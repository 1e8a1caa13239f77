//! A network that cuts, delays and re-chunks costs time, never an object.

use std::time::Duration;

use pacsferry::sample::{Archive, Delivery, Profile};

use crate::support::chaos::{Chaos, Forecast, Weather};
use crate::support::peers::until;
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene, receiver_ae};

const KEYS: [(&str, &str); 1] = [("attempts", "60")];

fn archive() -> Archive {
    Archive::with(|b| {
        for day in 1..=4 {
            b.study(&format!("2024010{day}")).series("CT").instances(12, 20_000).series("SR").instances(1, 300);
        }
    })
}

/// Puts the proxy between the source and the receiver.
fn before_receiver(scene: &Scene, forecast: Box<Forecast>) -> Chaos {
    let chaos = Chaos::before(([127, 0, 0, 1], scene.ferry.receiver).into(), forecast);
    scene.pacs.register(&receiver_ae(), chaos.address());
    chaos
}

/// Puts the proxy between us and the source.
fn before_source(scene: &Scene, keys: &[(&str, &str)], forecast: Box<Forecast>) -> Chaos {
    let chaos = Chaos::before(scene.pacs.addr(), forecast);
    scene.configure(chaos.address().port(), keys);
    chaos
}

fn calm() -> (Weather, Weather) {
    (Weather::default(), Weather::default())
}

/// The first connections are cut, each a little later than the last; those that follow are not.
fn cuts(count: usize, cut: impl Fn(u64) -> (Weather, Weather) + Send + Sync + 'static) -> Box<Forecast> {
    Box::new(move |number| if number < count { cut(number as u64) } else { calm() })
}

#[test]
fn stores_that_are_cut_anywhere_arrive_in_the_end() {
    let scene = Scene::keyed(archive(), Profile::default(), &KEYS);
    // Inside the negotiation, inside a command, inside a data set, between two objects.
    let chaos = before_receiver(
        &scene,
        cuts(24, |number| {
            (Weather { cut_after: Some(60 + (number % 8).pow(2) * 370), ..Weather::default() }, Weather::default())
        }),
    );
    scene.proves_everything();
    assert!(chaos.cuts() > 10, "{} cuts in {} connections", chaos.cuts(), chaos.connections());
}

#[test]
fn stores_that_are_cut_between_pdus_arrive_in_the_end() {
    let scene = Scene::keyed(archive(), Profile { max_pdu: 4096, ..Profile::default() }, &KEYS);
    let chaos = before_receiver(
        &scene,
        cuts(24, |number| {
            let cut = Weather { cut_after_pdus: Some(1 + (number as usize / 2) % 4), ..Weather::default() };
            if number % 2 == 0 { (cut, Weather::default()) } else { (Weather::default(), cut) }
        }),
    );
    scene.proves_everything();
    assert!(chaos.cuts() > 10, "{} cuts in {} connections", chaos.cuts(), chaos.connections());
}

#[test]
fn an_association_for_each_object_with_every_third_one_cut() {
    let scene = Scene::keyed(archive(), Profile { delivery: Delivery::PerInstance, ..Profile::default() }, &KEYS);
    let chaos = before_receiver(
        &scene,
        Box::new(|number| {
            let cut = Weather { cut_after: Some(9_000), ..Weather::default() };
            if number % 3 == 2 && number < 60 { (cut, Weather::default()) } else { calm() }
        }),
    );
    scene.proves_everything();
    assert!(chaos.cuts() >= 10, "{}", chaos.cuts());
}

#[test]
fn queries_and_moves_that_are_cut_are_asked_again() {
    let scene = Scene::keyed(archive(), Profile::default(), &KEYS);
    let chaos = before_source(
        &scene,
        &KEYS,
        cuts(20, |number| {
            let cut = Weather { cut_after: Some(100 + number * 331), ..Weather::default() };
            if number % 2 == 0 { (Weather::default(), cut) } else { (cut, Weather::default()) }
        }),
    );
    scene.proves_everything();
    assert!(chaos.cuts() > 10, "{}", chaos.cuts());
}

#[test]
fn objects_that_come_by_get_and_are_cut_arrive_in_the_end() {
    let keys = [KEYS[0], ("retrieve", "\"get\"")];
    let scene = Scene::keyed(archive(), Profile::default(), &keys);
    let chaos = before_source(
        &scene,
        &keys,
        cuts(16, |number| {
            (Weather::default(), Weather { cut_after: Some(4_000 + number % 5 * 9_001), ..Weather::default() })
        }),
    );
    scene.proves_everything();
    assert!(chaos.cuts() > 5, "{}", chaos.cuts());
}

#[test]
fn bytes_may_come_in_any_pieces() {
    for pieces in [1, 7, 1000] {
        let archive = Archive::with(|b| {
            b.study("20240101").series("CT").instances(3, 2000);
        });
        let scene = Scene::new(archive, Profile::default());
        let odd = move |_| {
            let weather = Weather { pieces: Some(pieces), ..Weather::default() };
            (weather, weather)
        };
        let _stores = before_receiver(&scene, Box::new(odd));
        let _queries = before_source(&scene, &[], Box::new(odd));
        scene.proves_everything();
        assert_eq!(scene.pacs.retrieves().len(), 1);
    }
}

#[test]
fn a_slow_network_is_only_slow() {
    let scene = Scene::new(archive(), Profile::default());
    let slow = Weather { delay: Duration::from_millis(15), pieces: Some(16_000), ..Weather::default() };
    let _stores = before_receiver(&scene, Box::new(move |_| (slow, slow)));
    let _queries = before_source(&scene, &[], Box::new(move |_| (slow, slow)));
    scene.proves_everything();
    assert_eq!(scene.pacs.retrieves().len(), 4);
}

#[test]
fn a_source_that_dies_and_comes_back_is_gone_on_with() {
    let mut scene =
        Scene::keyed(archive(), Profile { store_pause: Duration::from_millis(15), ..Profile::default() }, &KEYS);
    let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
    for round in 1..=3 {
        let enough = scene.pacs.objects_sent() + 6;
        until("objects", Duration::from_secs(30), || (scene.pacs.objects_sent() >= enough).then_some(()));
        scene.pacs.stop();
        if round == 3 {
            // Long enough that it is tried in vain.
            std::thread::park_timeout(Duration::from_millis(1200));
        }
        assert!(migration.is_running(), "{}", migration.said());
        scene.pacs.restart().unwrap();
    }
    assert_eq!(migration.ends(Duration::from_secs(90)), Some(0), "{}", migration.said());
    assert_eq!(scene.report().item("proven"), 4);
    scene.has_everything();
}
