//! The objects that a sample PACS holds, and a builder that makes them for tests.

use std::sync::Arc;

use super::body::Body;
use super::data_set::DataSet;
use super::noise::Noise;
use crate::dicom::{
    Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, encoding_of,
    tags, uids,
};

/// What happens to an object when its study is listed and retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// It is listed and delivered.
    #[default]
    Delivered,
    /// It is listed, and its sub-operation fails so many times before it succeeds; `u32::MAX` times are for ever.
    Fails(u32),
    /// It is delivered with its study, yet no query lists it.
    Unlisted,
    /// It joins the archive when so many retrieves of its study have ended.
    Later(u32),
}

/// One SOP Instance of the sample archive.
#[derive(Debug, Clone)]
pub struct SampleObject {
    /// Its UIDs.
    pub identity: Identity,
    /// The transfer syntax in which the archive holds it, and sends it.
    pub transfer_syntax: TransferSyntaxUid,
    /// Its data set, encoded.
    pub body: Body,
    /// What becomes of it.
    pub fate: Fate,
    study: Arc<DataSet>,
    series: Arc<DataSet>,
    instance: Arc<DataSet>,
}

impl SampleObject {
    /// Puts an object together from what its study, its series and itself say, pixels last. The parts stay at hand
    /// as what queries match.
    pub fn new(study: &Arc<DataSet>, series: &Arc<DataSet>, instance: DataSet, pixels: &DataSet, syntax: &str) -> Self {
        let transfer_syntax = TransferSyntaxUid::new(syntax);
        let mut whole = DataSet::clone(study);
        whole.extend(series).extend(&instance).extend(pixels);
        SampleObject {
            identity: Identity {
                study: StudyInstanceUid::from(whole.uid(tags::STUDY_INSTANCE_UID)),
                series: SeriesInstanceUid::from(whole.uid(tags::SERIES_INSTANCE_UID)),
                instance: SopInstanceUid::from(whole.uid(tags::SOP_INSTANCE_UID)),
                class: SopClassUid::from(whole.uid(tags::SOP_CLASS_UID)),
            },
            body: whole.encode(encoding_of(&transfer_syntax)),
            transfer_syntax,
            fate: Fate::Delivered,
            study: Arc::clone(study),
            series: Arc::clone(series),
            instance: Arc::new(instance),
        }
    }

    /// The value of an attribute of the patient, study, series or instance that a query may ask for.
    pub fn attribute(&self, tag: Tag) -> Option<&[u8]> {
        self.instance.bytes(tag).or_else(|| self.series.bytes(tag)).or_else(|| self.study.bytes(tag))
    }

    /// Whether queries can list it after so many retrieves of its study.
    pub fn is_listed(&self, retrieves: u32) -> bool {
        match self.fate {
            Fate::Delivered | Fate::Fails(_) => true,
            Fate::Unlisted => false,
            Fate::Later(after) => retrieves >= after,
        }
    }

    /// Whether a retrieve takes it along after so many earlier ones of its study.
    pub fn is_present(&self, retrieves: u32) -> bool {
        match self.fate {
            Fate::Later(after) => retrieves >= after,
            _ => true,
        }
    }
}

/// Everything that a sample PACS holds.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    objects: Vec<SampleObject>,
}

impl Archive {
    /// An archive of these objects. The same UID may come more than once, as it does in the field.
    pub fn of(objects: Vec<SampleObject>) -> Self {
        Archive { objects }
    }

    /// An archive that the closure describes, study by study.
    pub fn with(describe: impl FnOnce(&mut Builder)) -> Self {
        let mut builder = Builder { studies: Vec::new(), seed: 1 };
        describe(&mut builder);
        Archive { objects: builder.studies.into_iter().flat_map(|study| study.objects).collect() }
    }

    /// The objects, in no promised order.
    pub fn objects(&self) -> &[SampleObject] {
        &self.objects
    }

    /// The objects, to be tampered with.
    pub fn objects_mut(&mut self) -> &mut Vec<SampleObject> {
        &mut self.objects
    }

    /// The Study Instance UIDs, each once, in the order in which the studies were made.
    pub fn studies(&self) -> Vec<StudyInstanceUid> {
        let mut seen = std::collections::HashSet::new();
        self.objects.iter().map(|o| &o.identity.study).filter(|uid| seen.insert(*uid)).cloned().collect()
    }

    /// The objects of a study.
    pub fn study<'a>(&'a self, uid: &'a StudyInstanceUid) -> impl Iterator<Item = &'a SampleObject> {
        self.objects.iter().filter(move |object| object.identity.study == *uid)
    }

    /// Bytes of all data sets.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.body.len()).sum()
    }
}

/// Describes an archive for [`Archive::with`].
#[derive(Debug)]
pub struct Builder {
    studies: Vec<StudyBuilder>,
    seed: u64,
}

impl Builder {
    /// Sets what all UIDs and pixels follow from, so that two archives do not share a UID.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.seed = seed;
        self
    }

    /// Adds a study of this date, which is written as given: it may be empty or malformed.
    pub fn study(&mut self, date: &str) -> &mut StudyBuilder {
        let number = self.studies.len();
        let mut noise = Noise::new(self.seed.wrapping_mul(0x1_0000_0001).wrapping_add(number as u64));
        let mut study = DataSet::new();
        study
            .charset("ISO_IR 192")
            .put(tags::STUDY_INSTANCE_UID, &noise.uid())
            .put(tags::STUDY_DATE, date)
            .put(tags::STUDY_TIME, &format!("{:02}{:02}00", 7 + number / 60 % 12, number % 60))
            .put(tags::STUDY_ID, &format!("S{number}"))
            .put(tags::ACCESSION_NUMBER, &format!("A{:05}", number + 1))
            .put(tags::STUDY_DESCRIPTION, "made for a test")
            .put(tags::REFERRING_PHYSICIAN_NAME, "")
            .put(tags::PATIENT_ID, &format!("P{:05}", number + 1))
            .put(tags::PATIENT_NAME, &format!("Test^Number {}", number + 1))
            .put(tags::PATIENT_BIRTH_DATE, "19700101")
            .put(tags::PATIENT_SEX, "O");
        self.studies.push(StudyBuilder {
            study: Arc::new(study),
            series: Arc::new(DataSet::new()),
            series_made: 0,
            instances_made: 0,
            class: String::new(),
            syntax: uids::EXPLICIT_LE.to_owned(),
            noise,
            objects: Vec::new(),
        });
        self.studies.last_mut().expect("a study was just pushed")
    }

    /// Adds `count` studies of this date with one CT series of `instances` objects each.
    pub fn studies(&mut self, date: &str, count: usize, instances: usize) -> &mut Self {
        for _ in 0..count {
            self.study(date).series("CT").instances(instances, 256);
        }
        self
    }
}

/// Describes one study. What is set applies to the objects that are added afterwards.
#[derive(Debug)]
pub struct StudyBuilder {
    study: Arc<DataSet>,
    series: Arc<DataSet>,
    series_made: usize,
    instances_made: usize,
    class: String,
    syntax: String,
    noise: Noise,
    objects: Vec<SampleObject>,
}

impl StudyBuilder {
    /// Sets an attribute of the patient or the study.
    pub fn set(&mut self, tag: Tag, value: &str) -> &mut Self {
        Arc::make_mut(&mut self.study).put(tag, value);
        self
    }

    /// Leaves an attribute out.
    pub fn without(&mut self, tag: Tag) -> &mut Self {
        Arc::make_mut(&mut self.study).remove(tag);
        self
    }

    /// Declares another Specific Character Set and sets the patient's name in it.
    pub fn name(&mut self, terms: &str, name: &str) -> &mut Self {
        Arc::make_mut(&mut self.study).charset(terms).put(tags::PATIENT_NAME, name);
        self
    }

    /// Sets the study time.
    pub fn time(&mut self, time: &str) -> &mut Self {
        self.set(tags::STUDY_TIME, time)
    }

    /// Sets patient id and name.
    pub fn patient(&mut self, id: &str, name: &str) -> &mut Self {
        self.set(tags::PATIENT_ID, id).set(tags::PATIENT_NAME, name)
    }

    /// Begins a series of this modality, its objects in the storage class that goes with it.
    pub fn series(&mut self, modality: &str) -> &mut Self {
        self.series_made += 1;
        self.class = storage_class(modality).to_owned();
        let mut series = DataSet::new();
        series
            .put(tags::SERIES_INSTANCE_UID, &self.noise.uid())
            .put(tags::SERIES_NUMBER, &self.series_made.to_string())
            .put(tags::MODALITY, modality)
            .put(tags::SERIES_DESCRIPTION, &format!("series {}", self.series_made));
        self.series = Arc::new(series);
        self
    }

    /// Another SOP class for the objects that follow, a private one perhaps.
    pub fn class(&mut self, class: &str) -> &mut Self {
        class.clone_into(&mut self.class);
        self
    }

    /// Another transfer syntax for the objects that follow. Their pixels are noise in any case.
    pub fn syntax(&mut self, syntax: &str) -> &mut Self {
        syntax.clone_into(&mut self.syntax);
        self
    }

    /// Adds objects with pixel data of `size` bytes each, made only when they are sent.
    pub fn instances(&mut self, count: usize, size: u64) -> &mut Self {
        if self.series_made == 0 {
            self.series("CT");
        }
        for _ in 0..count {
            self.instances_made += 1;
            let uid = self.noise.uid();
            let object = self.object(&uid, size);
            self.objects.push(object);
        }
        self
    }

    /// Adds one object under this SOP Instance UID, which may be malformed or taken.
    pub fn instance(&mut self, uid: &str, size: u64) -> &mut Self {
        if self.series_made == 0 {
            self.series("CT");
        }
        self.instances_made += 1;
        let object = self.object(uid, size);
        self.objects.push(object);
        self
    }

    /// Gives the last `count` objects that were added this fate.
    pub fn fate(&mut self, count: usize, fate: Fate) -> &mut Self {
        self.objects.iter_mut().rev().take(count).for_each(|object| object.fate = fate);
        self
    }

    fn object(&mut self, uid: &str, size: u64) -> SampleObject {
        let mut instance = DataSet::new();
        instance
            .put(tags::SOP_CLASS_UID, &self.class)
            .put(tags::SOP_INSTANCE_UID, uid)
            .put(tags::INSTANCE_NUMBER, &self.instances_made.to_string());
        // As many pixels as there are bytes for, or fewer.
        let columns = u16::try_from(size / 2).unwrap_or(u16::MAX).clamp(1, 256);
        let rows = u16::try_from(size / 2 / u64::from(columns)).unwrap_or(u16::MAX).max(1);
        let mut pixels = DataSet::new();
        pixels
            .put_u16(tags::SAMPLES_PER_PIXEL, 1)
            .put(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
            .put_u16(tags::ROWS, rows)
            .put_u16(tags::COLUMNS, columns)
            .put_u16(tags::BITS_ALLOCATED, 16)
            .put_u16(tags::BITS_STORED, 16)
            .put_u16(tags::HIGH_BIT, 15)
            .put_u16(tags::PIXEL_REPRESENTATION, 0)
            .put_pixel_noise(self.noise.next(), size);
        SampleObject::new(&self.study, &self.series, instance, &pixels, &self.syntax)
    }
}

/// The storage SOP class in which objects of a modality usually come.
pub(crate) fn storage_class(modality: &str) -> &'static str {
    match modality {
        "CT" => "1.2.840.10008.5.1.4.1.1.2",
        "MR" => "1.2.840.10008.5.1.4.1.1.4",
        "CR" => "1.2.840.10008.5.1.4.1.1.1",
        "US" => "1.2.840.10008.5.1.4.1.1.3.1",
        "XA" => "1.2.840.10008.5.1.4.1.1.12.1",
        "SR" => "1.2.840.10008.5.1.4.1.1.88.11",
        "KO" => "1.2.840.10008.5.1.4.1.1.88.59",
        "DOC" => "1.2.840.10008.5.1.4.1.1.104.1",
        _ => "1.2.840.10008.5.1.4.1.1.7",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_archive_is_the_same_each_time_and_costs_no_memory_for_pixels() {
        let make = || {
            Archive::with(|b| {
                b.study("20240102")
                    .patient("X1", "Doe^Jane")
                    .series("CT")
                    .instances(3, 1 << 33)
                    .series("SR")
                    .instances(1, 500);
                b.study("").series("MR").instances(2, 100).fate(1, Fate::Unlisted);
            })
        };
        let archive = make();
        assert_eq!(archive.objects().len(), 6);
        assert_eq!(archive.studies().len(), 2);
        assert!(archive.bytes() > 3 << 33);
        let uids: Vec<_> = archive.objects().iter().map(|o| o.identity.clone()).collect();
        assert_eq!(uids, make().objects().iter().map(|o| o.identity.clone()).collect::<Vec<_>>());
        assert_eq!(archive.objects()[4].body.digest(), make().objects()[4].body.digest());
        assert_eq!(archive.objects()[0].attribute(tags::PATIENT_ID), Some(&b"X1"[..]));
        assert_eq!(archive.objects()[5].fate, Fate::Unlisted);
        assert!(archive.objects()[0].body.len() > 1 << 33);
    }

    #[test]
    fn an_object_without_character_set_or_series_is_possible() {
        let archive = Archive::with(|b| {
            b.study("2010.01.05").without(tags::SPECIFIC_CHARACTER_SET).instance("LOCALIZER", 10);
        });
        let object = &archive.objects()[0];
        assert_eq!(object.attribute(tags::SPECIFIC_CHARACTER_SET), None);
        assert_eq!(object.identity.instance.as_str(), "LOCALIZER");
        assert_eq!(object.identity.class.as_str(), storage_class("CT"));
    }
}
