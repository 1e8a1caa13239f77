//! Sessions and tokens of an account, as its administrator sees them, and accounts that somebody else vouches for.

use rusqlite::{OptionalExtension, Transaction, params};

use super::accounts::{COLUMNS, alike, user as account};
use super::codes::now;
use super::corrections::hand_over;
use super::{Catalog, CatalogError, StudyLock, User};
use crate::db::DbError;

/// The most tokens that programs have of one account.
pub const MOST_TOKENS: i64 = 50;

/// A session of a browser, or a token of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub id: i64,
    /// What the program is for; `None` for a browser.
    pub label: Option<String>,
    /// When it was made, in unix milliseconds.
    pub created: i64,
    /// When it was used last, to some minutes.
    pub seen: i64,
}

/// Somebody whom an identity provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who vouches.
    pub issuer: String,
    /// What it calls him for ever.
    pub subject: String,
    /// What he is called; `None` where no account can be called so.
    pub name: Option<String>,
    /// The names of his roles.
    pub roles: Vec<String>,
}

/// What became of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouch {
    /// The account, and its locks if it has another name now.
    Account(User, Vec<StudyLock>),
    /// Another account has his name, or one that only capitals tell from it.
    Taken,
    /// No account can be called what he is called.
    Nameless,
    /// He has no role, and so no account; if he had one, its sessions have ended.
    Nobody,
}

impl Catalog {
    /// The sessions and tokens of an account, the latest used first.
    pub async fn tickets(&self, user: i64) -> Result<Vec<Ticket>, CatalogError> {
        self.read(move |c| {
            let sql = "SELECT id, label, created, seen FROM sessions WHERE user = ?1 AND coalesce(expires > ?2, 1)
                       ORDER BY seen DESC, id DESC";
            let ticket = |row: &rusqlite::Row<'_>| {
                Ok(Ticket { id: row.get(0)?, label: row.get(1)?, created: row.get(2)?, seen: row.get(3)? })
            };
            let mut statement = c.prepare_cached(sql)?;
            let tickets = statement.query_map([user, now()], ticket)?.collect::<Result<_, _>>()?;
            Ok(tickets)
        })
        .await
    }

    /// Makes a token for a program, under its digest; its number. `None` when the account has as many as it may.
    pub async fn add_token(&self, user: i64, token: [u8; 32], label: &str) -> Result<Option<i64>, CatalogError> {
        let label = label.to_owned();
        self.write(move |tx| {
            let sql = "INSERT INTO sessions (token, user, csrf, label, created, seen, expires)
                       SELECT ?1, ?2, NULL, ?3, ?4, ?4, NULL
                       WHERE (SELECT count(*) FROM sessions WHERE user = ?2 AND label IS NOT NULL) < ?5";
            let added = tx.prepare_cached(sql)?.execute(params![token, user, label, now(), MOST_TOKENS])?;
            Ok((added == 1).then(|| tx.last_insert_rowid()))
        })
        .await
    }

    /// Takes a token of an account away; whether there was one.
    pub async fn remove_token(&self, user: i64, id: i64) -> Result<bool, CatalogError> {
        self.write(move |tx| {
            let sql = "DELETE FROM sessions WHERE user = ?1 AND id = ?2 AND label IS NOT NULL";
            Ok(tx.prepare_cached(sql)?.execute([user, id])? == 1)
        })
        .await
    }

    /// Ends the sessions of an account in browsers; how many there were. Programs keep their tokens.
    pub async fn close_sessions(&self, user: i64) -> Result<usize, CatalogError> {
        self.write(move |tx| {
            let sql = "DELETE FROM sessions WHERE user = ?1 AND csrf IS NOT NULL";
            Ok(tx.prepare_cached(sql)?.execute([user])?)
        })
        .await
    }

    /// Sets the roles of an account, and whether it may not sign in, each where it is given, unless nobody would be left who may sign in and has one of
    /// the roles in `masters` (`None`: that does not matter); whether it was done.
    pub async fn change_user(
        &self,
        user: i64,
        roles: Option<Vec<String>>,
        disabled: Option<bool>,
        masters: Option<Vec<String>>,
    ) -> Result<bool, CatalogError> {
        self.write(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM users u WHERE u.id = ?1");
            let known = tx.prepare_cached(&sql)?.query_row([user], |row| account(row, 0)).optional()?;
            // Whoever looks at it next finds that it is gone.
            let Some(known) = known else { return Ok(true) };
            let (roles, disabled) = (roles.unwrap_or(known.roles), disabled.unwrap_or(known.disabled));
            let stays = if disabled { &[][..] } else { &roles };
            if !is_administered(tx, user, stays, masters.as_deref())? {
                return Ok(false);
            }
            if disabled {
                tx.prepare_cached("DELETE FROM sessions WHERE user = ?1")?.execute([user])?;
            }
            tx.prepare_cached("UPDATE users SET roles = ?2, disabled = ?3 WHERE id = ?1")?.execute(params![
                user,
                roles.join("\n"),
                disabled
            ])?;
            Ok(true)
        })
        .await
    }

    /// Takes an account away, with its sessions and tokens, unless nobody would be left, as for [`Catalog::change_user`]:
    /// that is `None`. Its locks stay, and no account can be called what their owner is called from now on; these.
    pub async fn remove_user(
        &self,
        user: i64,
        masters: Option<Vec<String>>,
    ) -> Result<Option<Vec<StudyLock>>, CatalogError> {
        self.write(move |tx| {
            if !is_administered(tx, user, &[], masters.as_deref())? {
                return Ok(None);
            }
            let sql = "DELETE FROM users WHERE id = ?1 RETURNING name";
            let name: Option<String> = tx.prepare_cached(sql)?.query_row([user], |row| row.get(0)).optional()?;
            let Some(name) = name else { return Ok(Some(Vec::new())) };
            Ok(Some(hand_over(tx, &name, &format!("{name} (account removed)"))?))
        })
        .await
    }

    /// The account of somebody whom an identity provider vouches for, made if there is none, with the name and the roles
    /// that he has there now. The roles are set whatever is wrong with the name; locks follow a new name.
    pub async fn vouched(&self, who: Vouched) -> Result<Vouch, CatalogError> {
        self.write(move |tx| {
            let sql = "UPDATE users SET roles = ?3 WHERE issuer = ?1 AND subject = ?2 RETURNING id, name";
            let known: Option<(i64, String)> = tx
                .prepare_cached(sql)?
                .query_row(params![who.issuer, who.subject, who.roles.join("\n")], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (known, called) = known.unzip();
            if who.roles.is_empty() {
                tx.prepare_cached("DELETE FROM sessions WHERE user = ?1")?.execute([known])?;
                return Ok(Vouch::Nobody);
            }
            let Some(name) = who.name else { return Ok(Vouch::Nameless) };
            if alike(tx, &name)?.is_some_and(|other| known != Some(other)) {
                return Ok(Vouch::Taken);
            }
            tx.prepare_cached(
                "INSERT INTO users (name, password, roles, created, issuer, subject)
                 VALUES (?1, '', ?2, ?3, ?4, ?5)
                 ON CONFLICT (issuer, subject) WHERE subject IS NOT NULL
                 DO UPDATE SET name = excluded.name, roles = excluded.roles",
            )?
            .execute(params![name, who.roles.join("\n"), now(), who.issuer, who.subject])?;
            let locks = match called.filter(|called| *called != name) {
                Some(called) => hand_over(tx, &called, &name)?,
                None => Vec::new(),
            };
            let sql = format!("SELECT {COLUMNS} FROM users u WHERE u.issuer = ?1 AND u.subject = ?2");
            let user = tx.prepare_cached(&sql)?.query_row([&who.issuer, &who.subject], |row| account(row, 0))?;
            Ok(Vouch::Account(user, locks))
        })
        .await
    }
}

/// Whether somebody may sign in and has one of the roles in `masters` when this account has no roles but these.
fn is_administered(
    tx: &Transaction<'_>,
    user: i64,
    roles: &[String],
    masters: Option<&[String]>,
) -> Result<bool, DbError> {
    let Some(masters) = masters else { return Ok(true) };
    let others: Vec<String> = tx
        .prepare_cached("SELECT roles FROM users WHERE id <> ?1 AND disabled = 0")?
        .query_map([user], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut all = others.iter().flat_map(|roles| roles.lines()).chain(roles.iter().map(String::as_str));
    Ok(all.any(|role| masters.iter().any(|master| master == role)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let temp = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&temp.path().join("catalog.db")).unwrap();
        (temp, catalog)
    }

    async fn made(catalog: &Catalog, name: &str, role: &str) -> User {
        assert!(catalog.add_user(name, "x", &[role.to_owned()], None).await.unwrap());
        catalog.user(name).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_last_master_cannot_be_locked_out() {
        let (_temp, catalog) = catalog();
        let masters = || Some(vec!["chief".to_owned(), "root".to_owned()]);
        let (one, two) = (made(&catalog, "one", "chief").await, made(&catalog, "two", "root").await);
        let clerk = made(&catalog, "clerk", "clerks").await;
        assert!(catalog.change_user(one.id, Some(vec!["chief".into()]), Some(true), masters()).await.unwrap());
        assert_eq!(catalog.remove_user(two.id, masters()).await.unwrap(), None);
        for (roles, disabled) in [(None, Some(true)), (Some(vec!["clerks".to_owned()]), None)] {
            assert!(!catalog.change_user(two.id, roles, disabled, masters()).await.unwrap());
        }
        assert!(catalog.change_user(two.id, Some(vec!["chief".into()]), None, masters()).await.unwrap());
        // Who changes one thing leaves the other as it is by now.
        assert!(catalog.change_user(clerk.id, None, Some(true), masters()).await.unwrap());
        assert!(catalog.change_user(clerk.id, Some(vec![]), None, masters()).await.unwrap());
        let now = catalog.user("clerk").await.unwrap().unwrap();
        assert!(now.disabled && now.roles.is_empty());
        assert!(catalog.remove_user(clerk.id, masters()).await.unwrap().is_some());
        assert_eq!(catalog.users().await.unwrap().len(), 2);
        assert!(catalog.remove_user(two.id, None).await.unwrap().is_some(), "the command may");
    }

    #[tokio::test]
    async fn an_account_of_the_same_name_is_another_one() {
        let (_temp, catalog) = catalog();
        let anna = made(&catalog, "anna", "clerks").await;
        assert!(catalog.open_session(&anna, [1; 32], "x", i64::MAX).await.unwrap());
        catalog.add_token(anna.id, [2; 32], "report").await.unwrap().unwrap();
        let session = catalog.session([1; 32], 60_000).await.unwrap().unwrap();
        assert_eq!(catalog.remove_user(anna.id, None).await.unwrap(), Some(vec![]));
        let other = made(&catalog, "anna", "clerks").await;
        assert_ne!(other.id, anna.id, "what is remembered of a number is not hers");
        for token in [[1; 32], [2; 32]] {
            assert!(catalog.session(token, 60_000).await.unwrap().is_none());
        }
        assert!(!catalog.open_session(&anna, [3; 32], "x", i64::MAX).await.unwrap(), "who began before is too late");
        assert!(catalog.open_session(&other, [4; 32], "x", i64::MAX).await.unwrap());
        assert_ne!(catalog.session([4; 32], 60_000).await.unwrap().unwrap().id, session.id);
        // Who has another password by now has not shown that he knows it.
        catalog.set_password(other.id, "y", None).await.unwrap();
        assert!(!catalog.open_session(&other, [5; 32], "x", i64::MAX).await.unwrap());
    }

    #[tokio::test]
    async fn sessions_and_tokens_of_an_account_are_so_many_and_end_apart() {
        let (_temp, catalog) = catalog();
        let user = made(&catalog, "anna", "clerks").await;
        for n in 0..40u8 {
            assert!(catalog.open_session(&user, [n; 32], "x", i64::MAX).await.unwrap());
        }
        let sessions = catalog.tickets(user.id).await.unwrap().len();
        assert!((1..40).contains(&sessions), "{sessions}");
        assert!(catalog.session([39; 32], 60_000).await.unwrap().is_some(), "the latest is there");
        assert!(catalog.session([0; 32], 60_000).await.unwrap().is_none(), "the first has ended");
        let mut token = None;
        for n in 0..MOST_TOKENS {
            let digest = [100 + u8::try_from(n).unwrap(); 32];
            token = catalog.add_token(user.id, digest, "report").await.unwrap();
            assert!(token.is_some());
        }
        assert_eq!(catalog.add_token(user.id, [99; 32], "report").await.unwrap(), None);
        assert_eq!(catalog.close_sessions(user.id).await.unwrap(), sessions);
        assert!(!catalog.remove_token(user.id + 1, token.unwrap()).await.unwrap(), "of another account");
        assert!(catalog.remove_token(user.id, token.unwrap()).await.unwrap());
        let left = catalog.tickets(user.id).await.unwrap();
        assert_eq!(i64::try_from(left.len()).unwrap(), MOST_TOKENS - 1);
        assert!(left.iter().all(|ticket| ticket.label.as_deref() == Some("report")));
    }

    #[tokio::test]
    async fn who_is_vouched_for_takes_nobodys_account() {
        let (_temp, catalog) = catalog();
        let local = made(&catalog, "anna", "chief").await;
        let who = |subject: &str, name: &str, role: &str| Vouched {
            issuer: "https://id.example".into(),
            subject: subject.into(),
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            roles: [role].into_iter().filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        };
        let account = async |vouched: Vouched| match catalog.vouched(vouched).await.unwrap() {
            Vouch::Account(user, _) => user,
            other => panic!("{other:?}"),
        };
        assert_eq!(catalog.vouched(who("1", "anna", "clerks")).await.unwrap(), Vouch::Taken, "a local account");
        assert_eq!(catalog.vouched(who("1", "ANNA", "clerks")).await.unwrap(), Vouch::Taken, "told by capitals alone");
        assert!(!catalog.add_user("Anna", "x", &[], None).await.unwrap());
        assert_eq!(catalog.vouched(who("1", "ben", "")).await.unwrap(), Vouch::Nobody);
        assert_eq!(catalog.user("ben").await.unwrap(), None);
        let ben = account(who("1", "ben", "clerks")).await;
        assert!(ben.password.is_empty() && ben.issuer.as_deref() == Some("https://id.example"));
        let renamed = account(who("1", "benjamin", "chief")).await;
        assert_eq!((renamed.id, renamed.name.as_str(), renamed.roles), (ben.id, "benjamin", vec!["chief".to_owned()]));
        assert_eq!(catalog.vouched(who("2", "benjamin", "clerks")).await.unwrap(), Vouch::Taken, "of another");
        assert_eq!(catalog.user("anna").await.unwrap(), Some(local));
        // Roles that were taken away are gone, whatever the name has become.
        for (name, refused, role) in [("anna", Vouch::Taken, "clerks"), ("", Vouch::Nameless, "readers")] {
            assert_eq!(catalog.vouched(who("1", name, role)).await.unwrap(), refused);
            assert_eq!(catalog.user("benjamin").await.unwrap().unwrap().roles, [role]);
        }
        // Who is in no group any more has no session either.
        assert!(catalog.open_session(&ben, [7; 32], "x", i64::MAX).await.unwrap());
        assert_eq!(catalog.vouched(who("1", "benjamin", "")).await.unwrap(), Vouch::Nobody);
        assert!(catalog.session([7; 32], 60_000).await.unwrap().is_none());
        assert!(catalog.user("benjamin").await.unwrap().unwrap().roles.is_empty());
    }
}
