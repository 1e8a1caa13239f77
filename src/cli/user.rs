//! `user`: accounts of the console.

use std::io::{BufRead, IsTerminal, Read};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::content::Desk;
use super::{Exit, Failure, Global, log, open, output};
use crate::audit::{Alert, Audit, AuditEvent, Party};
use crate::catalog::{Catalog, LONGEST_NAME, MOST_TOKENS, User, is_account_name};
use crate::config::{ADMINISTRATOR, Config};
use crate::job::report::{escape, timestamp};
use crate::web::{self, OneTime};

/// The longest line that is taken for a password, in bytes.
const LONGEST: u64 = 1024;

/// Manage the accounts of the console
///
/// Somebody who holds the catalog's file holds the archive: whoever may run this command may make an administrator.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry user add anna --role clerks           prints a password to choose another one with, for 7 days
  pacsferry user set anna --role clerks --role operators
  pacsferry user password anna                    a new one, when the old one is forgotten or has ended
  pacsferry user token ris --for \"nightly report\"   a token for a program: Authorization: Bearer …
  pacsferry user list")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// All accounts
    List,
    /// Make an account
    Add {
        /// What the person signs in as
        name: String,
        /// A role: `administrator`, or the name of a [[role]]; may be given several times
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Read the password from standard input, its first line, instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Set the roles of an account, or whether it may sign in
    Set {
        /// Whose
        name: String,
        /// Its roles from now on; may be given several times
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// It may not sign in any more
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// It may sign in again
        #[arg(long)]
        enable: bool,
    },
    /// Make a new password for an account, and end its sessions
    Password {
        /// Whose
        name: String,
        /// Read it from standard input, its first line
        #[arg(long)]
        stdin: bool,
    },
    /// Make a token with which a program may do what the account may do
    Token {
        /// Whose
        name: String,
        /// What it is for
        #[arg(long = "for", value_name = "TEXT", default_value = "a program")]
        label: String,
    },
    /// Take an account away
    Remove {
        /// Whose
        name: String,
    },
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let trail = Trail::open(&config, &catalog)?;
    match args.action {
        Action::List => list(global, &catalog).await,
        Action::Add { name, roles, stdin } => add(global, &config, &catalog, &trail, &name, &roles, stdin).await,
        Action::Set { name, roles, disable, enable } => {
            let user = the_user(global, &catalog, &name).await?;
            check_roles(&config, &roles)?;
            let roles = if roles.is_empty() { user.roles.clone() } else { roles };
            let disabled = disable || (user.disabled && !enable);
            let (new_roles, new_state) =
                ((roles != user.roles).then(|| roles.clone()), (disabled != user.disabled).then_some(disabled));
            catalog.change_user(user.id, new_roles, new_state, None).await?;
            if roles != user.roles {
                trail.write(Alert::RolesChanged, format!("account {name} has {}", web::listed_roles(&roles))).await?;
            }
            if disabled != user.disabled {
                let what = if disabled { "may not sign in any more" } else { "may sign in again" };
                trail.write(Alert::UserAttributesChanged, format!("account {name} {what}")).await?;
            }
            said(global, json!({ "user": name, "roles": roles }), &format!("{name} has the roles: {}", all(&roles)))
        }
        Action::Password { name, stdin } => {
            let user = the_user(global, &catalog, &name).await?;
            if let Some(issuer) = user.issuer {
                let remedy = "the password is changed there";
                return Err(Failure::usage(format!("{issuer} vouches for {name}"), remedy));
            }
            let (made, hash) = new_password(&name, stdin)?;
            catalog.set_password(user.id, &hash, made.as_ref().map(|made| made.until)).await?;
            trail.write(Alert::UserAttributesChanged, format!("account {name} was given a new password")).await?;
            tell_password(global, &name, made.as_ref(), "has a new password; its sessions and tokens have ended")
        }
        Action::Token { name, label } => {
            let user = the_user(global, &catalog, &name).await?;
            let (token, kept) = web::program_token().map_err(|error| Failure::new(error.to_string(), "try again"))?;
            if catalog.add_token(user.id, kept, &label).await?.is_none() {
                let remedy = "the page *Accounts* of the console takes tokens away that are not needed any more";
                return Err(Failure::usage(format!("{name} has {MOST_TOKENS} tokens already"), remedy));
            }
            trail.write(Alert::UserAttributesChanged, format!("account {name} was given a token for {label}")).await?;
            log::say("this is shown once; a new password of the account ends it");
            said(global, json!({ "user": name, "token": token }), &token)
        }
        Action::Remove { name } => {
            let user = the_user(global, &catalog, &name).await?;
            // What becomes of its locks is told to the storage folder.
            let desk = Desk::open(global, "user").await?;
            let locks = catalog.remove_user(user.id, None).await?.unwrap_or_default();
            trail.write(Alert::UserAttributesChanged, format!("account {name} was removed")).await?;
            let told = desk.content.handed_over(&locks, &web::left_by(&name), &desk.who).await;
            desk.close().await?;
            told?;
            for lock in &locks {
                let study = &lock.study;
                log::say(&format!(
                    "study {study} stays locked; `{}` ends that",
                    global.command(&format!("unlock {study}"))
                ));
            }
            said(global, json!({ "removed": name, "locks": locks.len() }), &format!("{name} has no account any more"))
        }
    }
}

/// The audit trail, and who tells it something.
struct Trail {
    audit: Audit,
    who: Party,
}

impl Trail {
    fn open(config: &Config, catalog: &Catalog) -> Result<Trail, Failure> {
        let (_, watched) = watch::channel(Arc::new(config.clone()));
        // What is written at once needs nobody who waits for more.
        let (audit, _) = Audit::new(catalog.clone(), watched, "user", CancellationToken::new());
        Ok(Trail { audit, who: Party::here(&open::operator(config)?.name) })
    }

    async fn write(&self, alert: Alert, what: String) -> Result<(), Failure> {
        Ok(self.audit.write(AuditEvent::Security { alert, who: self.who.clone(), what }).await?)
    }
}

async fn list(global: &Global, catalog: &Catalog) -> Result<Exit, Failure> {
    let users = catalog.users().await?;
    if global.json {
        let told = |user: &User| {
            json!({
                "user": user.name, "roles": user.roles, "disabled": user.disabled, "must_change": user.must_change(),
                "password_until": user.one_time_until.and_then(timestamp),
                "created": timestamp(user.created), "signed_in": user.signed_in.and_then(timestamp),
            })
        };
        output::json(&Value::Array(users.iter().map(told).collect()))?;
        return Ok(Exit::Done);
    }
    let row = |user: &User| {
        let seen = user.signed_in.map_or("never".to_owned(), crate::job::report::local_time);
        vec![escape::terminal(&user.name).into_owned(), all(&user.roles), seen, web::standing(user)]
    };
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    output::print(|out| output::table(out, &["name", "roles", "signed in", ""], &rows))?;
    Ok(Exit::Done)
}

async fn add(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    trail: &Trail,
    name: &str,
    roles: &[String],
    stdin: bool,
) -> Result<Exit, Failure> {
    if !is_account_name(name) {
        return Err(Failure::usage(
            format!("`{}` is no name for an account", escape::terminal(name)),
            format!("letters, digits and . _ - @, {LONGEST_NAME} at most"),
        ));
    }
    check_roles(config, roles)?;
    let (made, hash) = new_password(name, stdin)?;
    if !catalog.add_user(name, &hash, roles, made.as_ref().map(|made| made.until)).await? {
        let remedy = format!("`{}` sets its roles", global.command(&format!("user set {name} --role ROLE")));
        return Err(Failure::usage(format!("there is an account {name} already"), remedy));
    }
    trail
        .write(Alert::UserAttributesChanged, format!("account {name} was made with {}", web::listed_roles(roles)))
        .await?;
    if roles.is_empty() {
        log::say("without a role this account may do nothing: give it one with --role");
    }
    tell_password(global, name, made.as_ref(), "has an account")
}

fn check_roles(config: &Config, roles: &[String]) -> Result<(), Failure> {
    let known: Vec<&str> =
        config.roles.iter().map(|role| role.name.as_str()).chain(std::iter::once(ADMINISTRATOR)).collect();
    match roles.iter().find(|role| !known.contains(&role.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Failure::usage(
            format!("there is no role `{}`", escape::terminal(unknown)),
            format!("the roles are: {}; the configuration can have more as [[role]]", known.join(", ")),
        )),
    }
}

/// A password that was made, if one was, and its hash.
fn new_password(name: &str, stdin: bool) -> Result<(Option<OneTime>, String), Failure> {
    let remedy = "take a longer one";
    let failed = |error: web::AccountError| Failure::usage(error.to_string(), remedy);
    if !stdin {
        let made = OneTime::new().map_err(failed)?;
        let hash = web::hash(name, &made.password).map_err(failed)?;
        return Ok((Some(made), hash));
    }
    if std::io::stdin().is_terminal() {
        log::say("type the password (it is shown as you type), then Enter");
    }
    let mut line = String::new();
    std::io::stdin().lock().take(LONGEST).read_line(&mut line)?;
    let hash = web::hash(name, line.trim_end_matches(['\n', '\r'])).map_err(failed)?;
    Ok((None, hash))
}

fn tell_password(global: &Global, name: &str, made: Option<&OneTime>, what: &str) -> Result<Exit, Failure> {
    let Some(made) = made else { return said(global, json!({ "user": name }), &format!("{name} {what}")) };
    let text = format!("{name} {what}; the password, {}: {}", made.terms(), made.password);
    said(global, json!({ "user": name, "password": made.password, "until": timestamp(made.until) }), &text)
}

fn said(global: &Global, document: Value, text: &str) -> Result<Exit, Failure> {
    if global.json {
        output::json(&document)?;
    } else {
        output::print(|out| writeln!(out, "{text}"))?;
    }
    Ok(Exit::Done)
}

fn all(roles: &[String]) -> String {
    if roles.is_empty() { "none".to_owned() } else { roles.join(", ") }
}

async fn the_user(global: &Global, catalog: &Catalog, name: &str) -> Result<User, Failure> {
    catalog.user(name).await?.ok_or_else(|| {
        let remedy = format!("`{}` lists them", global.command("user list"));
        Failure::usage(format!("there is no account {}", escape::terminal(name)), remedy)
    })
}
