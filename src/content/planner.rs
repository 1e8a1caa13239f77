//! Makes a plan: finds what is meant, reads what both sides say of themselves, and collects what stands against it.

mod judge;
mod sheets;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::amendment::{Stamp, Target, only_order};
use super::findings::{self, Findings};
use super::look::{self, Side};
use super::patient::{differences, differing};
use super::plan::{Plan, Work};
use super::refusal::check;
use super::rewrite::{Heads, Rewriting};
use super::survey;
use super::uids::{Level, new_uid};
use super::{
    Content, ContentError, Kind, Mode, PatientSheet, Refusal, Request, To, Warning, What, Why, attributes, charset_of,
    terms_of,
};
use crate::catalog::{ObjectFacts, Selection, StudyFacts};
use crate::config::{Operator, Privilege};
use crate::dataset::{CharacterSet, Tree, UidKind};
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};

/// The most objects that one operation moves.
const MOST_OBJECTS: usize = 200_000;
/// The most UIDs that a request names.
const MOST_NAMED: usize = 10_000;
/// A study into which something has come within this time is being filed into.
const QUIET: Duration = Duration::from_secs(1);
/// So long it is waited until that is over.
const PATIENCE: Duration = Duration::from_secs(4);

impl Content {
    /// Thinks an operation through: reads only. What stands against it is in the plan; an error is what keeps one from being
    /// made at all.
    pub async fn plan(&self, request: &Request, who: &Operator) -> Result<Plan, ContentError> {
        if !who.may(Privilege::Content) {
            check(who, Privilege::View, "see what an operation would do")?;
        }
        let objects = self.objects_of(request).await?;
        let source_uid = one_study(&objects, request)?;
        self.quiet(&source_uid).await?;
        if let To::Study(destination) = &request.to {
            self.quiet(destination).await?;
        }
        let source = self.known_study(&source_uid).await?;
        let name = request.name()?;
        let (to, destination) = self.destination(request, &source, &name).await?;
        let findings = findings::of(self, &source, destination.as_ref()).await?;
        let objects = findings.spared(objects)?;
        let planner = Planner { content: self, request, who, name, objects, findings, source, to, destination };
        planner.plan().await
    }

    /// Waits until nothing comes any more, for a short while: an association that ends just now is none in the way.
    async fn quiet(&self, study: &StudyInstanceUid) -> Result<(), ContentError> {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            let facts = self.catalog.study_facts(study).await?;
            let Some(rest) = facts.and_then(|facts| rest_of_quiet(&facts)) else { return Ok(()) };
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    /// Everything that is to be moved, as it is shown.
    async fn objects_of(&self, request: &Request) -> Result<Vec<ObjectFacts>, ContentError> {
        if request.what.named() > MOST_NAMED {
            return Err(Refusal::TooMany { what: "the UIDs that are named".into(), limit: MOST_NAMED }.into());
        }
        let mut selection = Selection { studies: request.from.iter().cloned().collect(), ..Selection::default() };
        match &request.what {
            What::Series(uids) => selection.series.clone_from(uids),
            What::Instances(uids) => selection.instances.clone_from(uids),
            What::Study(uid) => selection.studies = vec![uid.clone()],
        }
        let objects = look::objects(&self.catalog, &selection, MOST_OBJECTS).await?;
        let missing = |level, uid: &str| Refusal::Unknown { level, uid: uid.to_owned(), within: request.from.clone() };
        match &request.what {
            What::Series(uids) => {
                let found = |uid: &&SeriesInstanceUid| objects.iter().any(|object| object.series == **uid);
                if let Some(uid) = uids.iter().find(|uid| !found(uid)) {
                    return Err(missing("series", uid.as_str()).into());
                }
            }
            What::Instances(uids) => {
                let shown: HashSet<_> = objects.iter().map(|object| &object.shown).collect();
                if let Some(uid) = uids.iter().find(|uid| !shown.contains(uid)) {
                    return Err(missing("instance", uid.as_str()).into());
                }
            }
            What::Study(uid) if objects.is_empty() => {
                self.known_study(uid).await?;
                return Err(Refusal::Empty { study: uid.clone() }.into());
            }
            What::Study(_) => {}
        }
        Ok(objects)
    }

    /// A study in which something is shown, or was.
    pub(super) async fn known_study(&self, uid: &StudyInstanceUid) -> Result<StudyFacts, ContentError> {
        let facts = self.catalog.study_facts(uid).await?;
        let known = facts.filter(|facts| facts.instances > 0 || facts.patient.is_some());
        let unknown = || Refusal::Unknown { level: "study", uid: uid.to_string(), within: None };
        known.ok_or_else(|| unknown().into())
    }

    /// Where the objects go, and what is known of it; nothing is known of a new study.
    async fn destination(
        &self,
        request: &Request,
        source: &StudyFacts,
        name: &str,
    ) -> Result<(StudyInstanceUid, Option<StudyFacts>), ContentError> {
        match &request.to {
            To::Study(uid) if *uid == source.uid => Err(Refusal::SameStudy { study: uid.clone() }.into()),
            To::Study(uid) => Ok((uid.clone(), Some(self.known_study(uid).await?))),
            To::New(None) => Ok((new_uid(name, Level::Study, &source.uid).into(), None)),
            To::New(Some(uid)) => {
                let refuse = |why| Err(Refusal::NewStudy { uid: uid.to_string(), why }.into());
                if !uid.is_conformant() {
                    return refuse("it is no UID");
                }
                match self.catalog.study_facts(uid).await? {
                    Some(facts) if facts.instances > 0 || facts.patient.is_some() => refuse("a study has it already"),
                    _ => Ok((uid.clone(), None)),
                }
            }
        }
    }
}

fn rest_of_quiet(facts: &StudyFacts) -> Option<Duration> {
    let since = facts.last_arrival.map(|last| jiff::Timestamp::now().as_millisecond().saturating_sub(last))?;
    let since = Duration::from_millis(u64::try_from(since).unwrap_or(0));
    QUIET.checked_sub(since).filter(|rest| !rest.is_zero())
}

/// The study that all of the objects are in.
fn one_study(objects: &[ObjectFacts], request: &Request) -> Result<StudyInstanceUid, Refusal> {
    let mut studies: Vec<&StudyInstanceUid> = objects.iter().map(|object| &object.study).collect();
    studies.sort();
    studies.dedup();
    match studies.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Refusal::Unknown { level: "object", uid: format!("{:?}", request.what), within: None }),
        several => Err(Refusal::SeveralStudies {
            studies: several.len(),
            first: several.iter().take(5).map(ToString::to_string).collect(),
        }),
    }
}

struct Planner<'a> {
    content: &'a Content,
    request: &'a Request,
    who: &'a Operator,
    name: String,
    objects: Vec<ObjectFacts>,
    findings: Findings,
    source: StudyFacts,
    to: StudyInstanceUid,
    destination: Option<StudyFacts>,
}

impl Planner<'_> {
    async fn plan(mut self) -> Result<Plan, ContentError> {
        let Content { catalog, outlet, config, .. } = self.content;
        let configured = if config.content.iocm { Mode::Iocm } else { Mode::Local };
        let mode = self.request.mode.unwrap_or(configured);
        let (stamp, name) = (self.stamp(), self.name.clone());
        let (from, to) = (self.source.uid.clone(), self.to.clone());
        let charset = |facts: &StudyFacts| charset_of(config, &facts.sources);
        let (here, beyond) =
            (charset(&self.source), self.destination.as_ref().map_or_else(CharacterSet::ascii, charset));
        let rewriting = Rewriting {
            content: self.content,
            mode,
            name: &name,
            stamp: &stamp,
            from: &from,
            to: &to,
            charsets: (&here, &beyond),
            unread: Mutex::default(),
        };
        let notes = rewriting.notes(&self.objects).await?;
        if let Some(note) = notes.first() {
            if !matches!(self.request.what, What::Study(_)) {
                return Err(Refusal::RejectionNote { instance: note.shown.to_string() }.into());
            }
            self.objects.retain(|object| notes.iter().all(|note| note.id != object.id));
            if self.objects.is_empty() {
                return Err(Refusal::Empty { study: from.clone() }.into());
            }
        }
        let mut staying = self.others_in(&self.source).await?;
        staying.retain(|object| notes.iter().all(|note| note.id != object.id));
        let along = match self.request.companions {
            true => rewriting.companions(&self.objects, &staying).await?,
            false => Vec::new(),
        };
        let going: HashSet<i64> = along.iter().map(|object| object.id).collect();
        staying.retain(|object| !going.contains(&object.id));
        self.objects.extend(along);
        let mut there = match &self.destination {
            Some(facts) => self.others_in(facts).await?,
            None => Vec::new(),
        };
        if mode == Mode::Iocm {
            let notes = rewriting.notes(&there).await?;
            there.retain(|object| notes.iter().all(|note| note.id != object.id));
        }
        let moving = look::of_objects(catalog, outlet, &self.objects, &here).await?;
        let target = match &self.destination {
            Some(facts) => look::of_study(catalog, outlet, facts, &beyond).await?,
            // A study of its own is that of the same patient, with the same order.
            None => Side { source: look::Known::Shown, ..moving.clone() },
        };
        let (theirs, ours) = (PatientSheet::of(&target.header), PatientSheet::of(&moving.header));
        let survey = survey::of(catalog, outlet, &self.objects, &here).await?;
        let strangers = survey.strangers(&self.objects, &theirs);
        let (same_patient, others) = (strangers.is_empty(), strangers.len() as u64);
        let order = only_order(&target.headers).cloned();
        let amended = Target {
            study: &self.to,
            header: &target.header,
            order: order.as_ref(),
            same_patient: strangers.len() < self.objects.len(),
        };
        let mut amendment = amended.amendment(&stamp);
        let heads = (head(&moving.header), head(&target.header));
        let heads = Heads { source: &heads.0, destination: &heads.1 };
        let mut rewritten = rewriting.rewrite(&self.objects, &staying, &there, heads, &self.reason()).await?;
        for (old, new) in &rewritten.renamed {
            amendment.uids.insert(UidKind::Instance, (**old).clone(), (**new).clone());
        }
        if amended.same_patient {
            for id in strangers {
                amended.estrange(rewritten.patches.entry(id).or_default(), &stamp);
            }
        }
        let mut unread = rewriting.unread.into_inner().unwrap_or_else(PoisonError::into_inner);
        unread.retain(|uid| self.objects.iter().all(|object| object.shown != *uid));
        if let Some(first) = unread.first() {
            rewritten.warnings.push(Warning::UnreadReferences { objects: unread.len(), first: first.to_string() });
        }
        let age = amended.age();
        // Who has a version that is replaced has to be told too, where anybody is told.
        let outdated: HashSet<i64> = rewritten.replaced.iter().filter(|_| mode == Mode::Iocm).copied().collect();
        let replaced: Vec<_> = staying.iter().chain(&there).filter(|object| outdated.contains(&object.id)).collect();
        let copies = self.copies(&replaced).await?;
        let mut plan = Plan {
            kind: self.request.kind(),
            mode,
            why: self.request.why.clone(),
            source: sheets::of(&self.source, ours),
            destination: self.destination_sheet(theirs, &target.header).await?,
            same_patient,
            patient_differences: differences(&moving.header, &target.header),
            study_differences: differing(attributes::STUDY, &moving.header, &target.header),
            series: self.series(&rewritten.series),
            objects: self.objects.len() as u64,
            signed: survey.signed.clone(),
            linked_files: self.objects.iter().filter(|object| object.linked).count() as u64,
            references: rewritten.references,
            measurements: rewritten.measurements,
            warnings: rewritten.warnings,
            refusals: Vec::new(),
            request: self.request.clone(),
            work: Work {
                name: self.name.clone(),
                objects: self.objects.clone(),
                stamps: self.stamps(),
                describes: self.destination.is_none().then(|| Box::new(look::header_of(&moving.header))),
                amendment,
                order_is_known: order.is_some(),
                new_uids: rewritten.uids,
                new_series: rewritten.series,
                patches: rewritten.patches,
                drafts: rewritten.drafts,
                hidden: self.findings.all().chain(rewritten.replaced).collect(),
                rescan: Vec::new(),
            },
        };
        plan.source.copies = copies;
        let Findings { source: here, destination: there } = &self.findings;
        (plan.source.findings, plan.destination.findings) = (here.len() as u64, there.len() as u64);
        plan.source.objects_after = plan.source.objects.saturating_sub(plan.objects + plan.source.findings);
        plan.destination.objects_after =
            plan.destination.objects.saturating_sub(plan.destination.findings) + plan.objects;
        if !self.findings.is_empty() {
            let left = Some(&self.source.uid).filter(|_| plan.source.objects_after > 0);
            plan.work.rescan = left.into_iter().chain([&self.to]).cloned().collect();
        }
        if !going.is_empty() {
            plan.warnings.push(Warning::Companions { objects: going.len() });
        }
        self.warn(&mut plan, &survey, &target, age, others).await?;
        self.refuse(&mut plan);
        Ok(plan)
    }

    fn stamp(&self) -> Stamp {
        let config = &self.content.config;
        let kind = match self.request.kind() {
            Kind::Reallocate => "Moved to another study",
            Kind::Merge => "Merged into another study",
            Kind::Split => "Moved to a study of its own",
        };
        Stamp {
            system: config.node.ae_title.as_str().to_owned(),
            description: kind.to_owned(),
            at: jiff::Timestamp::now().as_millisecond(),
            default_charset: terms_of(config, &self.source.sources),
        }
    }

    fn stamps(&self) -> Vec<crate::catalog::Stamp> {
        let destination = self.destination.iter().map(|facts| facts.stamp.clone());
        std::iter::once(self.source.stamp.clone()).chain(destination).collect()
    }

    /// What a study shows beside findings and what is moved.
    async fn others_in(&self, facts: &StudyFacts) -> Result<Vec<ObjectFacts>, ContentError> {
        let selection = Selection { studies: vec![facts.uid.clone()], ..Selection::default() };
        let mut objects = look::objects(&self.content.catalog, &selection, MOST_OBJECTS).await?;
        let apart: HashSet<i64> = self.objects.iter().map(|object| object.id).chain(self.findings.all()).collect();
        objects.retain(|object| !apart.contains(&object.id));
        Ok(objects)
    }

    /// Why, as a rejection note tells it.
    fn reason(&self) -> String {
        let Why { code, text } = &self.request.why;
        if text.is_empty() { code.clone() } else { text.clone() }
    }
}

/// What an object says of its patient and its study, and nothing else.
fn head(header: &Tree) -> Tree {
    let mut head = Tree::new();
    for &tag in attributes::PATIENT.iter().chain(attributes::STUDY) {
        if let Some(node) = header.get(tag) {
            head.put(tag, node.clone());
        }
    }
    head
}
