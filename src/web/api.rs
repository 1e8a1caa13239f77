//! `/api/v1`: one table of operations, of which the routes, the OpenAPI document and the page that shows it are made. So no
//! route can be missing in the document.
//!
//! **To add an operation** add a row to the file of its subject in `api/` (or a file, and that to [`operations`]):
//!
//! ```ignore
//! post("/api/v1/things/{id}", things::act_json)
//!     .does("Things", "Paints a thing", Some(Privilege::Operate))
//!     .takes([must("colour", Kind::Text, "as CSS has it"), may("twice", Kind::Flag, "two coats")])
//!     .answers(200, "Thing"),
//! ```
//!
//! `Thing` is a schema of `document::schemas`; a test says when there is none. Names in braces are parameters of the path:
//! `id` and `number` are numbers, the rest is text. The handler takes [`super::guard::Posted`] or [`super::guard::Signed`] and
//! answers with [`super::answer::Refused`] where it cannot; everything else that goes wrong is made one by the guard.

mod accounts;
mod corrections;
mod document;
mod jobs;
mod shown;
mod studies;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use super::Web;
use crate::config::Privilege;

pub(super) use document::serve;
pub(super) use shown::page;

/// What a field of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Number,
    Flag,
    /// A day, `2024-01-31`; may be empty.
    Day,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A field of a query or a body.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    required: bool,
}

/// One operation: where, what it does, who may, what it takes, and what it answers.
struct Operation {
    method: &'static str,
    path: &'static str,
    handler: MethodRouter<Arc<Web>>,
    subject: &'static str,
    about: &'static str,
    needs: Option<Privilege>,
    query: Vec<Field>,
    body: Vec<Field>,
    status: u16,
    schema: &'static str,
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, about, required: true }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, about, required: false }
}

fn get<H: Handler<T, Arc<Web>>, T: 'static>(path: &'static str, handler: H) -> Operation {
    Operation::new("get", path, routing::get(handler))
}

fn post<H: Handler<T, Arc<Web>>, T: 'static>(path: &'static str, handler: H) -> Operation {
    Operation::new("post", path, routing::post(handler))
}

fn delete<H: Handler<T, Arc<Web>>, T: 'static>(path: &'static str, handler: H) -> Operation {
    Operation::new("delete", path, routing::delete(handler))
}

impl Operation {
    fn new(method: &'static str, path: &'static str, handler: MethodRouter<Arc<Web>>) -> Operation {
        let (subject, about, schema) = ("", "", "");
        let (query, body) = (Vec::new(), Vec::new());
        Operation { method, path, handler, subject, about, needs: None, query, body, status: 200, schema }
    }

    /// What it belongs to, what it does, and the privilege that it takes; `None` where being signed in is enough.
    fn does(self, subject: &'static str, about: &'static str, needs: Option<Privilege>) -> Operation {
        Operation { subject, about, needs, ..self }
    }

    /// What may stand in the query of its address.
    fn asks(self, query: impl Into<Vec<Field>>) -> Operation {
        Operation { query: query.into(), ..self }
    }

    /// What stands in its body.
    fn takes(self, body: impl Into<Vec<Field>>) -> Operation {
        Operation { body: body.into(), ..self }
    }

    /// What it answers when it is done: the status, and the schema of the document.
    fn answers(self, status: u16, schema: &'static str) -> Operation {
        Operation { status, schema, ..self }
    }

    /// The names of the parameters of its path.
    fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// All that there are.
fn operations() -> Vec<Operation> {
    [jobs::operations(), studies::operations(), corrections::operations(), accounts::operations()]
        .into_iter()
        .flatten()
        .collect()
}

/// Their routes.
pub(super) fn routes() -> Router<Arc<Web>> {
    operations().into_iter().fold(Router::new(), |router, operation| router.route(operation.path, operation.handler))
}
