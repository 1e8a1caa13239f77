//! What became of each object, as DICOM JSON or in XML (PS3.18 annex I), and of all together, as a status.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::catalog::Recorded;
use crate::dataset::json_attribute;
use crate::dicom::{Category, Identity, Status, Tag, tags};
use crate::dicomweb::address::resource;
use crate::dicomweb::answer::Problem;
use crate::dicomweb::told::Told;
use crate::intake::{IntakeError, Stored};
use crate::scp::answer_of;

/// What became of an object.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) class: String,
    pub(super) instance: String,
    pub(super) status: Status,
    /// Study and series, where it can be had there.
    pub(super) place: Option<(String, String)>,
}

/// What became of all of them.
#[derive(Debug, Default)]
pub(super) struct Report {
    outcomes: Vec<Outcome>,
    no_objects: usize,
}

impl Outcome {
    pub(super) fn new(class: String, instance: String) -> Outcome {
        Outcome { class, instance, status: Status::CANNOT_UNDERSTAND, place: None }
    }

    /// What the intake said.
    pub(super) fn settle(&mut self, stored: &Result<Stored, IntakeError>) {
        self.status = match stored {
            // Kept, and to be had by nobody until somebody looks at it: that is no plain success.
            Ok(Stored::Recorded(Recorded::Quarantined(_))) => Status::MISMATCH_STORED,
            stored => answer_of(stored).0,
        };
    }

    /// What its data set says it is.
    pub(super) fn identify(&mut self, identity: &Identity) {
        self.class = identity.class.as_str().to_owned();
        self.instance = identity.instance.as_str().to_owned();
        self.place = Some((identity.study.as_str().to_owned(), identity.series.as_str().to_owned()));
    }

    fn is_stored(&self) -> bool {
        matches!(self.status.category(), Category::Success | Category::Warning)
    }
}

impl Report {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// A part was no object at all.
    pub(super) fn no_object(&mut self) {
        self.no_objects += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.outcomes.len() + self.no_objects
    }

    pub(super) fn stored(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_stored()).count()
    }

    /// The answer to the request.
    pub(super) fn answer(&self, base: &str, told: &Told) -> Result<Response, Problem> {
        if self.len() == 0 {
            return Err(Problem::bad("the request has no parts"));
        }
        let busy = self.outcomes.iter().all(|outcome| outcome.status == Status::OUT_OF_RESOURCES);
        let status = match self.stored() {
            0 if busy && self.no_objects == 0 => StatusCode::SERVICE_UNAVAILABLE,
            0 => StatusCode::CONFLICT,
            _ if self.outcomes.iter().all(|outcome| outcome.status == Status::SUCCESS) && self.no_objects == 0 => {
                StatusCode::OK
            }
            _ => StatusCode::ACCEPTED,
        };
        let body = told.document(self.json(base))?;
        Ok((status, [(header::CONTENT_TYPE, told.form())], body).into_response())
    }

    fn json(&self, base: &str) -> String {
        let mut out = String::from("{");
        let mut studies = self.outcomes.iter().filter_map(|outcome| outcome.place.as_ref().map(|(study, _)| study));
        if let Some(first) = studies.next()
            && studies.all(|study| study == first)
        {
            json_attribute(&mut out, tags::RETRIEVE_URL, *b"UR", &resource(base, first, None, None));
        }
        let (good, bad): (Vec<_>, Vec<_>) = self.outcomes.iter().partition(|outcome| outcome.is_stored());
        sequence(&mut out, tags::FAILED_SOP_SEQUENCE, &bad, |out, outcome| {
            out.push(',');
            json_attribute(out, tags::FAILURE_REASON, *b"US", &outcome.status.0.to_string());
        });
        sequence(&mut out, tags::REFERENCED_SOP_SEQUENCE, &good, |out, outcome| {
            if let Some((study, series)) = &outcome.place {
                out.push(',');
                let address = resource(base, study, Some(series), Some(&outcome.instance));
                json_attribute(out, tags::RETRIEVE_URL, *b"UR", &address);
            }
            if outcome.status != Status::SUCCESS {
                out.push(',');
                json_attribute(out, tags::WARNING_REASON, *b"US", &outcome.status.0.to_string());
            }
        });
        if self.no_objects > 0 {
            let reason = Status::CANNOT_UNDERSTAND.0.to_string();
            list(&mut out, tags::OTHER_FAILURES_SEQUENCE, self.no_objects, |out, _| {
                json_attribute(out, tags::FAILURE_REASON, *b"US", &reason);
            });
        }
        out.push('}');
        out
    }
}

fn sequence(out: &mut String, tag: Tag, outcomes: &[&Outcome], more: impl Fn(&mut String, &Outcome)) {
    if outcomes.is_empty() {
        return;
    }
    list(out, tag, outcomes.len(), |out, at| {
        let Some(outcome) = outcomes.get(at) else { return };
        json_attribute(out, tags::REFERENCED_SOP_CLASS_UID, *b"UI", &outcome.class);
        out.push(',');
        json_attribute(out, tags::REFERENCED_SOP_INSTANCE_UID, *b"UI", &outcome.instance);
        more(out, outcome);
    });
}

fn list(out: &mut String, tag: Tag, items: usize, item: impl Fn(&mut String, usize)) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(&format!("\"{:04X}{:04X}\":{{\"vr\":\"SQ\",\"Value\":[", tag.group(), tag.element()));
    for at in 0..items {
        out.push_str(if at == 0 { "{" } else { ",{" });
        item(out, at);
        out.push('}');
    }
    out.push_str("]}");
}
