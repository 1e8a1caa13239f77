//! Measurements of moved images: they go to the destination's report where it has one.

use std::collections::HashSet;

use super::measurements::{choose, is_measurement_report, split, touched};
use super::references::{Owner, repair};
use super::reports::is_report;
use super::rewrite::{Rewriting, Rewritten};
use super::{ContentError, Refusal, Warning};
use crate::catalog::ObjectFacts;
use crate::dataset::Tree;

/// The most measurement reports of one study that are looked at.
const MOST_REPORTS: usize = 200;

/// Has measurements moved; the numbers of the reports of the source that got new versions by it.
pub(super) async fn reports(
    work: &Rewriting<'_>,
    staying: &[ObjectFacts],
    there: &[ObjectFacts],
    done: &mut Rewritten,
) -> Result<HashSet<i64>, ContentError> {
    let mut renewed = HashSet::new();
    let here = of(work, staying).await?;
    if here.is_empty() {
        return Ok(renewed);
    }
    let targets = of(work, there).await?;
    let mut changed: Vec<Option<Tree>> = vec![None; targets.len()];
    let originals: Vec<Tree> = targets.iter().map(|(_, tree)| tree.clone()).collect();
    let mut sources: Vec<Vec<&Tree>> = vec![Vec::new(); targets.len()];
    let mut remaining = 0;
    for (object, report) in &here {
        let Some(target) = choose(&originals, report) else {
            remaining += touched(report, &done.moves).map_err(|error| tangled(object, &error))?.moving;
            continue;
        };
        let (Some(slot), Some(original), Some(named)) =
            (changed.get_mut(target), originals.get(target), sources.get_mut(target))
        else {
            continue;
        };
        let current = slot.as_ref().unwrap_or(original);
        let Some(parted) = split(report, current, &done.moves).map_err(|error| tangled(object, &error))? else {
            continue;
        };
        done.measurements.measurements += parted.touched.moving;
        done.measurements.moved += parted.touched.moving;
        done.measurements.derived += parted.touched.derived + parted.touched.torn;
        *slot = Some(parted.destination);
        named.push(report);
        let owner = Owner { before: work.from, after: work.from };
        let left = repaired(object, parted.source, owner, done)?;
        work.new_version(object, report, left, &[report], done);
        renewed.insert(object.id);
    }
    for (((object, original), new), named) in targets.iter().zip(changed).zip(&sources) {
        let Some(new) = new else { continue };
        let owner = Owner { before: work.to, after: work.to };
        let new = repaired(object, new, owner, done)?;
        let predecessors: Vec<&Tree> = std::iter::once(original).chain(named.iter().copied()).collect();
        work.new_version(object, original, new, &predecessors, done);
        renewed.insert(object.id);
    }
    done.measurements.reports = renewed.len();
    if remaining > 0 {
        done.measurements.measurements += remaining;
        done.warnings.push(Warning::MeasurementsStay { measurements: remaining });
    }
    Ok(renewed)
}

/// A report with its references as they have to be.
fn repaired(object: &ObjectFacts, report: Tree, owner: Owner<'_>, done: &Rewritten) -> Result<Tree, ContentError> {
    let repaired = repair(&report, owner, &done.moves).map_err(|error| tangled(object, &error))?;
    Ok(repaired.map_or(report, |repaired| repaired.tree))
}

/// The measurement reports among objects.
async fn of(work: &Rewriting<'_>, objects: &[ObjectFacts]) -> Result<Vec<(ObjectFacts, Tree)>, ContentError> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|object| is_report(&object.class)) {
        if found.len() >= MOST_REPORTS {
            return Err(Refusal::TooMany { what: "the reports of a study".into(), limit: MOST_REPORTS }.into());
        }
        let tree = work.read(object).await?;
        if is_measurement_report(&tree) {
            found.push((object.clone(), tree));
        }
    }
    Ok(found)
}

fn tangled(object: &ObjectFacts, error: &dyn std::error::Error) -> ContentError {
    Refusal::Tangled { instance: object.shown.to_string(), why: error.to_string() }.into()
}
