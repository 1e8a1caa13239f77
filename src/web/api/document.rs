//! The OpenAPI document (version 3.1) of `/api/v1`.

use std::collections::HashSet;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{Field, Kind, Operation, operations};
use crate::web::answer::document;

/// What every operation may answer instead: status, name of the answer, what it means.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("400", "Malformed", "What was sent cannot be understood."),
    ("401", "Unknown", "Nobody is signed in: the token is missing, or not valid any more."),
    ("403", "Forbidden", "The account has not the privilege, or the request comes from a page of another site."),
    ("404", "Missing", "It is not here."),
    ("409", "Conflict", "It cannot be done as things are now."),
    ("413", "TooLarge", "The body is larger than 256 KiB."),
    ("415", "WrongKind", "The body is neither JSON nor a form."),
    ("421", "WrongHost", "The request was sent to a name that is not one of `[web] names`."),
    ("429", "TooMany", "There were too many; `Retry-After` says how long to wait."),
    ("503", "Unavailable", "The catalog does not answer."),
];

pub(in crate::web) async fn serve() -> Response {
    document(whole())
}

fn whole() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(operation.method.to_owned(), described(&operation));
        }
    }
    let problem = json!({ "application/problem+json": { "schema": named("Problem") } });
    let refusals = REFUSALS
        .iter()
        .map(|(_, name, about)| ((*name).to_owned(), json!({ "description": about, "content": problem })));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pacsferry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the console does, for programs. `pacsferry guide api` has examples.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [], "csrf": [] }],
        "tags": subjects().into_iter().map(|name| json!({ "name": name })).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": refusals.collect::<Map<_, _>>(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "of `pacsferry user token`, or of the accounts page" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::web::guard::COOKIE, "description": "of a browser" },
                "csrf": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "beside the cookie, for everything but GET" },
            },
        },
    })
}

/// The subjects, in the order in which they are described.
pub(super) fn subjects() -> Vec<&'static str> {
    let mut known = HashSet::new();
    operations().iter().map(|operation| operation.subject).filter(|subject| known.insert(*subject)).collect()
}

fn described(operation: &Operation) -> Value {
    let in_path = operation.parameters().map(|name| {
        let kind = if matches!(name, "id" | "number") { Kind::Number } else { Kind::Text };
        json!({ "name": name, "in": "path", "required": true, "schema": of_kind(kind) })
    });
    let in_query = operation.query.iter().map(|field| {
        json!({
            "name": field.name, "in": "query", "required": field.required, "description": field.about,
            "schema": of_kind(field.kind),
        })
    });
    let mut responses: Map<String, Value> = REFUSALS
        .iter()
        .map(|(status, name, _)| ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{name}") })))
        .collect();
    let mut done = json!({ "description": "Done." });
    if !operation.schema.is_empty()
        && let Value::Object(done) = &mut done
    {
        done.insert("content".into(), json!({ "application/json": { "schema": named(operation.schema) } }));
    }
    responses.insert(operation.status.to_string(), done);
    let name = operation.path.trim_start_matches("/api/v1/").replace(['{', '}'], "").replace(['/', '.', '-'], "_");
    let needs = operation.needs.map_or("Takes no privilege.".to_owned(), |p| format!("Takes the privilege `{p}`."));
    let mut told = json!({
        "operationId": format!("{}_{name}", operation.method),
        "tags": [operation.subject],
        "summary": operation.about,
        "description": needs,
        "parameters": in_path.chain(in_query).collect::<Value>(),
        "responses": responses,
    });
    if !operation.body.is_empty()
        && let Value::Object(told) = &mut told
    {
        let content = json!({ "application/json": { "schema": object(&operation.body) } });
        let required = operation.body.iter().any(|field| field.required);
        told.insert("requestBody".into(), json!({ "required": required, "content": content }));
    }
    told
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = of_kind(field.kind);
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".into(), json!(field.about));
            }
            (field.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Number => json!({ "type": "integer" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Day => json!({ "type": "string", "examples": ["2024-01-31"] }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
    }
}

fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// What is answered, by name. Fields may be added to answers at any time.
fn schemas() -> Value {
    let mut all = most_schemas();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, schemas_of_priors()) {
        all.extend(more);
    }
    all
}

fn schemas_of_priors() -> Value {
    let [text, maybe, number] =
        [json!("string"), json!(["string", "null"]), json!("integer")].map(|kind| json!({ "type": kind }));
    let objects = json!({ "type": "array", "items": { "type": "object" } });
    let texts = json!({ "type": "array", "items": text });
    json!({
        "Priors": { "type": "object", "properties": {
            "latest": { "type": ["object", "null"], "description": "a `Prepared` as it stands now" },
            "per_patient": objects, "preparations": objects, "next": { "type": ["integer", "null"] },
        } },
        "Prepared": { "type": "object", "properties": {
            "id": number, "at": text, "asker": text, "schedule": maybe, "named_by": text, "since": maybe,
            "lifted": number, "failure": maybe, "ready": { "type": "boolean" }, "patients": number,
            "patients_unknown": number, "priors": number, "filed": number, "hindrances": texts, "bad_lines": objects,
        } },
    })
}

fn most_schemas() -> Value {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    let number = || json!({ "type": "integer" });
    let of = |properties: Value| json!({ "type": "object", "properties": properties });
    let all = |schema: &str| json!({ "type": "array", "items": named(schema) });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let flag = || json!({ "type": "boolean" });
    let counts = || json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let attributes = |about: &str| json!({ "type": "object", "additionalProperties": { "type": ["string", "array"] }, "description": about });
    let correction = json!({
        "operation": number(), "kind": text(), "mode": text(), "state": text(), "at": text(), "operator": text(),
        "reason": text(), "reason_text": text(), "source": text(), "destination": text(), "moved": number(),
        "hidden": number(), "written": number(), "undone": maybe(), "undone_by": text(),
    });
    let asked = "with `sheet` (what was planned) and `outbox` (whom it was told to) where one is asked for";
    json!({
        "Problem": of(json!({
            "status": number(), "title": text(),
            "detail": { "type": "string", "description": "what is the matter, for people" },
            "remedy": { "type": "string", "description": "what to do about it; may be empty" },
        })),
        "Jobs": all("Job"),
        "Job": of(json!({
            "job": number(), "kind": text(), "source": maybe(), "state": text(), "message": maybe(), "created": text(),
            "started": maybe(), "ended": maybe(), "enumerated": flag(), "items": counts(), "objects": counts(),
            "bytes": number(), "rate_bytes_per_second": number(), "eta_seconds": { "type": ["integer", "null"] },
            "not_listed": { "type": "integer", "description": "how often the source would not say what it holds" },
            "bytes_needed": { "type": ["integer", "null"], "description": "what is listed and not filed yet, by estimate" },
            "line": { "type": "string", "description": "what is being done, for people; of one job only" },
            "notice": { "type": "string", "description": "what has to be known of it, for people; of one job only" },
        })),
        "JobStudies": of(json!({ "studies": { "type": "array", "items": { "type": "object" } }, "next": maybe() })),
        "JobFolders": of(json!({ "folders": { "type": "array", "items": { "type": "object" } }, "next": maybe() })),
        "Days": of(json!({
            "months": { "type": "array", "items": { "type": "object" } },
            "days": { "type": "array", "items": { "type": "object" } },
        })),
        "Pace": of(json!({ "seconds": number(), "pace": { "type": "array", "items": { "type": "object" } } })),
        "Nodes": of(json!({
            "receiver": { "type": "object" }, "node": { "type": "object" },
            "sources": { "type": "array", "items": { "type": "object" } },
            "peers": { "type": "array", "items": { "type": "object" } },
        })),
        "Tested": of(json!({
            "ok": flag(), "good": texts(), "findings": { "type": "array", "items": { "type": "object" } },
            "echo": { "type": ["object", "null"] }, "register": { "type": ["object", "null"] },
        })),
        "Reasons": { "type": "object" },
        "Paused": of(json!({ "paused": { "type": "array", "items": { "type": "integer" } } })),
        "Started": of(json!({ "job": number() })),
        "Folders": of(json!({
            "path": maybe(), "above": maybe(), "folders": texts(), "files": number(), "more": flag(),
        })),
        "Studies": of(json!({ "studies": all("Listed"), "patients": all("Attributes"), "after": maybe() })),
        "Attributes": attributes("values by the keyword of their attribute"),
        "Listed": { "type": "object", "description": "values by the keyword of their attribute, and how the study stands",
            "properties": { "quarantined": number(), "rejected": flag(), "corrected": flag(), "shown": flag(),
                "sources": texts(), "locked": of(json!({ "by": text(), "since": text(), "reason": text() })) } },
        "Study": attributes("values by the keyword of their attribute; `series` is a list of such objects"),
        "StudyActed": of(json!({ "study": text(), "locked_by": maybe(), "since": maybe(), "outbox": number() })),
        "Objects": of(json!({ "objects": all("Attributes"), "after": maybe() })),
        "Quarantine": of(json!({ "objects": all("Quarantined"), "after": { "type": ["integer", "null"] } })),
        "Quarantined": of(json!({
            "number": number(), "sop_instance_uid": text(), "series_uid": text(), "study_uid": text(),
            "reason": text(), "place": text(), "data_set_bytes": number(), "digest": text(), "at": text(),
        })),
        "Reason": of(json!({ "code": text(), "message": text(), "remedy": text() })),
        "Plan": of(json!({
            "may_be_done": flag(), "refusals": all("Reason"), "warnings": all("Reason"),
            "sheet": { "type": "string", "description": "names this plan" },
            "plan": { "type": "object", "description": "as `pacsferry reallocate --dry-run --json`" },
        })),
        "Corrections": of(json!({ "corrections": all("Correction"), "before": { "type": ["integer", "null"] } })),
        "Correction": { "type": "object", "description": asked, "properties": correction },
        "Done": of(json!({ "operation": number() })),
        "Undone": of(json!({ "operation": number() })),
        "Accounts": of(json!({ "accounts": all("Account") })),
        "Account": of(json!({
            "name": text(), "roles": texts(), "privileges": texts(), "disabled": flag(), "must_change": flag(),
            "password_until": text(),
            "provider": maybe(), "created": text(), "signed_in": maybe(), "sessions": number(), "tokens": all("Token"),
        })),
        "Token": of(json!({ "id": number(), "for": text(), "created": text(), "used": text() })),
        "NewToken": of(json!({ "id": number(), "token": { "type": "string", "description": "told once" } })),
        "NewPassword": of(json!({
            "name": text(), "password": { "type": "string", "description": "told once; good for choosing another" },
            "until": { "type": "string", "description": "when it ends" },
        })),
        "Ended": of(json!({ "ended": number() })),
        "Me": of(json!({ "name": text(), "roles": texts(), "privileges": texts() })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All references in a value.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_is_described_and_every_reference_leads_somewhere() {
        let document = whole();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        let mut names = Vec::new();
        for operation in operations() {
            let pointer = format!("/paths/{}/{}", operation.path.replace('/', "~1"), operation.method);
            let told = document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
            assert!(!operation.about.is_empty() && !operation.subject.is_empty(), "{pointer}");
            assert_eq!(operation.path.matches('{').count(), operation.parameters().count(), "{pointer}");
            names.push(told["operationId"].as_str().unwrap().to_owned());
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "two operations have one name");
        assert_eq!(document["paths"]["/api/v1/jobs/{id}"]["post"]["requestBody"]["required"], true);
    }

    #[test]
    fn no_route_of_the_api_stands_beside_the_table() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut open = vec![folder.join("web"), folder.join("web.rs")];
        let mut read = 0;
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let beside = concat!(".route(\"/api", "/");
                let allowed = concat!(".route(\"/api", "/v1/openapi.json\"");
                assert_eq!(text.matches(beside).count(), text.matches(allowed).count(), "{}", path.display());
                read += 1;
            }
        }
        assert!(read > 10);
    }
}
