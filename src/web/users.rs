//! Accounts, for their administrator: who there is, what they may do, passwords to begin with, tokens of
//! programs, sessions. The last who may administer cannot be locked out.

mod done;
mod pages;

pub use done::{left_by, listed};
pub use pages::standing;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::accounts::OneTime;
use super::answer::{Refused, document};
use super::guard::{Posted, Signed};
use super::sign_in::Nothing;
use crate::catalog::{Ticket, User};
use crate::config::Privilege;
use crate::job::report::timestamp;

pub(super) use pages::{act, add, list, show};

/// An account that is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    name: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// What is to be changed of an account; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    roles: Option<Vec<String>>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    #[serde(rename = "for")]
    label: String,
}

/// Who is signed in.
pub(super) async fn me(signed: Signed) -> Response {
    let privileges: Vec<&str> = signed.operator.privileges.iter().map(|privilege| privilege.as_str()).collect();
    document(json!({ "name": signed.operator.name, "roles": signed.session.user.roles, "privileges": privileges }))
}

pub(super) async fn list_json(State(web): State<Arc<Web>>, signed: Signed) -> Result<Response, Refused> {
    signed.must(Privilege::Administer)?;
    let mut accounts = Vec::new();
    for user in web.catalog.users().await? {
        let tickets = web.catalog.tickets(user.id).await?;
        accounts.push(told(&web, &user, &tickets));
    }
    Ok(document(json!({ "accounts": accounts })))
}

pub(super) async fn add_json(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<NewAccount>,
) -> Result<Response, Refused> {
    let made = done::add(&web, &signed, &form.name, form.roles).await?;
    Ok((StatusCode::CREATED, document(begins(&form.name, &made))).into_response())
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    signed.must(Privilege::Administer)?;
    answered(&web, &name).await
}

pub(super) async fn change_json(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, form }: Posted<Change>,
) -> Result<Response, Refused> {
    done::change(&web, &signed, &name, form.roles, form.disabled).await?;
    answered(&web, &name).await
}

pub(super) async fn remove_json(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, .. }: Posted<Nothing>,
) -> Result<Response, Refused> {
    done::remove(&web, &signed, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn password_json(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, .. }: Posted<Nothing>,
) -> Result<Response, Refused> {
    let made = done::password(&web, &signed, &name).await?;
    Ok(document(begins(&name, &made)))
}

pub(super) async fn token_json(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, form }: Posted<NewToken>,
) -> Result<Response, Refused> {
    let (id, token) = done::token(&web, &signed, &name, &form.label).await?;
    Ok((StatusCode::CREATED, document(json!({ "id": id, "token": token }))).into_response())
}

pub(super) async fn revoke_json(
    State(web): State<Arc<Web>>,
    Path((name, id)): Path<(String, i64)>,
    Posted { signed, .. }: Posted<Nothing>,
) -> Result<Response, Refused> {
    done::revoke(&web, &signed, &name, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn end_json(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, .. }: Posted<Nothing>,
) -> Result<Response, Refused> {
    Ok(document(json!({ "ended": done::end_sessions(&web, &signed, &name).await? })))
}

/// What an account begins with.
fn begins(name: &str, made: &OneTime) -> Value {
    json!({ "name": name, "password": made.password, "until": timestamp(made.until) })
}

async fn answered(web: &Web, name: &str) -> Result<Response, Refused> {
    let user = the_user(web, name).await?;
    let tickets = web.catalog.tickets(user.id).await?;
    Ok(document(told(web, &user, &tickets)))
}

async fn the_user(web: &Web, name: &str) -> Result<User, Refused> {
    web.catalog.user(name).await?.ok_or_else(|| Refused::missing(format!("there is no account {name}")))
}

/// What the roles of an account come to, as they are configured now.
fn privileges(web: &Web, user: &User) -> BTreeSet<Privilege> {
    web.config.borrow().account(&user.name, &user.roles).privileges
}

fn told(web: &Web, user: &User, tickets: &[Ticket]) -> Value {
    let token = |ticket: &Ticket| {
        let (created, used) = (timestamp(ticket.created), timestamp(ticket.seen));
        Some(json!({ "id": ticket.id, "for": ticket.label.as_ref()?, "created": created, "used": used }))
    };
    json!({
        "name": user.name, "roles": user.roles,
        "privileges": privileges(web, user).into_iter().map(Privilege::as_str).collect::<Vec<_>>(),
        "disabled": user.disabled, "must_change": user.must_change(),
        "password_until": user.one_time_until.and_then(timestamp), "provider": user.issuer,
        "created": timestamp(user.created), "signed_in": user.signed_in.and_then(timestamp),
        "sessions": tickets.iter().filter(|ticket| ticket.label.is_none()).count(),
        "tokens": tickets.iter().filter_map(token).collect::<Value>(),
    })
}
