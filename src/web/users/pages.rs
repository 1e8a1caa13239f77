//! The pages of accounts.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::super::Web;
use super::super::answer::{Frame, Refused, page};
use super::super::guard::{Posted, Signed};
use super::{done, privileges, the_user};
use crate::catalog::User;
use crate::config::Privilege;
use crate::job::now;
use crate::job::report::local_time;

/// An account of the list.
struct Row {
    name: String,
    address: String,
    roles: String,
    state: String,
    signed_in: String,
}

/// A role, and whether the account has it.
struct Role {
    name: String,
    has: bool,
    privileges: String,
}

/// A token of a program.
struct Token {
    id: i64,
    label: String,
    created: String,
    used: String,
}

/// What is shown once.
struct Told {
    what: String,
    secret: String,
}

#[derive(Template)]
#[template(path = "accounts.html", config = "src/web/templates/askama.toml")]
struct AccountsPage {
    frame: Frame,
    rows: Vec<Row>,
    roles: Vec<Role>,
}

#[derive(Template)]
#[template(path = "account.html", config = "src/web/templates/askama.toml")]
struct AccountPage {
    frame: Frame,
    user: User,
    address: String,
    created: String,
    signed_in: String,
    standing: String,
    privileges: String,
    roles: Vec<Role>,
    sessions: usize,
    tokens: Vec<Token>,
    told: Option<Told>,
}

/// The page of an account, whatever its name is made of.
fn address(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/accounts/{}", name.replace('+', "%20"))
}

fn words(privileges: impl IntoIterator<Item = Privilege>) -> String {
    privileges.into_iter().map(Privilege::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether an account may sign in, as far as it is not the usual thing.
pub fn standing(user: &User) -> String {
    match user.one_time_until {
        _ if user.disabled => "may not sign in".to_owned(),
        Some(until) if until < now() => {
            format!("never chose a password; the one it was given ended {}", local_time(until))
        }
        Some(until) => format!("has to choose a password, until {}", local_time(until)),
        None => String::new(),
    }
}

fn ago(at: Option<i64>) -> String {
    at.map_or("never".to_owned(), local_time)
}

/// All roles that there are, and those that the account has from other times.
fn roles(web: &Web, user: Option<&User>) -> Vec<Role> {
    let config = web.config.borrow();
    let own = user.map_or(&[][..], |user| user.roles.as_slice());
    let mut names = config.role_names();
    names.extend(own.iter().filter(|role| !config.role_names().contains(role)).cloned());
    let role = |name: String| Role {
        has: own.contains(&name),
        privileges: words(config.account("", std::slice::from_ref(&name)).privileges),
        name,
    };
    names.into_iter().map(role).collect()
}

pub(in crate::web) async fn list(State(web): State<Arc<Web>>, signed: Signed) -> Result<Response, Refused> {
    signed.must(Privilege::Administer)?;
    let row = |user: User| Row {
        address: address(&user.name),
        roles: user.roles.join(", "),
        state: match &user.issuer {
            Some(_) if !user.disabled => "signs in elsewhere".to_owned(),
            _ => standing(&user),
        },
        signed_in: ago(user.signed_in),
        name: user.name,
    };
    let rows = web.catalog.users().await?.into_iter().map(row).collect();
    Ok(page(&AccountsPage { rows, roles: roles(&web, None), frame: Frame::of(&signed, "accounts") }))
}

type Form = Vec<(String, String)>;

fn field<'f>(form: &'f Form, name: &str) -> &'f str {
    form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
}

fn chosen(form: &Form) -> Vec<String> {
    form.iter().filter(|(name, _)| name == "role").map(|(_, value)| value.clone()).collect()
}

pub(in crate::web) async fn add(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<Form>,
) -> Result<Response, Refused> {
    let name = field(&form, "name").to_owned();
    let made = done::add(&web, &signed, &name, chosen(&form)).await?;
    let what = format!("{name} has an account. The password, {}:", made.terms());
    let shown = whole(&web, &signed, &name, Some(Told { what, secret: made.password })).await?;
    Ok((StatusCode::CREATED, shown).into_response())
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    signed.must(Privilege::Administer)?;
    whole(&web, &signed, &name, None).await
}

pub(in crate::web) async fn act(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Posted { signed, form }: Posted<Form>,
) -> Result<Response, Refused> {
    let there = || Ok(Redirect::to(&address(&name)).into_response());
    match field(&form, "action") {
        "roles" => done::change(&web, &signed, &name, Some(chosen(&form)), None).await.and_then(|()| there()),
        "disable" => done::change(&web, &signed, &name, None, Some(true)).await.and_then(|()| there()),
        "enable" => done::change(&web, &signed, &name, None, Some(false)).await.and_then(|()| there()),
        "end-sessions" => done::end_sessions(&web, &signed, &name).await.and_then(|_| there()),
        "revoke" => {
            let wrong = |_| Refused::new(StatusCode::BAD_REQUEST, "a token has a number", "");
            let id = field(&form, "token").parse().map_err(wrong)?;
            done::revoke(&web, &signed, &name, id).await.and_then(|()| there())
        }
        "remove" => {
            done::remove(&web, &signed, &name).await?;
            Ok(Redirect::to("/accounts").into_response())
        }
        "password" => {
            let made = done::password(&web, &signed, &name).await?;
            let what = format!("The new password of {name}, {}:", made.terms());
            whole(&web, &signed, &name, Some(Told { what, secret: made.password })).await
        }
        "token" => {
            let (_, secret) = done::token(&web, &signed, &name, field(&form, "for")).await?;
            let what = "The token, for the header `Authorization: Bearer …`:".to_owned();
            whole(&web, &signed, &name, Some(Told { what, secret })).await
        }
        other => Err(Refused::new(StatusCode::BAD_REQUEST, format!("`{other}` cannot be done with an account"), "")),
    }
}

async fn whole(web: &Web, signed: &Signed, name: &str, told: Option<Told>) -> Result<Response, Refused> {
    let user = the_user(web, name).await?;
    let tickets = web.catalog.tickets(user.id).await?;
    let sessions = tickets.iter().filter(|ticket| ticket.label.is_none()).count();
    let tokens = tickets.into_iter().filter_map(|ticket| {
        let (created, used) = (local_time(ticket.created), local_time(ticket.seen));
        Some(Token { id: ticket.id, label: ticket.label?, created, used })
    });
    Ok(page(&AccountPage {
        address: address(&user.name),
        created: local_time(user.created),
        signed_in: ago(user.signed_in),
        standing: standing(&user),
        privileges: words(privileges(web, &user)),
        roles: roles(web, Some(&user)),
        sessions,
        tokens: tokens.collect(),
        told,
        user,
        frame: Frame::of(signed, "accounts"),
    }))
}
