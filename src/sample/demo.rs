//! The archive of `pacsferry demo`: what an old PACS of a small hospital may hold, all of it made up.

use std::sync::Arc;

use super::archive::{Archive, Fate, SampleObject, storage_class};
use super::data_set::DataSet;
use super::documents::{Subject, basic_text, encapsulated_pdf, key_objects, private_group};
use super::noise::Noise;
use super::pixels::{Picture, encapsulate, opaque_frame, run_length};
use crate::dicom::{Date, tags, uids};

const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
/// JPEG spectral selection, non-hierarchical, process 6 and 8: retired since 2000.
const RETIRED_JPEG: &str = "1.2.840.10008.1.2.4.53";
/// A storage SOP class that no dictionary knows.
const PRIVATE_CLASS: &str = "2.25.318146503391834690317120549378920153907.7";

/// When the newest ordinary study was made; the others lie in the seven years before.
const NEWEST: &str = "20250620";
/// More studies on one day than the demo source lists in one answer.
const BUSY_DAY: &str = "20211116";
const BUSY: usize = 12;
const ORDINARY: usize = 24;

/// Patient ID, Specific Character Set, name, sex, birth date.
const PATIENTS: [(&str, &str, &str, &str, &str); 18] = [
    ("DEMO-1001", "ISO_IR 100", "Grünwald^Jörg^^Dr.", "M", "19480312"),
    ("DEMO-1002", "", "Whitfield^Harriet", "F", "19611105"),
    ("DEMO-1077", "ISO_IR 192", "Wiśniewska^Żaneta", "F", "19830724"),
    ("DEMO-1090", "\\ISO 2022 IR 87", "Tanigawa^Haruki=谷川^春樹=たにがわ^はるき", "M", "19750219"),
    ("DEMO-2003", "\\ISO 2022 IR 149", "Choi^Minseo=최^민서", "F", "19900830"),
    ("DEMO-2004", "GB18030", "Zhao^Lihua=赵^丽华", "F", "19570101"),
    ("DEMO-2150", "ISO_IR 144", "Кузнецова^Алёна", "F", "19661212"),
    ("DEMO-2151", "ISO_IR 126", "Παππάς^Νίκος", "M", "19390404"),
    ("DEMO-3007", "ISO_IR 101", "Dvořák^Zdeněk", "M", "19520917"),
    ("DEMO-3008", "ISO_IR 148", "Yıldız^Şule", "F", "19870603"),
    ("DEMO-3300", "ISO_IR 138", "לוי^נועה", "F", "19941020"),
    ("DEMO-3301", "ISO_IR 127", "حداد^سامي", "M", "19700715"),
    ("DEMO-4010", "ISO_IR 166", "ศรีสุข^มานี", "F", "19590228"),
    ("DEMO-4011", "ISO_IR 110", "Bērziņš^Jānis", "M", "19450508"),
    ("7734", "ISO 2022 IR 13\\ISO 2022 IR 87", "ﾓﾘﾓﾄ^ﾕｳｺ=森本^優子=もりもと^ゆうこ", "F", "20010111"),
    ("88-0042", "\\ISO 2022 IR 58", "Liu^Fang=刘^芳", "F", "19780322"),
    ("X-5", "ISO_IR 192", "Ó Súilleabháin^Cáit", "F", "19330925"),
    ("DEMO-9999", "", "Anonymous^Unit Test Phantom", "O", ""),
];

impl Archive {
    /// The archive of the demo: 45 studies in several character sets and transfer syntaxes, the same each time but for
    /// one study whose clock was wrong and which lies two years ahead of today.
    pub fn demo() -> Self {
        Archive::demo_at(Date::today())
    }

    /// The archive of the demo as it is on this day.
    pub fn demo_at(today: Date) -> Self {
        let newest = Date::parse(NEWEST).expect("a constant date");
        let mut noise = Noise::new(0x5041_4353);
        let mut objects = Vec::new();
        let mut age = 0;
        for number in 0..ORDINARY {
            let date = newest.plus_days(-age).to_string();
            age += 40 + i64::try_from(noise.below(130)).unwrap_or(0);
            let kind = KINDS.get(number % KINDS.len()).copied().unwrap_or(Kind::Radiograph);
            objects.extend(Study::new(&mut noise, number, &date).kind(kind));
        }
        for number in 0..BUSY {
            let kind = KINDS.get(number % KINDS.len()).copied().unwrap_or(Kind::Radiograph);
            objects.extend(Study::new(&mut noise, ORDINARY + number, BUSY_DAY).kind(kind));
        }
        let mut special = |number, date: &str| Study::new(&mut noise, ORDINARY + BUSY + number, date);
        objects.extend(special(0, &today.plus_days(730).to_string()).kind(Kind::Head));
        objects.extend(special(1, "").kind(Kind::Radiograph));
        objects.extend(special(2, "2010.01.05").kind(Kind::Knee));
        objects.extend(special(3, "20190822").private());
        objects.extend(special(4, "20200214").unlabelled());
        objects.extend(special(5, "20230508").kind(Kind::Ultrasound));
        // Three studies that no care can prove.
        objects.extend(special(6, "20180430").with_fate(Kind::Head, usize::MAX, Fate::Fails(u32::MAX)));
        objects.extend(special(7, "20200909").with_fate(Kind::Abdomen, 1, Fate::Fails(u32::MAX)));
        objects.extend(special(8, "20221003").with_fate(Kind::Knee, 1, Fate::Unlisted));
        Archive::of(objects)
    }
}

/// What was examined.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Head,
    Knee,
    Radiograph,
    Ultrasound,
    Abdomen,
    Letter,
    Angiography,
    OldHead,
}

const KINDS: [Kind; 8] = [
    Kind::Abdomen,
    Kind::Radiograph,
    Kind::Head,
    Kind::Ultrasound,
    Kind::Knee,
    Kind::Letter,
    Kind::OldHead,
    Kind::Angiography,
];

/// A study that is being made.
struct Study {
    study: Arc<DataSet>,
    noise: Noise,
    uid: String,
    series_made: usize,
    objects: Vec<SampleObject>,
}

impl Study {
    fn new(noise: &mut Noise, number: usize, date: &str) -> Self {
        let (id, terms, name, sex, birth) =
            PATIENTS.get(number % PATIENTS.len()).copied().unwrap_or(("DEMO", "", "Nobody", "O", ""));
        let uid = noise.uid();
        let minute = noise.below(60);
        let mut study = DataSet::new();
        if !terms.is_empty() {
            study.charset(terms);
        }
        study
            .put(tags::STUDY_INSTANCE_UID, &uid)
            .put(tags::STUDY_DATE, date)
            .put(tags::STUDY_TIME, &format!("{:02}{minute:02}{:02}", 7 + number % 12, number % 60))
            .put(tags::STUDY_ID, &format!("{}", 4000 + number))
            .put(tags::ACCESSION_NUMBER, &format!("ACC{:04}", 100 + 7 * number))
            .put(tags::REFERRING_PHYSICIAN_NAME, "Hollis^Edwin")
            .put(tags::PATIENT_ID, id)
            .put(tags::PATIENT_NAME, name)
            .put(tags::PATIENT_SEX, sex)
            .put(tags::PATIENT_BIRTH_DATE, birth);
        Study { study: Arc::new(study), noise: Noise::new(noise.next()), uid, series_made: 0, objects: Vec::new() }
    }

    /// The objects of an examination of this kind.
    fn kind(mut self, kind: Kind) -> Vec<SampleObject> {
        self.add(kind);
        self.objects
    }

    fn with_fate(mut self, kind: Kind, count: usize, fate: Fate) -> Vec<SampleObject> {
        self.add(kind);
        self.objects.iter_mut().rev().take(count).for_each(|object| object.fate = fate);
        self.objects
    }

    /// A private SOP class, and a transfer syntax that was retired.
    fn private(mut self) -> Vec<SampleObject> {
        self.images("CT", "raw data", 3, PRIVATE_CLASS, uids::EXPLICIT_LE, Picture::gray16(48));
        self.images("CR", "old compression", 2, storage_class("CR"), RETIRED_JPEG, Picture::gray16(96));
        self.objects
    }

    /// Latin letters beyond ASCII, and no word of the character set.
    fn unlabelled(mut self) -> Vec<SampleObject> {
        Arc::make_mut(&mut self.study)
            .charset("ISO_IR 100")
            .put(tags::PATIENT_NAME, "Höfler^Käthe")
            .remove(tags::SPECIFIC_CHARACTER_SET);
        self.add(Kind::Radiograph);
        self.objects
    }

    fn add(&mut self, kind: Kind) {
        let gray = Picture::gray16;
        match kind {
            Kind::Abdomen => {
                self.describe("CT abdomen");
                self.images("CT", "venous", 10, storage_class("CT"), uids::EXPLICIT_LE, gray(80));
                self.images("CT", "late", 6, storage_class("CT"), JPEG_LOSSLESS, gray(80));
                self.key_objects();
            }
            Kind::Head => {
                self.describe("MR head");
                self.images("MR", "T1", 6, storage_class("MR"), uids::IMPLICIT_LE, gray(72));
                self.images("MR", "T2", 6, storage_class("MR"), JPEG_2000, gray(72));
            }
            Kind::OldHead => {
                self.describe("CT head");
                self.images("CT", "axial", 5, storage_class("CT"), uids::EXPLICIT_BE, gray(64));
                self.images("CT", "bone", 5, storage_class("CT"), uids::DEFLATED_LE, gray(64));
            }
            Kind::Knee => {
                self.describe("MR knee");
                self.images("MR", "sagittal", 8, storage_class("MR"), uids::EXPLICIT_LE, gray(64));
                self.images("MR", "coronal", 4, storage_class("MR"), JPEG_LS, gray(64));
                self.report("No tear seen in this made-up knee.");
            }
            Kind::Radiograph => {
                self.describe("Thorax p.a.");
                self.images("CR", "p.a.", 1, storage_class("CR"), uids::EXPLICIT_LE, gray(160));
                self.images("CR", "lateral", 1, storage_class("CR"), RLE, gray(160));
            }
            Kind::Ultrasound => {
                self.describe("US heart");
                self.images("US", "cine", 3, storage_class("US"), JPEG_BASELINE, Picture::colour(64, 12));
                self.images("US", "cine, plain", 1, storage_class("US"), uids::EXPLICIT_LE, Picture::colour(64, 8));
            }
            Kind::Angiography => {
                self.describe("XA");
                let picture = Picture { frames: 10, ..gray(64) };
                self.images("XA", "run", 4, storage_class("XA"), RLE, picture);
            }
            Kind::Letter => {
                self.describe("Letter");
                self.images("OT", "scan", 2, storage_class("OT"), uids::EXPLICIT_LE, Picture::colour(72, 1));
                self.letter("Discharge letter of nobody");
            }
        }
    }

    fn describe(&mut self, description: &str) {
        Arc::make_mut(&mut self.study).put(tags::STUDY_DESCRIPTION, description);
    }

    fn series(&mut self, modality: &str, description: &str) -> (String, Arc<DataSet>) {
        self.series_made += 1;
        let uid = self.noise.uid();
        let mut series = DataSet::new();
        series
            .put(tags::SERIES_INSTANCE_UID, &uid)
            .put(tags::SERIES_NUMBER, &self.series_made.to_string())
            .put(tags::SERIES_DESCRIPTION, description)
            .put(tags::MANUFACTURER, "made up")
            .put(tags::MODALITY, modality);
        (uid, Arc::new(series))
    }

    fn images(&mut self, modality: &str, description: &str, count: usize, class: &str, syntax: &str, picture: Picture) {
        let (_, series) = self.series(modality, description);
        for number in 1..=count {
            let seed = self.noise.next();
            let mut instance = self.instance(class, number);
            if seed.is_multiple_of(3) {
                private_group(&mut instance, seed % 1000);
            }
            let mut pixels = picture.describe();
            put_pixels(&mut pixels, picture, syntax, seed);
            self.objects.push(SampleObject::new(&self.study, &series, instance, &pixels, syntax));
        }
    }

    fn instance(&mut self, class: &str, number: usize) -> DataSet {
        let mut instance = DataSet::new();
        instance
            .put(tags::SOP_CLASS_UID, class)
            .put(tags::SOP_INSTANCE_UID, &self.noise.uid())
            .put(tags::INSTANCE_NUMBER, &number.to_string());
        instance
    }

    fn document(&mut self, modality: &str, description: &str, content: &DataSet) {
        let (_, series) = self.series(modality, description);
        let instance = self.instance(storage_class(modality), 1);
        self.objects.push(SampleObject::new(&self.study, &series, instance, content, uids::EXPLICIT_LE));
    }

    fn report(&mut self, sentence: &str) {
        if let Some(content) = self.about_first(|subject| basic_text(subject, sentence)) {
            self.document("SR", "report", &content);
        }
    }

    fn key_objects(&mut self) {
        if let Some(content) = self.about_first(key_objects) {
            self.document("KO", "of interest", &content);
        }
    }

    fn letter(&mut self, title: &str) {
        self.document("DOC", "letter", &encapsulated_pdf(title));
    }

    /// A document about the first image of the study.
    fn about_first(&self, write: impl FnOnce(&Subject<'_>) -> DataSet) -> Option<DataSet> {
        let first = &self.objects.first()?.identity;
        Some(write(&Subject {
            study: &self.uid,
            series: first.series.as_str(),
            class: first.class.as_str(),
            instance: first.instance.as_str(),
        }))
    }
}

/// Puts the pixels in the form that the transfer syntax asks for.
fn put_pixels(data_set: &mut DataSet, picture: Picture, syntax: &str, seed: u64) {
    let frames = (0..u64::from(picture.frames)).map(|number| seed.wrapping_add(number));
    match syntax {
        uids::EXPLICIT_LE | uids::IMPLICIT_LE | uids::EXPLICIT_BE | uids::DEFLATED_LE => {
            let all: Vec<u8> = frames.flat_map(|seed| picture.frame(seed)).collect();
            let vr = if picture.bytes_per_sample == 2 { dicom_core::VR::OW } else { dicom_core::VR::OB };
            data_set.put_bytes(tags::PIXEL_DATA, vr, all);
        }
        RLE => {
            let frames = frames.map(|seed| run_length(picture, &picture.frame(seed))).collect();
            data_set.put_fragments(encapsulate(frames));
        }
        _ => {
            let length = usize::from(picture.rows) * usize::from(picture.columns) / 3;
            data_set.put_fragments(encapsulate(frames.map(|seed| opaque_frame(syntax, seed, length)).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn the_demo_archive_has_what_the_demo_promises_and_never_changes() {
        let today = Date::parse("20260101").unwrap();
        let archive = Archive::demo_at(today);
        assert_eq!(archive.studies().len(), ORDINARY + BUSY + 9);
        assert!(archive.objects().len() >= 300, "{}", archive.objects().len());
        assert!((2 << 20..8 << 20).contains(&archive.bytes()), "{}", archive.bytes());
        let uids: HashSet<_> = archive.objects().iter().map(|o| o.identity.instance.clone()).collect();
        assert_eq!(uids.len(), archive.objects().len());
        assert!(uids.iter().all(|uid| uid.is_conformant()));
        let mut whole = blake3::Hasher::new();
        Archive::demo_at(today).objects().iter().for_each(|o| {
            whole.update(&o.body.digest());
        });
        let mut again = blake3::Hasher::new();
        archive.objects().iter().for_each(|o| {
            again.update(&o.body.digest());
        });
        assert_eq!(whole.finalize(), again.finalize());

        let mut syntaxes: HashMap<&str, usize> = HashMap::new();
        let mut dates = HashSet::new();
        for object in archive.objects() {
            *syntaxes.entry(object.transfer_syntax.as_str()).or_default() += 1;
            dates.insert(object.attribute(tags::STUDY_DATE).map(<[u8]>::to_vec));
        }
        for syntax in
            [uids::IMPLICIT_LE, uids::EXPLICIT_BE, uids::DEFLATED_LE, RLE, JPEG_BASELINE, JPEG_2000, RETIRED_JPEG]
        {
            assert!(syntaxes.contains_key(syntax), "{syntax}");
        }
        for date in ["", "2010.01.05"] {
            assert!(dates.contains(&Some(date.as_bytes().to_vec())), "{date}");
        }
        assert!(dates.contains(&Some(today.plus_days(730).to_string().into_bytes())));
        assert_eq!(archive.objects().iter().filter(|o| o.fate != Fate::Delivered).count(), 12 + 1 + 1);
    }
}
