//! A sample PACS and a pacsferry beside it, which knows it as `oldpacs`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use pacsferry::dicom::{AeTitle, StudyInstanceUid};
use pacsferry::sample::{Archive, Fate, Profile, SamplePacs};
use serde_json::Value;

use super::peers::{Ferry, Finished, Source};

/// The name of the source on the command line.
pub(crate) const SOURCE: &str = "oldpacs";
const AE_TITLE: &str = "OLDPACS";

/// What a source is configured with unless a test says otherwise: patient enough for a busy machine, quick enough for
/// a test.
const KEYS: [(&str, &str); 6] = [
    ("associations", "2"),
    ("settle", "\"300ms\""),
    ("attempts", "4"),
    ("retry", "{ first = \"50ms\", longest = \"200ms\" }"),
    ("timeout", "{ connect = \"5s\", find = \"10s\", move_idle = \"10s\", move_total = \"60s\" }"),
    ("retrieve", "\"auto\""),
];

/// An old PACS and what carries it over.
pub(crate) struct Scene {
    pub(crate) ferry: Ferry,
    pub(crate) pacs: SamplePacs,
}

impl Scene {
    /// A source of this archive that behaves like this.
    pub(crate) fn new(archive: Archive, profile: Profile) -> Self {
        Self::keyed(archive, profile, &[])
    }

    /// The same, with other keys in its `[[source]]`.
    pub(crate) fn keyed(archive: Archive, profile: Profile, keys: &[(&str, &str)]) -> Self {
        Self::of(Ferry::new(), archive, profile, keys)
    }

    /// The same, with a pacsferry that was prepared.
    pub(crate) fn of(ferry: Ferry, archive: Archive, profile: Profile, keys: &[(&str, &str)]) -> Self {
        let receiver = HashMap::from([(receiver_ae(), SocketAddr::from(([127, 0, 0, 1], ferry.receiver)))]);
        let pacs = SamplePacs::start(archive, profile, AeTitle::new(AE_TITLE).unwrap(), receiver).unwrap();
        let scene = Self { ferry, pacs };
        scene.configure(scene.pacs.addr().port(), keys);
        scene
    }

    /// Writes the configuration anew: the source at this port, with these keys.
    pub(crate) fn configure(&self, port: u16, keys: &[(&str, &str)]) {
        let mut all: BTreeMap<&str, &str> = KEYS.into_iter().collect();
        all.extend(keys.iter().copied());
        let keys: String = all.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        self.ferry.configure(&[Source { name: SOURCE, ae_title: AE_TITLE, port, keys: &keys }]);
    }

    /// Migrates everything, in the foreground.
    pub(crate) fn migrate(&self) -> Finished {
        self.ferry.run(&["migrate", SOURCE])
    }

    /// Lists everything, and pulls nothing.
    pub(crate) fn dry_run(&self) -> Value {
        self.ferry.json(&["migrate", SOURCE, "--dry-run", "--json"])
    }

    /// The report of the last job.
    pub(crate) fn report(&self) -> Report {
        Report(self.ferry.json(&["report", "last", "--format", "json"]))
    }

    /// Migrates, and sees everything proven and filed as the source holds it.
    pub(crate) fn proves_everything(&self) {
        let done = self.migrate();
        let report = self.report();
        assert_eq!(done.code, 0, "{}\n{}", done.err, report.fallout());
        assert_eq!(
            report.item("proven") + report.item("proven_by_count"),
            self.pacs.archive().studies().len(),
            "{}",
            report.fallout()
        );
        self.has_everything();
    }

    /// Sees every object that the source delivers filed once, with the right digest, and nothing beside.
    pub(crate) fn has_everything(&self) {
        let filed = self.ferry.filed();
        let expected = deliverable(self.pacs.archive());
        let missing: Vec<_> = expected.keys().filter(|uid| !filed.contains_key(*uid)).collect();
        assert!(missing.is_empty(), "not filed: {missing:?}");
        assert_eq!(filed, expected);
        assert_eq!(self.ferry.leftovers(), Vec::<std::path::PathBuf>::new());
    }

    /// The Study Instance UID of the n-th study of the archive.
    pub(crate) fn study(&self, number: usize) -> StudyInstanceUid {
        self.pacs.archive().studies()[number].clone()
    }
}

/// The AE title of the receiver.
pub(crate) fn receiver_ae() -> AeTitle {
    AeTitle::new(Ferry::AE_TITLE).unwrap()
}

/// The digest of every object that a source delivers in the end, the first of each UID, by SOP Instance UID.
pub(crate) fn deliverable(archive: &Archive) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for object in archive.objects().iter().filter(|object| object.fate != Fate::Fails(u32::MAX)) {
        let hex = || object.body.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        digests.entry(object.identity.instance.to_string()).or_insert_with(hex);
    }
    digests
}

/// A report, as scripts read it.
pub(crate) struct Report(pub(crate) Value);

impl Report {
    /// One of the numbers of items.
    pub(crate) fn item(&self, key: &str) -> usize {
        number(&self.0["items"], key)
    }

    /// One of the numbers of objects.
    pub(crate) fn object(&self, key: &str) -> usize {
        number(&self.0["objects"], key)
    }

    /// The entry of a study.
    pub(crate) fn study(&self, uid: &StudyInstanceUid) -> &Value {
        let studies = self.0["studies"].as_array().expect("a list of studies");
        studies
            .iter()
            .find(|study| study["study_uid"] == uid.as_str())
            .unwrap_or_else(|| panic!("{uid} is not in the report: {}", self.0))
    }

    /// State and reason of a study, as `failed: refused by source`.
    pub(crate) fn verdict(&self, uid: &StudyInstanceUid) -> String {
        let study = self.study(uid);
        let text = |key: &str| study[key].as_str().unwrap_or_default().to_owned();
        let (state, reason) = (text("state"), text("reason"));
        if reason.is_empty() { state } else { format!("{state}: {reason}") }
    }

    /// How many attempts a study took.
    pub(crate) fn attempts(&self, uid: &StudyInstanceUid) -> usize {
        number(self.study(uid), "attempts")
    }

    /// The studies that are not proven, for messages.
    pub(crate) fn fallout(&self) -> String {
        let studies = self.0["studies"].as_array().expect("a list of studies");
        let lines = studies.iter().filter(|study| study["state"] != "proven").map(Value::to_string);
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn number(value: &Value, key: &str) -> usize {
    let number = value[key].as_u64().unwrap_or_else(|| panic!("no number `{key}` in {value}"));
    usize::try_from(number).unwrap()
}
