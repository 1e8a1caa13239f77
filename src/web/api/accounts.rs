//! Operations on accounts.

use super::Kind::{Flag, Text, Texts};
use super::{Operation, delete, get, may, must, post};
use crate::config::Privilege::Administer;
use crate::web::users;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/v1/me", users::me).does("Accounts", "Who is signed in, and may do what", None).answers(200, "Me"),
        get("/api/v1/accounts", users::list_json)
            .does("Accounts", "All accounts", Some(Administer))
            .answers(200, "Accounts"),
        post("/api/v1/accounts", users::add_json)
            .does(
                "Accounts",
                "Makes an account, with a password to choose another one with, within seven days",
                Some(Administer),
            )
            .takes([must("name", Text, "letters, digits and `. _ - @`"), may("roles", Texts, "its roles")])
            .answers(201, "NewPassword"),
        get("/api/v1/accounts/{name}", users::show_json)
            .does("Accounts", "An account, and its tokens", Some(Administer))
            .answers(200, "Account"),
        post("/api/v1/accounts/{name}", users::change_json)
            .does("Accounts", "Sets the roles of an account, and whether it may sign in", Some(Administer))
            .takes([
                may("roles", Texts, "all roles that it is to have"),
                may("disabled", Flag, "it may not sign in; its sessions and tokens end"),
            ])
            .answers(200, "Account"),
        delete("/api/v1/accounts/{name}", users::remove_json)
            .does("Accounts", "Takes an account away", Some(Administer))
            .answers(204, ""),
        post("/api/v1/accounts/{name}/password", users::password_json)
            .does(
                "Accounts",
                "Makes a new password, as for a new account; sessions and tokens of the account end",
                Some(Administer),
            )
            .answers(200, "NewPassword"),
        post("/api/v1/accounts/{name}/tokens", users::token_json)
            .does("Accounts", "Makes a token with which a program may do what the account may do", Some(Administer))
            .takes([must("for", Text, "what it is for")])
            .answers(201, "NewToken"),
        delete("/api/v1/accounts/{name}/tokens/{id}", users::revoke_json)
            .does("Accounts", "Takes a token away", Some(Administer))
            .answers(204, ""),
        delete("/api/v1/accounts/{name}/sessions", users::end_json)
            .does("Accounts", "Ends the sessions of an account in browsers", Some(Administer))
            .answers(200, "Ended"),
    ]
}
