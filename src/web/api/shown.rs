//! The page that shows the operations of `/api/v1` to people.

use askama::Template;
use axum::response::Response;

use super::{Field, Kind, Operation, document, operations};
use crate::web::answer::{Frame, page as shown};
use crate::web::guard::Signed;

/// Part of a text, and whether it stands between backticks.
struct Piece {
    text: &'static str,
    code: bool,
}

fn pieces(text: &'static str) -> Vec<Piece> {
    text.split('`').zip([false, true].into_iter().cycle()).map(|(text, code)| Piece { text, code }).collect()
}

/// A field as it is shown.
struct Row {
    name: &'static str,
    kind: String,
    about: Vec<Piece>,
    required: bool,
}

/// An operation as it is shown.
struct Told {
    method: String,
    path: &'static str,
    about: Vec<Piece>,
    needs: String,
    fields: Vec<Row>,
    in_body: bool,
    status: u16,
}

/// What belongs together.
struct Subject {
    name: &'static str,
    operations: Vec<Told>,
}

#[derive(Template)]
#[template(path = "api.html", config = "src/web/templates/askama.toml")]
struct ApiPage {
    frame: Frame,
    subjects: Vec<Subject>,
}

pub(in crate::web) async fn page(signed: Signed) -> Response {
    let of = |name: &'static str| Subject {
        name,
        operations: operations().into_iter().filter(|one| one.subject == name).map(|one| told(&one)).collect(),
    };
    shown(&ApiPage { frame: Frame::of(&signed, "api"), subjects: document::subjects().into_iter().map(of).collect() })
}

fn told(operation: &Operation) -> Told {
    Told {
        method: operation.method.to_uppercase(),
        path: operation.path,
        about: pieces(operation.about),
        needs: operation.needs.map_or(String::new(), |privilege| privilege.to_string()),
        in_body: !operation.body.is_empty(),
        fields: operation.query.iter().chain(&operation.body).map(row).collect(),
        status: operation.status,
    }
}

fn row(field: &Field) -> Row {
    let kind = match field.kind {
        Kind::Text => "text".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Day => "2024-01-31".to_owned(),
        Kind::Word(words) => words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", "),
    };
    Row { name: field.name, kind, about: pieces(field.about), required: field.required }
}
