//! `[[role]]`: who may do what, and who is sitting here.
//!
//! Commands run as a user of the operating system. What that user may do is asked in one place (`content`), and the
//! console asks there as well; here is only what the configuration grants.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Uid, User};

use super::Config;
use super::raw::Section;
use super::values::{choice, non_empty};

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// See studies, plans and corrections.
    View,
    /// Run jobs.
    Operate,
    /// Bring objects in by DICOMweb (STOW-RS).
    Store,
    /// Move series between studies of one patient, merge, split, lock.
    Content,
    /// Move series to another patient.
    AcrossPatients,
    /// Correct locally what has left this archive under its old identity.
    ForceLocal,
    /// Take away a lock of somebody else.
    Unlock,
    /// Take corrections back.
    Undo,
    /// Discard what is in quarantine, or file it.
    Discard,
    /// Change the configuration.
    Administer,
}

/// `[[role]]`: what its users may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What it is called.
    pub name: String,
    /// What its users may do.
    pub privileges: BTreeSet<Privilege>,
    /// Users of the operating system, by name or number.
    pub users: BTreeSet<String>,
}

/// Somebody who wants something done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// What the audit trail and the locks call him.
    pub name: String,
    /// What he may do.
    pub privileges: BTreeSet<Privilege>,
}

/// Who sits here cannot be found out.
#[derive(Debug, thiserror::Error)]
#[error("the name of user {uid} cannot be looked up")]
pub struct OperatorError {
    uid: u32,
    source: std::io::Error,
}

/// Who runs this process, as the operating system knows it.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// The user of the process.
    user: u32,
    /// Whom `sudo` says that it was called by.
    behind: Option<u32>,
    /// Whom the catalog belongs to.
    owner: Option<u32>,
}

impl Privilege {
    /// All of them.
    pub const ALL: [Privilege; 10] = [
        Privilege::View,
        Privilege::Operate,
        Privilege::Store,
        Privilege::Content,
        Privilege::AcrossPatients,
        Privilege::ForceLocal,
        Privilege::Unlock,
        Privilege::Undo,
        Privilege::Discard,
        Privilege::Administer,
    ];

    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Privilege::View => "view",
            Privilege::Operate => "operate",
            Privilege::Store => "store",
            Privilege::Content => "content",
            Privilege::AcrossPatients => "across-patients",
            Privilege::ForceLocal => "force-local",
            Privilege::Unlock => "unlock",
            Privilege::Undo => "undo",
            Privilege::Discard => "discard",
            Privilege::Administer => "administer",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Operator {
    /// Somebody with all privileges.
    pub fn with_all(name: &str) -> Operator {
        Operator { name: name.to_owned(), privileges: Privilege::ALL.into() }
    }

    /// Whether he may do it.
    pub fn may(&self, privilege: Privilege) -> bool {
        self.privileges.contains(&privilege)
    }

    /// Whoever runs this process. Behind `sudo` that is the one who called it: that much is believed to root and to
    /// whom the catalog belongs, who can do everything anyhow; to anybody else it is only an environment variable.
    pub fn local(config: &Config) -> Result<Operator, OperatorError> {
        let account = Account {
            user: Uid::current().as_raw(),
            behind: std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()),
            owner: std::fs::metadata(&config.storage.catalog).ok().map(|found| found.uid()),
        };
        Operator::of(config, account, |uid| {
            let found = User::from_uid(Uid::from_raw(uid)).map_err(|error| OperatorError { uid, source: error.into() });
            Ok(found?.map(|user| user.name))
        })
    }

    fn of(
        config: &Config,
        account: Account,
        name_of: impl Fn(u32) -> Result<Option<String>, OperatorError>,
    ) -> Result<Operator, OperatorError> {
        let master = account.user == 0 || account.owner == Some(account.user);
        let uid = account.behind.filter(|_| master).unwrap_or(account.user);
        let name = name_of(uid)?;
        let is_one = |user: &String| Some(user) == name.as_ref() || user.parse() == Ok(uid);
        let privileges = match config.roles.as_slice() {
            [] if master => Privilege::ALL.into(),
            roles => {
                let own = roles.iter().filter(|role| role.users.iter().any(is_one));
                // The service itself runs jobs, whatever people may.
                let service = (master && account.behind.is_none()).then_some(Privilege::Operate);
                own.flat_map(|role| role.privileges.iter().copied()).chain(service).collect()
            }
        };
        Ok(Operator { name: name.unwrap_or_else(|| format!("user {uid}")), privileges })
    }
}

pub(super) fn roles(sections: Vec<Section<'_>>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for mut s in sections {
        let name = s.text("name", non_empty);
        s.require("name", "\"clerks\"");
        if let Some(name) = &name {
            s.rename(format!("role.{name}"));
            if roles.iter().any(|role| role.name == *name) {
                s.problem("name", format!("two roles are called `{name}`"), "give each its own name");
            }
        }
        let known = Privilege::ALL.map(|privilege| (privilege.as_str(), privilege));
        let privileges = s.texts("privileges", |text| choice(text, &known)).unwrap_or_default();
        let users = s.texts("users", non_empty).unwrap_or_default();
        s.finish();
        roles.extend(name.map(|name| Role {
            name,
            privileges: privileges.into_iter().collect(),
            users: users.into_iter().collect(),
        }));
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const ROLES: &str = "[[role]]\nname = \"clerks\"\nprivileges = [\"view\", \"content\"]\nusers = [\"anna\", \"1003\"]\n\
                         [[role]]\nname = \"chief\"\nprivileges = [\"undo\"]\nusers = [\"anna\"]\n";

    /// The names of 0, 1000 and 1001; nobody else has one.
    fn name_of(uid: u32) -> Result<Option<String>, OperatorError> {
        let named = [(0, "root"), (1000, "ferry"), (1001, "anna"), (1002, "ben")];
        Ok(named.iter().find(|(known, _)| *known == uid).map(|(_, name)| (*name).to_owned()))
    }

    /// Who sits here when the catalog belongs to 1000.
    fn operator(config: &str, user: u32, behind: Option<u32>) -> (String, Vec<Privilege>) {
        let account = Account { user, behind, owner: Some(1000) };
        let operator = Operator::of(&parse(config, None).unwrap(), account, name_of).unwrap();
        (operator.name, operator.privileges.into_iter().collect())
    }

    #[test]
    fn without_roles_root_and_the_owner_of_the_catalog_may_everything_and_others_nothing() {
        let all = Privilege::ALL.to_vec();
        assert_eq!(operator("", 0, None), ("root".into(), all.clone()));
        assert_eq!(operator("", 1000, None), ("ferry".into(), all.clone()));
        assert_eq!(operator("", 1001, None), ("anna".into(), vec![]));
        // By sudo: the name is that of the person.
        assert_eq!(operator("", 0, Some(1001)), ("anna".into(), all.clone()));
        assert_eq!(operator("", 1000, Some(4711)), ("user 4711".into(), all));
        let gone = Account { user: 1000, behind: None, owner: None };
        assert!(!Operator::of(&parse("", None).unwrap(), gone, name_of).unwrap().may(Privilege::View));
    }

    #[test]
    fn with_roles_everybody_may_what_his_roles_say() {
        use Privilege::{Content, Undo, View};
        assert_eq!(operator(ROLES, 1001, None), ("anna".into(), vec![View, Content, Undo]));
        assert_eq!(operator(ROLES, 1003, None), ("user 1003".into(), vec![View, Content]));
        assert_eq!(operator(ROLES, 1002, None).1, vec![]);
        // Jobs run in the name of root or of whom the catalog belongs to, where no person is behind them.
        for uid in [0, 1000] {
            assert_eq!(operator(ROLES, uid, None).1, vec![Privilege::Operate], "{uid}");
        }
        assert_eq!(operator(ROLES, 1000, Some(1002)).1, vec![]);
        // Only root and the owner of the catalog can be somebody else, by sudo.
        assert_eq!(operator(ROLES, 1000, Some(1001)).0, "anna");
        assert_eq!(operator(ROLES, 1002, Some(1001)), ("ben".into(), vec![]));
    }

    #[test]
    fn roles_are_checked() {
        let said = |text: &str| parse(text, None).unwrap_err().to_string();
        assert!(said("[[role]]\nusers = [\"anna\"]").contains("`name` is missing"));
        assert!(said(&ROLES.replace("chief", "clerks")).contains("two roles are called `clerks`"));
        let unknown = said(&ROLES.replace("undo", "everything"));
        assert!(unknown.contains("role.chief.privileges") && unknown.contains("\"across-patients\" or"), "{unknown}");
        assert!(said("[[role]]\nname = \"x\"\nuser = [\"anna\"]").contains("did you mean `users`?"));
    }

    #[test]
    fn the_local_operator_has_a_name() {
        let operator = Operator::local(&parse("", None).unwrap()).unwrap();
        assert!(!operator.name.is_empty());
    }
}
