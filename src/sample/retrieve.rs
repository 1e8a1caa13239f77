//! What C-MOVE and C-GET share: which objects are meant, how they are counted, how it ends.

use std::collections::HashMap;

use super::archive::SampleObject;
use super::data_set::DataSet;
use super::log::Request;
use super::noise::Noise;
use super::profile::{Profile, UidLists};
use super::query::split_uids;
use super::shared::Shared;
use crate::dataset::Elements;
use crate::dicom::{Encoding, QueryLevel, SeriesInstanceUid, SopInstanceUid, Status, StudyInstanceUid, tags};
use crate::dimse::{Command, Counters};

/// Reads what is asked for.
pub(crate) fn request(keys: &Elements, destination: Option<String>) -> Request {
    let uids = |tag| split_uids(&keys.text(tag).unwrap_or_default());
    Request {
        destination,
        level: keys.text(tags::QUERY_RETRIEVE_LEVEL).as_deref().and_then(QueryLevel::parse),
        studies: uids(tags::STUDY_INSTANCE_UID),
        series: uids(tags::SERIES_INSTANCE_UID),
        instances: uids(tags::SOP_INSTANCE_UID),
    }
}

/// The objects that are meant, copies and new UIDs included; the status when it cannot be.
pub(crate) fn resolve(request: &Request, profile: &Profile, shared: &Shared) -> Result<Vec<SampleObject>, Status> {
    let list = |uids: &[String]| match profile.uid_lists {
        UidLists::Refused if uids.len() > 1 => Err(Status::MISMATCH_REFUSED),
        UidLists::FirstOnly => Ok(uids.iter().take(1).cloned().collect()),
        _ => Ok(uids.to_vec()),
    };
    let (studies, series, instances) = (list(&request.studies)?, list(&request.series)?, list(&request.instances)?);
    let named = match request.level {
        Some(QueryLevel::Study) => !studies.is_empty(),
        Some(QueryLevel::Series) => !studies.is_empty() && !series.is_empty(),
        Some(QueryLevel::Image) => !studies.is_empty() && !series.is_empty() && !instances.is_empty(),
        Some(QueryLevel::Patient) | None => false,
    };
    if !named {
        return Err(Status::MISMATCH_REFUSED);
    }
    let among = |uids: &[String], uid: &str| uids.is_empty() || uids.iter().any(|one| one == uid);
    let mut objects = Vec::new();
    for study in &studies {
        let study = StudyInstanceUid::new(study);
        let retrieves = shared.retrieves(&study);
        for object in shared.study(&study).filter(|object| object.is_present(retrieves)) {
            let below_study = among(&series, object.identity.series.as_str());
            let below_series = among(&instances, object.identity.instance.as_str());
            if below_study && below_series {
                objects.extend(std::iter::repeat_n(object, profile.times_each.max(1)).cloned());
            }
        }
    }
    if profile.fresh_uids {
        renumber(&mut objects, shared.number());
    }
    Ok(objects)
}

/// Gives study, series and instances UIDs that they never had, each of the length of the old one.
fn renumber(objects: &mut [SampleObject], seed: u64) {
    let mut noise = Noise::new(seed);
    let mut fresh: HashMap<String, String> = HashMap::new();
    for object in objects {
        let identity = &mut object.identity;
        let old = [identity.study.as_str(), identity.series.as_str(), identity.instance.as_str()].map(str::to_owned);
        let new =
            old.clone().map(|uid| fresh.entry(uid).or_insert_with_key(|uid| other_digits(uid, &mut noise)).clone());
        for (old, new) in old.iter().zip(&new) {
            object.body.replace(old.as_bytes(), new.as_bytes());
        }
        let [study, series, instance] = new;
        identity.study = StudyInstanceUid::new(&study);
        identity.series = SeriesInstanceUid::new(&series);
        identity.instance = SopInstanceUid::new(&instance);
    }
}

/// The same UID with other digits in its last part, which keeps its length.
fn other_digits(uid: &str, noise: &mut Noise) -> String {
    let (arc, last) = uid.rsplit_once('.').unwrap_or(("", uid));
    let digits: String = last
        .chars()
        .map(|c| if c.is_ascii_digit() { char::from(b'1' + u8::try_from(noise.below(9)).unwrap_or(0)) } else { c })
        .collect();
    if arc.is_empty() { digits } else { format!("{arc}.{digits}") }
}

/// How many sub-operations ended how.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: usize,
    pub(crate) completed: usize,
    pub(crate) warning: usize,
    pub(crate) failed: Vec<SopInstanceUid>,
}

impl Tally {
    /// Counts the end of one sub-operation, `None` when there was no response.
    pub(crate) fn add(&mut self, instance: SopInstanceUid, status: Option<Status>) {
        use crate::dicom::Category;
        match status.map(Status::category) {
            Some(Category::Success) => self.completed += 1,
            Some(Category::Warning) => self.warning += 1,
            _ => self.failed.push(instance),
        }
    }

    fn counters(&self, remaining: bool) -> Counters {
        // The field has 16 bits, whatever there is to count.
        let short = |n: usize| Some(u16::try_from(n).unwrap_or(u16::MAX));
        let left = self.total.saturating_sub(self.completed + self.warning + self.failed.len());
        Counters {
            remaining: short(left).filter(|_| remaining),
            completed: short(self.completed),
            failed: short(self.failed.len()),
            warning: short(self.warning),
        }
    }

    /// A pending response.
    pub(crate) fn pending(&self, request: &Command, profile: &Profile) -> Command {
        let mut response = Command::response(request, Status::PENDING);
        if profile.counters {
            response.counters = self.counters(true);
        }
        response
    }

    /// The status that the sub-operations come to.
    pub(crate) fn status(&self, cancelled: bool, profile: &Profile) -> Status {
        if profile.success_always {
            Status::SUCCESS
        } else if cancelled {
            Status::CANCEL
        } else if self.failed.is_empty() {
            Status::SUCCESS
        } else if self.completed + self.warning == 0 {
            // Out of resources: unable to perform sub-operations.
            Status(0xA702)
        } else {
            Status::SUB_OPERATIONS_WITH_FAILURES
        }
    }

    /// The last response, and its identifier with the list of what failed.
    pub(crate) fn last(
        &self,
        request: &Command,
        status: Status,
        profile: &Profile,
        encoding: Encoding,
    ) -> (Command, Option<Vec<u8>>) {
        let mut response = Command::response(request, status);
        if profile.counters {
            response.counters = self.counters(status == Status::CANCEL);
        }
        if self.failed.is_empty() || !profile.failed_list {
            return (response, None);
        }
        let list: Vec<&str> = self.failed.iter().map(|uid| uid.as_str()).collect();
        let mut identifier = DataSet::new();
        identifier.put(tags::FAILED_SOP_INSTANCE_UID_LIST, &list.join("\\"));
        response.has_data_set = true;
        (response, Some(identifier.encode(encoding).to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::dicom::AeTitle;
    use crate::sample::{Archive, Fate};

    #[test]
    fn a_request_names_its_objects_as_far_as_the_profile_understands_it() {
        let archive = Archive::with(|b| {
            b.study("20240101")
                .series("CT")
                .instances(3, 10)
                .fate(1, Fate::Unlisted)
                .series("MR")
                .instances(1, 10)
                .fate(1, Fate::Later(1));
        });
        let shared = Shared::new(archive, Profile::default(), AeTitle::new("OLD").unwrap(), HashMap::new());
        let object = &shared.archive.objects()[0].identity;
        let other = &shared.archive.objects()[1].identity;
        let mut wanted = Request {
            destination: None,
            level: Some(QueryLevel::Study),
            studies: vec![object.study.to_string()],
            series: Vec::new(),
            instances: Vec::new(),
        };
        let count = |wanted: &Request, profile: Profile| resolve(wanted, &profile, &shared).map(|o| o.len());
        assert_eq!(count(&wanted, Profile::default()), Ok(3));
        assert_eq!(count(&wanted, Profile { times_each: 2, ..Profile::default() }), Ok(6));
        wanted.level = Some(QueryLevel::Image);
        assert_eq!(count(&wanted, Profile::default()), Err(Status::MISMATCH_REFUSED));
        wanted.series = vec![object.series.to_string()];
        wanted.instances = vec![object.instance.to_string(), other.instance.to_string()];
        assert_eq!(count(&wanted, Profile::default()), Ok(2));
        assert_eq!(count(&wanted, Profile { uid_lists: UidLists::FirstOnly, ..Profile::default() }), Ok(1));
        assert_eq!(
            count(&wanted, Profile { uid_lists: UidLists::Refused, ..Profile::default() }),
            Err(Status::MISMATCH_REFUSED)
        );

        let fresh = resolve(&wanted, &Profile { fresh_uids: true, ..Profile::default() }, &shared).unwrap();
        assert_ne!(fresh[0].identity.instance, object.instance);
        assert_eq!(fresh[0].identity.study, fresh[1].identity.study);
        assert_eq!(fresh[0].body.len(), shared.archive.objects()[0].body.len());
        let uid = fresh[0].identity.instance.as_str().as_bytes();
        assert!(fresh[0].body.to_vec().windows(uid.len()).any(|window| window == uid));
    }

    #[test]
    fn statuses_tell_the_truth_unless_the_profile_says_otherwise() {
        let uid = || SopInstanceUid::new("1.2");
        let mut tally = Tally { total: 3, ..Tally::default() };
        tally.add(uid(), None);
        assert_eq!(tally.status(false, &Profile::default()), Status(0xA702));
        tally.add(uid(), Some(Status(0xB007)));
        tally.add(uid(), Some(Status::SUCCESS));
        assert_eq!(tally.status(false, &Profile::default()), Status::SUB_OPERATIONS_WITH_FAILURES);
        assert_eq!(tally.status(true, &Profile::default()), Status::CANCEL);
        assert_eq!(tally.status(false, &Profile { success_always: true, ..Profile::default() }), Status::SUCCESS);
        let counters = tally.counters(true);
        assert_eq!(
            (counters.remaining, counters.completed, counters.failed, counters.warning),
            (Some(0), Some(1), Some(1), Some(1))
        );
    }
}
