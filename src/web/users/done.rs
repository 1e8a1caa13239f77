//! What is done with accounts: the same for pages and for programs, and told to the audit trail.

use axum::http::StatusCode;

use super::super::Web;
use super::super::accounts::{AccountError, OneTime, one_time, program_token};
use super::super::answer::Refused;
use super::super::content::engine;
use super::super::guard::Signed;
use super::the_user;
use crate::audit::Alert;
use crate::catalog::{LONGEST_NAME, MOST_TOKENS, User, is_account_name};
use crate::config::Privilege;

/// The longest that is said of what a token is for, in characters.
const LONGEST_LABEL: usize = 200;

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Refused {
        match error {
            AccountError::Wait(wait) => Refused::later(error.to_string(), "", wait),
            AccountError::Wrong | AccountError::Ended(_) => {
                Refused::new(StatusCode::UNAUTHORIZED, error.to_string(), "")
            }
            AccountError::Weak => Refused::new(StatusCode::BAD_REQUEST, error.to_string(), ""),
            AccountError::Hash(_) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "try again"),
            AccountError::Catalog(error) => error.into(),
        }
    }
}

/// Makes an account; the password that it begins with.
pub(super) async fn add(web: &Web, signed: &Signed, name: &str, roles: Vec<String>) -> Result<OneTime, Refused> {
    signed.must(Privilege::Administer)?;
    if !is_account_name(name) {
        let what = format!("`{name}` is no name for an account");
        let remedy = format!("letters, digits and . _ - @, {LONGEST_NAME} at most");
        return Err(Refused::new(StatusCode::BAD_REQUEST, what, remedy));
    }
    known(web, &roles)?;
    let (made, hash) = one_time(&web.accounts, name).await?;
    if !web.catalog.add_user(name, &hash, &roles, Some(made.until)).await? {
        let what = format!("there is an account {name} already");
        return Err(Refused::new(StatusCode::CONFLICT, what, "take another name"));
    }
    web.changed(signed, Alert::UserAttributesChanged, format!("account {name} was made with {}", listed(&roles)));
    Ok(made)
}

/// Sets roles, and whether it may sign in.
pub(super) async fn change(
    web: &Web,
    signed: &Signed,
    name: &str,
    roles: Option<Vec<String>>,
    disabled: Option<bool>,
) -> Result<(), Refused> {
    signed.must(Privilege::Administer)?;
    let user = the_user(web, name).await?;
    let new_roles = roles.as_ref().filter(|roles| **roles != user.roles);
    if let Some(roles) = new_roles {
        if let Some(issuer) = &user.issuer {
            let remedy = "`roles` of `[web.oidc]` says which groups have which";
            return Err(Refused::new(StatusCode::CONFLICT, format!("{issuer} says what {name} may do"), remedy));
        }
        // What it has may be a role that is not configured any more.
        let added: Vec<String> = roles.iter().filter(|role| !user.roles.contains(role)).cloned().collect();
        known(web, &added)?;
    }
    let new_state = disabled.filter(|disabled| *disabled != user.disabled);
    if new_roles.is_none() && new_state.is_none() {
        return Ok(());
    }
    let masters = web.config.borrow().masters();
    if !web.catalog.change_user(user.id, new_roles.cloned(), new_state, Some(masters)).await? {
        return Err(last(name));
    }
    if let Some(roles) = new_roles {
        web.changed(signed, Alert::RolesChanged, format!("account {name} has {}", listed(roles)));
    }
    if let Some(disabled) = new_state {
        let what = if disabled { "may not sign in any more" } else { "may sign in again" };
        web.changed(signed, Alert::UserAttributesChanged, format!("account {name} {what}"));
    }
    Ok(())
}

/// Takes an account away.
pub(super) async fn remove(web: &Web, signed: &Signed, name: &str) -> Result<(), Refused> {
    signed.must(Privilege::Administer)?;
    let user = the_user(web, name).await?;
    let masters = web.config.borrow().masters();
    let Some(locks) = web.catalog.remove_user(user.id, Some(masters)).await? else { return Err(last(name)) };
    web.changed(signed, Alert::UserAttributesChanged, format!("account {name} was removed"));
    Ok(engine(web).handed_over(&locks, &left_by(name), &signed.operator).await?)
}

/// A new password to begin with; sessions and tokens end.
pub(super) async fn password(web: &Web, signed: &Signed, name: &str) -> Result<OneTime, Refused> {
    signed.must(Privilege::Administer)?;
    let user = with_password(web, name).await?;
    let (made, hash) = one_time(&web.accounts, name).await?;
    web.catalog.set_password(user.id, &hash, Some(made.until)).await?;
    web.changed(signed, Alert::UserAttributesChanged, format!("account {name} was given a new password"));
    Ok(made)
}

/// A token for a program: its number, and itself.
pub(super) async fn token(web: &Web, signed: &Signed, name: &str, label: &str) -> Result<(i64, String), Refused> {
    signed.must(Privilege::Administer)?;
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LONGEST_LABEL || label.contains(char::is_control) {
        let what = "a token is for something";
        let remedy = format!("say what for, in {LONGEST_LABEL} characters at most");
        return Err(Refused::new(StatusCode::BAD_REQUEST, what, remedy));
    }
    let user = the_user(web, name).await?;
    let (token, kept) = program_token()?;
    let Some(id) = web.catalog.add_token(user.id, kept, label).await? else {
        let what = format!("{name} has {MOST_TOKENS} tokens already");
        return Err(Refused::new(StatusCode::CONFLICT, what, "take those away that are not needed any more"));
    };
    web.changed(signed, Alert::UserAttributesChanged, format!("account {name} was given a token for {label}"));
    Ok((id, token))
}

/// Takes a token away.
pub(super) async fn revoke(web: &Web, signed: &Signed, name: &str, id: i64) -> Result<(), Refused> {
    signed.must(Privilege::Administer)?;
    let user = the_user(web, name).await?;
    if !web.catalog.remove_token(user.id, id).await? {
        return Err(Refused::missing(format!("{name} has no token {id}")));
    }
    web.changed(signed, Alert::UserAttributesChanged, format!("a token of account {name} was taken away"));
    Ok(())
}

/// Ends the sessions of an account in browsers; how many.
pub(super) async fn end_sessions(web: &Web, signed: &Signed, name: &str) -> Result<usize, Refused> {
    signed.must(Privilege::Administer)?;
    let user = the_user(web, name).await?;
    let ended = web.catalog.close_sessions(user.id).await?;
    web.changed(signed, Alert::UserAttributesChanged, format!("{ended} sessions of account {name} were ended"));
    Ok(ended)
}

/// Why a lock is nobody's.
pub fn left_by(name: &str) -> String {
    format!("account {name} was removed; its locks stay until somebody takes them away")
}

async fn with_password(web: &Web, name: &str) -> Result<User, Refused> {
    let user = the_user(web, name).await?;
    match &user.issuer {
        None => Ok(user),
        Some(issuer) => {
            let what = format!("{issuer} vouches for {name}");
            Err(Refused::new(StatusCode::CONFLICT, what, "the password is changed there"))
        }
    }
}

fn known(web: &Web, roles: &[String]) -> Result<(), Refused> {
    let known = web.config.borrow().role_names();
    match roles.iter().find(|role| !known.contains(role)) {
        None => Ok(()),
        Some(unknown) => Err(Refused::new(
            StatusCode::BAD_REQUEST,
            format!("there is no role `{unknown}`"),
            format!("the roles are: {}; the configuration can have more as [[role]]", known.join(", ")),
        )),
    }
}

fn last(name: &str) -> Refused {
    let what = format!("nobody but {name} could administer accounts");
    Refused::new(StatusCode::CONFLICT, what, "give another account the role `administrator` first")
}

/// Roles as the audit trail tells them.
pub fn listed(roles: &[String]) -> String {
    if roles.is_empty() { "no role".to_owned() } else { format!("the roles {}", roles.join(", ")) }
}
