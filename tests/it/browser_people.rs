//! Whoever runs the place, in a real browser: accounts, signing in by an identity provider, a job from its start over
//! slowing down, pausing and ending it to what stays behind, nodes and the guide.

use pacsferry::sample::{Archive, Fate, Profile};

use crate::support::chromium::Chromium;
use crate::support::console::PASSWORD;
use crate::support::peers::{PATIENCE, until};
use crate::support::provider::IdentityProvider;
use crate::support::running::started_worker;
use crate::support::scene::{SOURCE, Scene};

fn sign_out(chromium: &Chromium) {
    chromium.click("//button[.='Sign out']");
    until("signed out", PATIENCE, || (chromium.count("//button[.='Sign out']") == 0).then_some(()));
}

#[test]
fn accounts_are_made_changed_and_removed_and_others_come_by_their_provider() {
    let provider = IdentityProvider::start();
    let ferry = provider.ferry();
    let _node = ferry.serve();
    let mut chromium = Chromium::begin(&ferry);
    chromium.tolerate("status of 401");
    chromium.click("//nav//a[.='Accounts']");
    chromium.write("main [name=name]", "ben");
    chromium.click("main [name=role][value=readers]");
    chromium.click("//button[.='Make the account']");
    chromium.shows("It is shown this once.");
    let password = chromium.text("main [role=status] code");
    chromium.go("/accounts/ben");
    chromium.shows("has to choose a password");
    assert!(!chromium.says(&password), "it was shown once");

    sign_out(&chromium);
    chromium.go("/sign-in");
    chromium.sign_in("ben", &password);
    chromium.arrives("/password");
    chromium.go("/studies");
    chromium.arrives("/password");
    chromium.choose_password(&password);
    chromium.arrives("/jobs");
    assert_eq!(chromium.count("//nav//a[.='Accounts']"), 0, "he only looks");
    assert_eq!(chromium.count("//button[.='Start']"), 0);
    sign_out(&chromium);
    chromium.go("/sign-in");
    chromium.sign_in("ben", &password);
    chromium.has("[role=alert]", 1);

    // Who is vouched for by the provider has the roles of his groups.
    chromium.lets_ask(&format!("http://127.0.0.1:{}", provider.port));
    chromium.go("/sign-in?next=%2Fstudies");
    chromium.click("//a[contains(., 'Hospital & Co')]");
    chromium.arrives("/studies");
    chromium.shows("olga");
    assert_eq!(chromium.count("//nav//a[.='Accounts']"), 0);
    sign_out(&chromium);
    chromium.shows("signed out");

    chromium.go("/sign-in");
    chromium.sign_in("admin", PASSWORD);
    chromium.arrives("/jobs");
    chromium.go("/accounts");
    chromium.click("//a[.='olga']");
    chromium.shows("vouches for this account");
    chromium.go("/accounts/ben");
    chromium.click("main [name=role][value=readers]");
    chromium.click("main [name=role][value=administrator]");
    chromium.click("//button[.='Set the roles']");
    chromium.shows("across-patients, force-local");
    chromium.click_and_agree("//button[.='Remove the account']", "Remove the account ben?");
    chromium.arrives("/accounts");
    chromium.has("//a[.='ben']", 0);
}

/// Thirty studies of which the first is never whole.
fn archive() -> Archive {
    let mut archive = Archive::with(|archive| {
        archive.studies("20240105", 30, 2);
        archive.study("20240201").series("CT").instances(2, 100_000);
    });
    archive.objects_mut().last_mut().unwrap().fate = Fate::Fails(u32::MAX);
    archive
}

#[test]
fn a_job_is_slowed_paused_resumed_and_what_it_leaves_is_tried_again_and_agreed_to() {
    let keys = [("associations", "1"), ("attempts", "1"), ("rate", "\"20 KiB/s\"")];
    let scene = Scene::keyed(archive(), Profile::default(), &keys);
    let _node = scene.ferry.serve_with_worker();
    started_worker(&scene.ferry);
    let chromium = Chromium::begin(&scene.ferry);
    chromium.click("//nav//a[.='Nodes']");
    chromium.click(&format!("button[aria-label='Test {SOURCE}']"));
    chromium.shows("answers C-ECHO");
    chromium.has("#tested.note", 1);

    chromium.go("/jobs");
    chromium.click("//form[@action='/jobs']//button[.='Start']");
    chromium.arrives("/jobs/1");
    chromium.write("[name=rate]", "10 KiB/s");
    chromium.click("//button[.='Slow down now']");
    chromium.has("//button[.='As the configuration says again']", 1);
    let state = |wanted: &str| {
        until(&format!("the page says {wanted}"), PATIENCE, || {
            (chromium.text("[data-show=state]") == wanted).then_some(())
        });
    };
    chromium.click("//button[.='As the configuration says again']");
    chromium.has("//button[.='As the configuration says again']", 0);
    chromium.click("//button[.='Pause']");
    state("paused");
    // The old PACS has become a strong one.
    scene.configure(scene.pacs.addr().port(), &[("attempts", "1")]);
    chromium.go("/jobs/1");
    chromium.click("//button[.='Go on']");
    state("finished");

    chromium.go("/jobs/1/report");
    chromium.has("//details[.//button[.='Approve']]", 1);
    let study = chromium.text("//tr[.//details[.//button[.='Approve']]]/td[4]");
    chromium.click(&format!("button[aria-label='Retry study {study}']"));
    until("it was tried again and is still not whole", PATIENCE, || {
        chromium.go("/jobs/1/report");
        (chromium.says(", finished") && chromium.count("//details[.//button[.='Approve']]") == 1).then_some(())
    });
    chromium.click("//summary[.='Approve']");
    chromium.write("details[open] [name=why]", "its last image was never made");
    chromium.click("//details[@open]//button[.='Approve']");
    chromium.shows("its last image was never made");
    chromium.shows("1 of 1");
    chromium.click("//a[.='To print and sign']");
    chromium.shows("Signature");
    chromium.shows("its last image was never made");

    chromium.go("/jobs");
    chromium.click_and_agree("//button[.='Stop and close']", "end the worker?");
    until("the worker has ended", PATIENCE, || {
        chromium.go("/jobs");
        chromium.says("No worker is running").then_some(())
    });

    // The guide: every chapter, with its pictures.
    chromium.click("//nav//a[.='Guide']");
    chromium.arrives("/guide");
    let chapters =
        chromium.run("return [...document.querySelectorAll('nav[aria-label=Chapters] a')].map(a => a.pathname)");
    let chapters: Vec<&str> = chapters.as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(chapters.len() > 10, "{chapters:?}");
    let mut pictures = 0;
    for chapter in chapters {
        chromium.go(chapter);
        chromium.has("article h1", 1);
        let broken =
            "return [...document.images].map(i => { i.loading = 'eager'; return i.decode().then(() => 0, () => 1) })";
        let images = chromium.run(&format!("return Promise.all((() => {{ {broken} }})())"));
        let images = images.as_array().unwrap();
        assert!(images.iter().all(|broken| broken == 0), "{chapter}: a picture is broken");
        pictures += images.len();
    }
    assert!(pictures >= 3, "{pictures}");
}
