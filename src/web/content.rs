//! The Content Manager: a plan with both patients side by side, and its commitment. What may be done is decided by the
//! engine, which the commands ask too.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::ask::Ask;
use super::guard::{Posted, Signed, Viewer};
use super::study;
use super::texts::{name, shown};
use crate::config::Privilege;
use crate::content::{Content, ContentError, Done, Plan, Refusal};

/// What a refusal says, and what to do about it.
struct Against {
    message: String,
    remedy: &'static str,
}

/// An attribute of both sides.
struct Pair {
    name: String,
    source: String,
    destination: String,
    differs: bool,
}

#[derive(Template)]
#[template(path = "plan.html", config = "src/web/templates/askama.toml")]
struct PlanPage<'a> {
    frame: Frame,
    plan: &'a Plan,
    kind: &'static str,
    source_address: String,
    destination_address: String,
    source_date: String,
    destination_date: String,
    sheet: String,
    fields: Vec<(&'static str, &'a str)>,
    patient: Vec<Pair>,
    others: Vec<Pair>,
    warnings: Vec<String>,
    refusals: Vec<Against>,
    ask: &'a Ask,
    may: bool,
    asks_patient: bool,
    asks_documents: bool,
    may_force: bool,
    trouble: Option<&'static str>,
}

pub(super) fn engine(web: &Web) -> Content {
    Content {
        catalog: web.catalog.clone(),
        store: web.store.clone(),
        intake: web.intake.clone(),
        outlet: web.outlet.clone(),
        audit: web.audit.clone(),
        config: web.config.borrow().clone(),
    }
}

impl From<ContentError> for Refused {
    fn from(error: ContentError) -> Refused {
        match error {
            ContentError::Refused(refusals) => {
                let remedy = refusals.first().map_or("", |refusal| refusal.remedy());
                let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                Refused::new(status(&refusals), all.join("; "), remedy)
            }
            ContentError::Catalog(error) => error.into(),
            other => {
                let remedy = "`pacsferry verify --all --files` looks for what is damaged";
                Refused::new(StatusCode::INTERNAL_SERVER_ERROR, crate::job::words(&other), remedy)
            }
        }
    }
}

/// What somebody may not do is said first; then what is not here, what could never be done, and what cannot be now.
fn status(refusals: &[Refusal]) -> StatusCode {
    let of = |refusal: &Refusal| match refusal {
        Refusal::Privilege { .. } => StatusCode::FORBIDDEN,
        Refusal::Unknown { .. } | Refusal::NoSuchOperation(_) | Refusal::NoSuchQuarantined(_) => StatusCode::NOT_FOUND,
        Refusal::SeveralStudies { .. }
        | Refusal::TooMany { .. }
        | Refusal::SameStudy { .. }
        | Refusal::NewStudy { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::CONFLICT,
    };
    let found: Vec<StatusCode> = refusals.iter().map(of).collect();
    let order = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST];
    order.into_iter().find(|status| found.contains(status)).unwrap_or(StatusCode::CONFLICT)
}

pub(super) async fn plan(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = query.unwrap_or_default();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let ask = Ask::of_pairs(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    show(&web, &signed, &ask, None).await
}

/// A choice that is too long for an address.
pub(super) async fn plan_posted(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let ask = Ask::of_pairs(form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    show(&web, &signed, &ask, None).await
}

async fn show(web: &Web, signed: &Signed, ask: &Ask, trouble: Option<&'static str>) -> Result<Response, Refused> {
    // What has to be confirmed is asked below the plan, and is no reason against it here. It is a plan of its own.
    let mut request = ask.request()?;
    request.seen = None;
    (request.patient_confirmed, request.documents_confirmed) = (true, true);
    let plan = engine(web).plan(&request, &signed.operator).await?;
    let (source, destination) = (&plan.source.patient, &plan.destination.patient);
    let pair = |title: &str, one: &str, two: &str| Pair {
        name: title.to_owned(),
        source: one.to_owned(),
        destination: two.to_owned(),
        differs: one != two,
    };
    let day = |text: &str| shown("StudyDate", text);
    let patient = vec![
        pair("Name", &name(&source.name), &name(&destination.name)),
        pair("Patient ID", &source.id, &destination.id),
        pair("Issuer", &source.issuer, &destination.issuer),
        pair("Birth date", &day(&source.birth_date), &day(&destination.birth_date)),
        pair("Sex", &source.sex, &destination.sex),
    ];
    let differences = plan.patient_differences.iter().chain(&plan.study_differences);
    let others = differences.map(|difference| Pair {
        name: difference.name.clone(),
        source: difference.source.clone().unwrap_or_default(),
        destination: difference.destination.clone().unwrap_or_default(),
        differs: true,
    });
    let status = if trouble.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let shown = page(&PlanPage {
        kind: plan.kind.as_str(),
        source_address: study::address(&plan.source.uid),
        destination_address: study::address(&plan.destination.uid),
        source_date: shown("StudyDate", &plan.source.date),
        destination_date: shown("StudyDate", &plan.destination.date),
        sheet: plan.seal(),
        fields: ask.fields(),
        patient,
        others: others.collect(),
        warnings: plan.warnings.iter().map(|warning| warning.message()).collect(),
        refusals: plan
            .refusals
            .iter()
            .map(|refusal| Against { message: refusal.to_string(), remedy: refusal.remedy() })
            .collect(),
        ask,
        may: plan.may_be_done(),
        asks_patient: !plan.same_patient,
        asks_documents: plan
            .references
            .iter()
            .any(|reference| reference.verified && (reference.replaced || reference.moves)),
        may_force: signed.operator.may(Privilege::ForceLocal) && !plan.source.copies.is_empty(),
        trouble,
        frame: Frame::of(signed, "split"),
        plan: &plan,
    });
    Ok((status, shown).into_response())
}

pub(super) async fn plan_json(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<Ask>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let plan = engine(&web).plan(&form.request()?, &signed.operator).await?;
    let refusals =
        plan.refusals.iter().map(|r| json!({ "code": r.code(), "message": r.to_string(), "remedy": r.remedy() }));
    let warnings = plan.warnings.iter().map(|w| json!({ "code": w.code(), "message": w.message() }));
    let said = json!({
        "may_be_done": plan.may_be_done(), "refusals": refusals.collect::<Value>(),
        "warnings": warnings.collect::<Value>(), "sheet": plan.seal(), "plan": plan,
    });
    Ok(document(said))
}

pub(super) async fn commit(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let ask = Ask::of_pairs(form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    match perform(&web, &signed, &ask).await {
        Ok(done) => Ok(Redirect::to(&format!("/corrections?done={}", done.operation)).into_response()),
        Err(Trouble::Refused(refused)) => Err(refused),
        Err(Trouble::Engine(ContentError::Refused(refusals))) if refusals.iter().any(is_stale) => {
            show(&web, &signed, &ask, Some("One of the studies has changed since you looked: here is how it is now."))
                .await
        }
        Err(Trouble::Engine(error)) => Err(error.into()),
    }
}

pub(super) async fn commit_json(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<Ask>,
) -> Result<Response, Refused> {
    let done = perform(&web, &signed, &form).await.map_err(|trouble| match trouble {
        Trouble::Refused(refused) => refused,
        Trouble::Engine(error) => error.into(),
    })?;
    Ok((StatusCode::CREATED, document(json!(done))).into_response())
}

/// Why nothing was done.
enum Trouble {
    /// It was not asked of the engine.
    Refused(Refused),
    /// The engine says why.
    Engine(ContentError),
}

/// Whether the plan that was confirmed does not hold any more.
fn is_stale(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Changed { .. })
}

/// Does what was asked for. Whoever goes away meanwhile has asked for all of it.
async fn perform(web: &Web, signed: &Signed, ask: &Ask) -> Result<Done, Trouble> {
    signed.must(Privilege::View).map_err(Trouble::Refused)?;
    let (content, who, request) = (engine(web), signed.operator.clone(), ask.request().map_err(Trouble::Refused)?);
    let work = async move { content.perform(&request, &who).await };
    let done = tokio::spawn(work).await.map_err(|error| {
        let remedy = "look at the list of corrections";
        Trouble::Refused(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), remedy))
    })?;
    done.map(|(_, done)| done).map_err(Trouble::Engine)
}
