//! Accounts of the console, their sessions, and tokens of programs.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::codes::now;
use super::{Catalog, CatalogError};
use crate::db::DbError;

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// What it signs in as.
    pub name: String,
    /// The hash of its password, in the PHC string format.
    pub password: String,
    /// The names of its roles.
    pub roles: Vec<String>,
    /// Somebody else made the password: it is good for nothing but making another, and until then, in unix milliseconds.
    pub one_time_until: Option<i64>,
    /// It may not sign in.
    pub disabled: bool,
    /// When it was made, in unix milliseconds.
    pub created: i64,
    /// When it signed in last.
    pub signed_in: Option<i64>,
    /// The identity provider that vouches for it; `None` where it signs in with a password of its own.
    pub issuer: Option<String>,
}

impl User {
    /// Whether it has to choose a password before anything else.
    pub fn must_change(&self) -> bool {
        self.one_time_until.is_some()
    }
}

/// A hash can be guessed at: it belongs into no log.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A session of a browser, or a token of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub user: User,
    /// What forms have to bring along; `None` for the token of a program.
    pub csrf: Option<String>,
}

/// The most sessions that one account has in browsers: with a further one the one that was silent longest ends.
const MOST_SESSIONS: i64 = 20;

/// The most characters of an account's name.
pub const LONGEST_NAME: usize = 64;

/// Whether an account can be called that: letters, digits and `. _ - @`, 64 at most, and no place in an address.
pub fn is_account_name(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    !name.is_empty() && name.chars().count() <= LONGEST_NAME && name.chars().all(good) && name != "." && name != ".."
}

/// The number of the account whose name is told from this one by nothing but capitals.
pub(super) fn alike(tx: &Transaction<'_>, name: &str) -> Result<Option<i64>, DbError> {
    let folded = name.to_lowercase();
    let mut statement = tx.prepare_cached("SELECT id, name FROM users")?;
    let all =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, String)>, _>>()?;
    Ok(all.into_iter().find(|(_, other)| other.to_lowercase() == folded).map(|(id, _)| id))
}

impl Catalog {
    /// All accounts, by name.
    pub async fn users(&self) -> Result<Vec<User>, CatalogError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM users u ORDER BY u.name"))?;
            let users = statement.query_map([], |row| user(row, 0))?.collect::<Result<_, _>>()?;
            Ok(users)
        })
        .await
    }

    /// The account of this name.
    pub async fn user(&self, name: &str) -> Result<Option<User>, CatalogError> {
        let name = name.to_owned();
        self.read(move |c| by_name(c, &name)).await
    }

    /// Makes an account; somebody else made its password when that ends. `false` when there is one of this name.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        roles: &[String],
        one_time_until: Option<i64>,
    ) -> Result<bool, CatalogError> {
        let (name, password, roles) = (name.to_owned(), password.to_owned(), roles.join("\n"));
        self.write(move |tx| {
            if alike(tx, &name)?.is_some() {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO users (name, password, roles, one_time_until, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![name, password, roles, one_time_until, now()])?;
            Ok(true)
        })
        .await
    }

    /// Makes the first account; `false` when there is one already, whatever its name.
    pub async fn add_first_user(
        &self,
        name: &str,
        password: &str,
        role: &str,
        one_time_until: i64,
    ) -> Result<bool, CatalogError> {
        let (name, password, role) = (name.to_owned(), password.to_owned(), role.to_owned());
        self.write(move |tx| {
            let added = tx
                .prepare_cached(
                    "INSERT INTO users (name, password, roles, one_time_until, created)
                     SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM users)",
                )?
                .execute(params![name, password, role, one_time_until, now()])?;
            Ok(added == 1)
        })
        .await
    }

    /// Sets the password of an account, and ends its sessions and tokens.
    pub async fn set_password(
        &self,
        user: i64,
        password: &str,
        one_time_until: Option<i64>,
    ) -> Result<(), CatalogError> {
        let password = password.to_owned();
        self.write(move |tx| put_password(tx, user, &password, one_time_until)).await
    }

    /// Sets a password that somebody chose who has shown that he knows the one before, and ends the account's sessions and
    /// tokens. `false` when it has another one by now.
    pub async fn replace_password(&self, user: &User, password: &str) -> Result<bool, CatalogError> {
        let (user, before, password) = (user.id, user.password.clone(), password.to_owned());
        self.write(move |tx| {
            let sql = "SELECT 1 FROM users WHERE id = ?1 AND password = ?2";
            if !tx.prepare_cached(sql)?.exists(params![user, before])? {
                return Ok(false);
            }
            put_password(tx, user, &password, None)?;
            Ok(true)
        })
        .await
    }

    /// Opens the session of a browser under the digest of a token, until a time (unix milliseconds); `csrf` is what forms
    /// have to bring along. Those that have run out go. `false` when the account has another password by now, may not sign
    /// in any more, or is gone.
    pub async fn open_session(
        &self,
        user: &User,
        token: [u8; 32],
        csrf: &str,
        expires: i64,
    ) -> Result<bool, CatalogError> {
        let (user, password, csrf) = (user.id, user.password.clone(), csrf.to_owned());
        self.write(move |tx| {
            let now = now();
            tx.prepare_cached("DELETE FROM sessions WHERE expires < ?1")?.execute([now])?;
            let sql = "INSERT INTO sessions (token, user, csrf, created, seen, expires)
                       SELECT ?1, id, ?3, ?4, ?4, ?5 FROM users WHERE id = ?2 AND password = ?6 AND disabled = 0";
            if tx.prepare_cached(sql)?.execute(params![token, user, csrf, now, expires, password])? == 0 {
                return Ok(false);
            }
            tx.prepare_cached(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user = ?1 AND csrf IS NOT NULL
                                                   ORDER BY seen DESC, id DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute([user, MOST_SESSIONS])?;
            tx.prepare_cached("UPDATE users SET signed_in = ?2 WHERE id = ?1")?.execute([user, now])?;
            Ok(true)
        })
        .await
    }

    /// The session under the digest of a token, unless it has run out, was silent for longer than `idle` milliseconds, or
    /// its account may not sign in. A token of a program is never too silent.
    pub async fn session(&self, token: [u8; 32], idle: i64) -> Result<Option<Session>, CatalogError> {
        let found = self
            .read(move |c| {
                let sql = format!(
                    "SELECT {COLUMNS}, s.id, s.csrf, s.seen FROM sessions s JOIN users u ON u.id = s.user
                     WHERE s.token = ?1 AND coalesce(s.expires > ?2, 1) AND (s.csrf IS NULL OR s.seen > ?2 - ?3)
                        AND u.disabled = 0"
                );
                Ok(c.prepare_cached(&sql)?
                    .query_row(params![token, now(), idle], |row| {
                        let session = Session { user: user(row, 0)?, id: row.get(9)?, csrf: row.get(10)? };
                        Ok((session, row.get::<_, i64>(11)?))
                    })
                    .optional()?)
            })
            .await?;
        let Some((session, seen)) = found else { return Ok(None) };
        // That it was used is written now and then only.
        if now() - seen > idle / 10 {
            let id = session.id;
            self.write(move |tx| {
                tx.prepare_cached("UPDATE sessions SET seen = ?2 WHERE id = ?1")?.execute([id, now()])?;
                Ok(())
            })
            .await?;
        }
        Ok(Some(session))
    }

    /// Whose session this is, as the account stands now; `None` when either is gone, or the account may not sign in.
    pub async fn holder_of(&self, session: i64) -> Result<Option<User>, CatalogError> {
        self.read(move |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM sessions s CROSS JOIN users u ON u.id = s.user WHERE s.id = ?1 AND u.disabled = 0"
            );
            Ok(c.prepare_cached(&sql)?.query_row([session], |row| user(row, 0)).optional()?)
        })
        .await
    }

    /// Ends a session.
    pub async fn close_session(&self, id: i64) -> Result<(), CatalogError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }
}

fn put_password(tx: &Transaction<'_>, user: i64, password: &str, one_time_until: Option<i64>) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE users SET password = ?2, one_time_until = ?3 WHERE id = ?1")?.execute(params![
        user,
        password,
        one_time_until
    ])?;
    tx.prepare_cached("DELETE FROM sessions WHERE user = ?1")?.execute([user])?;
    Ok(())
}

pub(super) const COLUMNS: &str =
    "u.id, u.name, u.password, u.roles, u.one_time_until, u.disabled, u.created, u.signed_in, u.issuer";

fn by_name(c: &Connection, name: &str) -> Result<Option<User>, DbError> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM users u WHERE u.name = ?1"))?;
    Ok(statement.query_row([name], |row| user(row, 0)).optional()?)
}

pub(super) fn user(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    let roles: String = row.get(at + 3)?;
    Ok(User {
        id: row.get(at)?,
        name: row.get(at + 1)?,
        password: row.get(at + 2)?,
        roles: roles.lines().map(str::to_owned).collect(),
        one_time_until: row.get(at + 4)?,
        disabled: row.get(at + 5)?,
        created: row.get(at + 6)?,
        signed_in: row.get(at + 7)?,
        issuer: row.get(at + 8)?,
    })
}
