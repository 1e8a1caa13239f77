//! `corrections show`: one operation, its objects, and what has happened since.

use serde_json::{Value, json};

use super::corrections::{document, text};
use super::output::{self, table};
use super::{Exit, Failure, Global};
use crate::catalog::{Catalog, CorrectedInstance, CorrectionState};
use crate::content::{Refusal, Warning};
use crate::job::report::escape;

/// Objects that are read at a time.
const PAGE: usize = 5000;
/// Objects that are printed; `--json` has all.
const SHOWN: usize = 50;

pub(super) async fn show(global: &Global, catalog: &Catalog, number: i64) -> Result<Exit, Failure> {
    let found = catalog.correction(number).await?.filter(|one| one.state != CorrectionState::Staged);
    let one = found.ok_or_else(|| Failure::from(vec![Refusal::NoSuchOperation(number)]))?;
    let nodes = catalog.nodes_with_corrected(number).await?;
    let late = catalog.latecomers(number).await?;
    let (mut objects, mut after) = (Vec::new(), i64::MIN);
    loop {
        let page = catalog.corrected_instances(number, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        objects.extend(page);
        if !global.json && objects.len() > SHOWN {
            break;
        }
    }
    if global.json {
        let mut told = document(&one);
        if let Some(fields) = told.as_object_mut() {
            fields.insert("instances".into(), objects.iter().map(object).collect());
            fields.insert("nodes_with_corrected_objects".into(), json!(nodes));
            fields.insert("came_later".into(), late.iter().map(|late| json!({
                "series_uid": late.series.as_str(), "destination": late.destination.as_str(), "objects": late.objects,
                "hint": Warning::from(late.clone()).message(),
            })).collect());
        }
        output::json(&told)?;
        return Ok(Exit::Done);
    }
    output::print(|out| {
        text(&one, out)?;
        let row = |of: &CorrectedInstance| {
            let new = if of.new == of.old { "unchanged".to_owned() } else { of.new.to_string() };
            vec![of.role.word().to_owned(), of.old.to_string(), new, of.to.1.to_string()]
        };
        let rows: Vec<Vec<String>> = objects.iter().take(SHOWN).map(row).collect();
        table(out, &["what", "object", "shown as", "in series"], &rows)?;
        if objects.len() > SHOWN {
            writeln!(out, "... and more, see --json")?;
        }
        for node in &nodes {
            writeln!(out, "note: {} got corrected objects", escape::terminal(node))?;
        }
        for late in late {
            writeln!(out, "note: {}", escape::terminal(&Warning::from(late).message()))?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn object(of: &CorrectedInstance) -> Value {
    json!({
        "role": of.role.word(), "filed": of.filed.as_str(), "old": of.old.as_str(), "new": of.new.as_str(),
        "from": { "study_uid": of.from.0.as_str(), "series_uid": of.from.1.as_str() },
        "to": { "study_uid": of.to.0.as_str(), "series_uid": of.to.1.as_str() },
    })
}
