//! What is in quarantine: filed where a person says, or taken out of sight. Its bytes stay as they are, where they are.

use super::amendment::{Stamp, Target, only_order};
use super::attributes::name_of;
use super::patient::{PatientSheet, shown};
use super::turn::Turn;
use super::uids::{Level, new_uid};
use super::{Content, ContentError, Done, Refusal, Why, charset_of, look, refusal, told};
use crate::audit::{AuditOutcome, CorrectionAction};
use crate::catalog::{CorrectionKind, CorrectionMode, NewCorrected, NewCorrection, NewFiled, Quarantined, StudyFacts};
use crate::config::{Operator, Privilege};
use crate::dataset::{Amendment, CharacterSet, Header, Tree, scan_header};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, Uid, tags};
use crate::store::Place;

/// The most memory that a header may take.
const LARGEST: u64 = 64 << 20;

/// What an object in quarantine is to be filed as; what is not said, it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileAs {
    /// The study.
    pub to: Option<StudyInstanceUid>,
    /// The series.
    pub series: Option<SeriesInstanceUid>,
    /// That the other patient is the right one.
    pub patient_confirmed: bool,
    /// Why.
    pub why: Why,
}

/// An object in quarantine, for people who have to decide what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSheet {
    /// The object.
    pub held: Quarantined,
    /// The elements of its header, or why it cannot be read.
    pub header: Result<Vec<HeldElement>, String>,
    /// The study in which another object is filed under its UID.
    pub twin: Option<StudyInstanceUid>,
    /// The study that it would be filed in, if there is one, and its own patient beside that of the study.
    pub beside: Option<Beside>,
}

/// An object in quarantine beside the study that it would be filed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The study.
    pub study: StudyInstanceUid,
    /// The patient of the object.
    pub own: PatientSheet,
    /// The patient of the study.
    pub theirs: PatientSheet,
}

/// An element of a header.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldElement {
    /// `(gggg,eeee)`.
    pub tag: String,
    /// What the dictionary calls it.
    pub name: String,
    /// Its value in words, as far as they are short.
    pub value: String,
}

/// The most elements of a header that are shown.
const SHOWN: usize = 500;

/// An object in quarantine, looked into.
struct Looked {
    held: Quarantined,
    tree: Tree,
    header: Header,
}

impl Content {
    /// Files an object that is in quarantine.
    pub async fn file(&self, number: i64, how: &FileAs, who: &Operator) -> Result<Done, ContentError> {
        let done = self.try_file(number, how, who).await;
        let studies = how.to.iter().map(ToString::to_string).collect();
        self.tell_of_refusal(CorrectionAction::File, studies, &how.why, who, done).await
    }

    /// An object in quarantine with what its header says, beside the study `to`, or the one that it names.
    pub async fn look_at(&self, number: i64, to: Option<&StudyInstanceUid>) -> Result<HeldSheet, ContentError> {
        let held = self.quarantined(number).await?;
        let twin = match held.collision {
            true => self
                .catalog
                .filed_under(&held.instance)
                .await?
                .and_then(|row| row.get("StudyInstanceUID").map(StudyInstanceUid::new)),
            false => None,
        };
        let (header, beside) = match self.header_of(&held).await {
            Err(why) => (Err(why), None),
            Ok((_, tree)) => {
                let element = |(tag, _): (Tag, _)| HeldElement {
                    tag: tag.to_string(),
                    name: name_of(tag),
                    value: shown(&tree, tag).unwrap_or_default(),
                };
                let beside = self.beside(&tree, to.unwrap_or(&held.study)).await?;
                (Ok(tree.iter().take(SHOWN).map(element).collect()), beside)
            }
        };
        Ok(HeldSheet { held, header, twin, beside })
    }

    async fn beside(&self, own: &Tree, study: &StudyInstanceUid) -> Result<Option<Beside>, ContentError> {
        let Some(facts) = self.standing(study).await? else { return Ok(None) };
        let side = self.side_of(&facts).await?;
        Ok(Some(Beside { study: study.clone(), own: PatientSheet::of(own), theirs: PatientSheet::of(&side.header) }))
    }

    /// What is known of a study in which something is filed, or that a patient is known of.
    async fn standing(&self, study: &StudyInstanceUid) -> Result<Option<StudyFacts>, ContentError> {
        let facts = self.catalog.study_facts(study).await?;
        Ok(facts.filter(|facts| facts.instances > 0 || facts.patient.is_some()))
    }

    async fn side_of(&self, facts: &StudyFacts) -> Result<look::Side, ContentError> {
        let charset = charset_of(&self.config, &facts.sources);
        look::of_study(&self.catalog, &self.outlet, facts, &charset).await
    }

    /// Takes an object in quarantine out of sight. Its bytes are kept, and it can be undone.
    pub async fn discard(&self, number: i64, why: &Why, who: &Operator) -> Result<Done, ContentError> {
        let done = self.try_discard(number, why, who).await;
        self.tell_of_refusal(CorrectionAction::Discard, Vec::new(), why, who, done).await
    }

    async fn try_file(&self, number: i64, how: &FileAs, who: &Operator) -> Result<Done, ContentError> {
        refusal::check(who, Privilege::Discard, "file what is in quarantine")?;
        let looked = self.look_into(number).await?;
        let cannot = |why: &str| Refusal::CannotFile { number, why: why.to_owned() };
        let named = |uid: &Option<Uid>| uid.clone().filter(|uid| !uid.is_empty());
        if how.to.as_ref().is_some_and(|uid| !uid.is_conformant()) {
            return Err(cannot("`--to` names no UID").into());
        }
        if how.series.as_ref().is_some_and(|uid| !uid.is_conformant()) {
            return Err(cannot("`--series` names no UID").into());
        }
        let own = named(&looked.header.study_uid).map(StudyInstanceUid::from);
        if let Some(to) = how.to.as_ref().filter(|to| own.as_ref() != Some(*to)) {
            // A mistyped UID must not make a study of its own.
            self.known_study(to).await?;
        }
        let study = how.to.clone().or_else(|| named(&looked.header.study_uid).map(StudyInstanceUid::from));
        let study = study.ok_or_else(|| cannot("it names no study; say where it belongs with `--to`"))?;
        let series = how.series.clone().or_else(|| named(&looked.header.series_uid).map(SeriesInstanceUid::from));
        let series = series.ok_or_else(|| cannot("it names no series; say which one with `--series`"))?;
        let facts = self.standing(&study).await?;
        let amendment = self.filed_as(&looked, how, &study, facts.as_ref(), who).await?;
        let filed = self.filed(&looked, series, &study).await?;
        let turn = Turn::take(&self.catalog, std::slice::from_ref(&study), who, "file").await?;
        let operation = NewCorrection {
            describes: facts.is_none().then(|| Box::new(look::header_of(&looked.tree))),
            amendment: amendment.to_bytes(),
            ..operation(CorrectionKind::File, &looked.held, study, &how.why, who, &turn)
        };
        let objects = vec![NewCorrected::Filed(filed)];
        let stamps = facts.into_iter().map(|facts| facts.stamp).collect();
        let done = self.carry_out(operation, objects, stamps, CorrectionAction::File, &how.why, who).await;
        turn.end().await?;
        done
    }

    async fn try_discard(&self, number: i64, why: &Why, who: &Operator) -> Result<Done, ContentError> {
        refusal::check(who, Privilege::Discard, "discard what is in quarantine")?;
        let held = self.quarantined(number).await?;
        let study = held.study.clone();
        let turn = Turn::take(&self.catalog, std::slice::from_ref(&study), who, "discard").await?;
        let operation = operation(CorrectionKind::Discard, &held, study, why, who, &turn);
        let objects = vec![NewCorrected::Discarded { quarantined: number }];
        let done = self.carry_out(operation, objects, Vec::new(), CorrectionAction::Discard, why, who).await;
        turn.end().await?;
        done
    }

    async fn carry_out(
        &self,
        operation: NewCorrection,
        objects: Vec<NewCorrected>,
        stamps: Vec<crate::catalog::Stamp>,
        action: CorrectionAction,
        why: &Why,
        who: &Operator,
    ) -> Result<Done, ContentError> {
        let studies = vec![operation.destination.to_string()];
        let staged = self.stage(operation, objects, &[]).await?;
        let told = told::of_studies(action, Some(staged.id), studies, why, who, AuditOutcome::Success);
        self.flip(&staged, stamps, told, Vec::new(), who).await?;
        Ok(Done { operation: staged.id, objects: 1, errands: 0 })
    }

    /// What is different in it: the patient and the study of where it goes, if that is another one than it names.
    async fn filed_as(
        &self,
        looked: &Looked,
        how: &FileAs,
        study: &StudyInstanceUid,
        facts: Option<&StudyFacts>,
        who: &Operator,
    ) -> Result<Amendment, ContentError> {
        let stamp = Stamp {
            system: self.config.node.ae_title.as_str().to_owned(),
            description: "Filed from quarantine".to_owned(),
            at: jiff::Timestamp::now().as_millisecond(),
            default_charset: None,
        };
        let Some(facts) = facts else {
            let own = Target { study, header: &looked.tree, order: Some(&looked.tree), same_patient: true };
            return Ok(own.amendment(&stamp));
        };
        let refusals = refusal::of_study(facts, who, &self.config);
        if !refusals.is_empty() {
            return Err(ContentError::Refused(refusals));
        }
        let side = self.side_of(facts).await?;
        let same_patient = PatientSheet::of(&looked.tree).is(&PatientSheet::of(&side.header));
        if !same_patient {
            refusal::check(who, Privilege::AcrossPatients, "file an object under another patient")?;
            if !how.patient_confirmed {
                return Err(Refusal::PatientNotConfirmed.into());
            }
        }
        let target = Target { study, header: &side.header, order: only_order(&side.headers), same_patient };
        Ok(target.amendment(&stamp))
    }

    /// What it is filed as: under its own UID, or under a new one where another object has that.
    async fn filed(
        &self,
        looked: &Looked,
        series: SeriesInstanceUid,
        study: &StudyInstanceUid,
    ) -> Result<NewFiled, ContentError> {
        let own = looked.header.sop_instance_uid.clone().filter(|uid| !uid.is_empty());
        let own = SopInstanceUid::from(own.unwrap_or_else(|| (*looked.held.instance).clone()));
        let taken = looked.held.collision || own.is_empty() || self.is_taken(&own).await?;
        let name = format!("{study} {}", looked.held.digest);
        let instance = if taken { new_uid(&name, Level::Instance, &own).into() } else { own };
        let mut patch = Amendment::default();
        patch.put.put_uid(tags::SOP_INSTANCE_UID, &instance).put_uid(tags::SERIES_INSTANCE_UID, &series);
        Ok(NewFiled {
            quarantined: looked.held.position,
            series,
            instance,
            header: Box::new(looked.header.clone()),
            patch: Some(patch.to_bytes()),
        })
    }

    async fn is_taken(&self, uid: &SopInstanceUid) -> Result<bool, ContentError> {
        let (catalog, uid) = (self.catalog.clone(), uid.clone());
        let found = tokio::task::spawn_blocking(move || catalog.existing(&uid));
        let found = found.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        Ok(found?.is_some())
    }

    async fn quarantined(&self, number: i64) -> Result<Quarantined, ContentError> {
        let page = self.catalog.in_quarantine(None, number.saturating_sub(1), 1).await?;
        let found = page.into_iter().find(|held| held.position == number);
        found.ok_or_else(|| Refusal::NoSuchQuarantined(number).into())
    }

    async fn look_into(&self, number: i64) -> Result<Looked, ContentError> {
        let held = self.quarantined(number).await?;
        match self.header_of(&held).await {
            Ok((header, tree)) => Ok(Looked { held, tree, header }),
            Err(why) => Err(Refusal::CannotFile { number, why }.into()),
        }
    }

    /// What its file says; why it cannot be read, in words.
    async fn header_of(&self, held: &Quarantined) -> Result<(Header, Tree), String> {
        let (store, place) = (self.store.clone(), held.place.clone());
        let read = tokio::task::spawn_blocking(move || {
            let found = store.examine(&place, &|_| CharacterSet::ascii()).map_err(|error| error.to_string())?;
            let syntax = found.transfer_syntax().clone();
            let open = || store.open_data_set(&Place::from(place.clone())).map_err(|error| error.to_string());
            let header = scan_header(open()?.0, &syntax, true, &CharacterSet::ascii()).header;
            let tree = Tree::read(open()?.0, &syntax, &CharacterSet::ascii(), LARGEST);
            Ok((header, tree.map_err(|error| error.to_string())?))
        });
        read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn tell_of_refusal(
        &self,
        action: CorrectionAction,
        studies: Vec<String>,
        why: &Why,
        who: &Operator,
        done: Result<Done, ContentError>,
    ) -> Result<Done, ContentError> {
        if let Err(error @ ContentError::Refused(_)) = &done {
            let outcome = AuditOutcome::Minor(error.to_string());
            self.audit.write(told::of_studies(action, None, studies, why, who, outcome)).await?;
        }
        done
    }
}

fn operation(
    kind: CorrectionKind,
    held: &Quarantined,
    destination: StudyInstanceUid,
    why: &Why,
    who: &Operator,
    turn: &Turn,
) -> NewCorrection {
    NewCorrection {
        key: None,
        kind,
        mode: CorrectionMode::Local,
        operator: who.name.clone(),
        reason: why.code.clone(),
        reason_text: why.text.clone(),
        source: held.study.clone(),
        destination,
        describes: None,
        amendment: Vec::new(),
        sheet: serde_json::json!({ "quarantined": held.position, "instance": held.instance.as_str() }).to_string(),
        process: turn.name().to_owned(),
    }
}
