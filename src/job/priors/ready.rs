//! How ready the studies of those who are expected are, in words and for scripts.

use serde_json::{Value, json};

use crate::catalog::{Catalog, CatalogError, Preparation, Readiness, ReadyPatient};
use crate::job::control::{RECEIVER_LEASE, WORKER_LEASE, is_held};
use crate::job::report::{escape, timestamp};

/// A preparation as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// How it was asked for.
    pub preparation: Preparation,
    /// How far it is.
    pub readiness: Readiness,
    /// What keeps the rest from coming, each in a sentence.
    pub hindrances: Vec<String>,
}

impl Ready {
    /// The latest one; `None` when there has been none yet.
    pub async fn latest(catalog: &Catalog) -> Result<Option<Ready>, CatalogError> {
        match catalog.last_preparation().await? {
            Some(preparation) => Ok(Some(Ready::of(catalog, preparation).await?)),
            None => Ok(None),
        }
    }

    /// How one stands.
    pub async fn of(catalog: &Catalog, preparation: Preparation) -> Result<Ready, CatalogError> {
        let readiness = catalog.readiness(&preparation).await?;
        let mut hindrances = Vec::new();
        if !readiness.is_ready() {
            for (job, state, studies) in catalog.resting_with_priors().await? {
                hindrances.push(format!("job {job} is {}, and has {studies} of them", state.as_text()));
            }
            if !is_held(catalog, WORKER_LEASE).await? && !is_held(catalog, RECEIVER_LEASE).await? {
                hindrances.push("no worker is running".to_owned());
            }
        }
        for job in catalog.jobs().await? {
            if !job.enumerated && !job.state.is_over() {
                hindrances.push(format!("job {} is still listing: there may be more than is known", job.id));
            }
        }
        Ok(Ready { preparation, readiness, hindrances })
    }

    /// In a line: `312 of 325 priors filed`.
    pub fn line(&self) -> String {
        let Readiness { patients, unknown, studies, filed } = self.readiness;
        let count = escape::thousands;
        let unknown = match unknown {
            0 => String::new(),
            n => format!("; of {} nothing is known", count(n)),
        };
        format!("{} of {} priors filed, for {} patients{unknown}", count(filed), count(studies), count(patients))
    }

    /// For scripts, but for the patients.
    pub fn json(&self) -> Value {
        let mut value = json_of(&self.preparation);
        let Readiness { patients, unknown, studies, filed } = self.readiness;
        if let Value::Object(fields) = &mut value {
            fields.insert("ready".into(), self.readiness.is_ready().into());
            fields.insert("patients".into(), patients.into());
            fields.insert("patients_unknown".into(), unknown.into());
            fields.insert("priors".into(), studies.into());
            fields.insert("filed".into(), filed.into());
            fields.insert("hindrances".into(), self.hindrances.clone().into());
        }
        value
    }
}

/// A preparation for scripts.
pub fn json_of(preparation: &Preparation) -> Value {
    let Preparation { id, at, asker, schedule, named_by, since, lifted, failure } = preparation;
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    json!({
        "id": id, "at": timestamp(*at), "asker": asker, "schedule": some(schedule), "named_by": named_by,
        "since": some(since), "lifted": lifted, "failure": failure,
    })
}

/// A patient of it for scripts.
pub fn json_of_patient(ReadyPatient { patient, studies, filed, .. }: &ReadyPatient) -> Value {
    json!({ "patient_id": patient.id, "issuer": patient.issuer, "priors": studies, "filed": filed })
}
