//! Who signs in: passwords (Argon2id, RFC 9106), sessions, and how often may be guessed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, PasswordHash};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use super::guessing::Guesses;
use crate::catalog::{Catalog, CatalogError, Session, User};
use crate::config::ADMINISTRATOR;
use crate::job::now;
use crate::job::report::local_time;

/// A session ends after so much silence, in milliseconds ...
const IDLE: i64 = 60 * 60 * 1000;
/// ... and in any case after so long.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// The shortest password, and the longest, in characters and bytes.
const SHORTEST_PASSWORD: usize = 12;
const LONGEST_PASSWORD: usize = 256;
/// Passwords that are hashed at one time: each takes 19 MiB.
const AT_ONCE: usize = 2;
/// A password that somebody else made is good for so long: it may lie in a log, or in a letter.
const ONE_TIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why nobody was signed in, or no password was set.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Name or password are wrong; which of them is not told.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The password is right, but somebody else made it, and it was never used.
    #[error(
        "the password was good until {} only: an administrator makes another one, with `pacsferry user password`",
        local_time(*.0)
    )]
    Ended(i64),
    /// There were too many failures.
    #[error("there were too many attempts; try again in {} s", .0.as_secs() + 1)]
    Wait(Duration),
    /// A new password that is none.
    #[error("a password has {SHORTEST_PASSWORD} characters or more, and is not the old one or the name")]
    Weak,
    /// The machine cannot.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    /// The catalog does not answer.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// The door.
#[derive(Clone)]
pub struct Accounts {
    room: Arc<Semaphore>,
    guesses: Guesses,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts { room: Arc::new(Semaphore::new(AT_ONCE)), guesses: Guesses::default() }
    }
}

impl Accounts {
    /// Signs somebody in. The token is for the browser's cookie.
    pub async fn sign_in(
        &self,
        catalog: &Catalog,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<(User, String), AccountError> {
        self.guesses.attempt(name, from).map_err(AccountError::Wait)?;
        let user = catalog.user(name).await?.filter(|user| !user.disabled && user.issuer.is_none());
        // One that does not exist takes as long as one that does.
        let hash = user.as_ref().map_or_else(|| NOBODY.to_owned(), |user| user.password.clone());
        let fits = password.len() <= LONGEST_PASSWORD && self.verify(password.to_owned(), hash).await?;
        let user = user.filter(|_| fits).ok_or(AccountError::Wrong)?;
        self.guesses.succeeded(name, from);
        if let Some(until) = user.one_time_until.filter(|until| *until < now()) {
            return Err(AccountError::Ended(until));
        }
        let token = self.open(catalog, &user).await?;
        Ok((user, token))
    }

    /// Opens a session for somebody who has shown who he is, unless his account was changed meanwhile.
    pub(super) async fn open(&self, catalog: &Catalog, user: &User) -> Result<String, AccountError> {
        let (token, csrf) = (secret()?, secret()?);
        let expires = after(LONGEST);
        match catalog.open_session(user, digest(&token), &csrf, expires).await? {
            true => Ok(token),
            false => Err(AccountError::Wrong),
        }
    }

    /// The session that belongs to a token, if it lives.
    pub(super) async fn session(&self, catalog: &Catalog, token: &str) -> Result<Option<Session>, CatalogError> {
        catalog.session(digest(token), IDLE).await
    }

    /// Sets a password that somebody chose for himself, and signs him in anew: his other sessions end.
    pub async fn change(
        &self,
        catalog: &Catalog,
        user: &User,
        old: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<String, AccountError> {
        self.guesses.attempt(&user.name, from).map_err(AccountError::Wait)?;
        if old.len() > LONGEST_PASSWORD || !self.verify(old.to_owned(), user.password.clone()).await? {
            return Err(AccountError::Wrong);
        }
        self.guesses.succeeded(&user.name, from);
        if old == new {
            return Err(AccountError::Weak);
        }
        let hash = self.hashed(user.name.clone(), new.to_owned()).await?;
        if !catalog.replace_password(user, &hash).await? {
            return Err(AccountError::Wrong);
        }
        self.open(catalog, &User { password: hash, ..user.clone() }).await
    }

    async fn verify(&self, password: String, hash: String) -> Result<bool, AccountError> {
        let Ok(_room) = self.room.acquire().await else { return Ok(false) };
        let work = move || {
            let parsed = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        };
        let verified = tokio::task::spawn_blocking(work).await;
        verified.map_err(|error| AccountError::Hash(error.to_string()))?.map_err(AccountError::Hash)
    }

    async fn hashed(&self, name: String, password: String) -> Result<String, AccountError> {
        let _room = self.room.acquire().await.map_err(|error| AccountError::Hash(error.to_string()))?;
        let hashed = tokio::task::spawn_blocking(move || hash(&name, &password)).await;
        hashed.map_err(|error| AccountError::Hash(error.to_string()))?
    }
}

/// The first account, with a password to begin with; `None` when there is an account already.
pub async fn first_account(catalog: &Catalog) -> Result<Option<(&'static str, OneTime)>, AccountError> {
    if !catalog.users().await?.is_empty() {
        return Ok(None);
    }
    let (name, made) = ("admin", OneTime::new()?);
    let added = catalog.add_first_user(name, &hash(name, &made.password)?, ADMINISTRATOR, made.until).await?;
    Ok(added.then_some((name, made)))
}

/// A password that is made for somebody else, to choose another one with.
pub struct OneTime {
    /// What nobody guesses.
    pub password: String,
    /// When it ends, in unix milliseconds.
    pub until: i64,
}

impl OneTime {
    /// A new one.
    pub fn new() -> Result<OneTime, AccountError> {
        let password = secret()?.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        Ok(OneTime { password, until: after(ONE_TIME) })
    }

    /// What it is good for, for whoever hands it on.
    pub fn terms(&self) -> String {
        format!("good for choosing another one, until {}", local_time(self.until))
    }
}

/// So long from now, in unix milliseconds.
fn after(time: Duration) -> i64 {
    now() + i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}

/// A token for a program, and what of it is kept.
pub fn program_token() -> Result<(String, [u8; 32]), AccountError> {
    let token = secret()?;
    let kept = digest(&token);
    Ok((token, kept))
}

/// A password to begin with, and its hash.
pub(super) async fn one_time(accounts: &Accounts, name: &str) -> Result<(OneTime, String), AccountError> {
    let made = OneTime::new()?;
    let hash = accounts.hashed(name.to_owned(), made.password.clone()).await?;
    Ok((made, hash))
}

/// The hash of a new password. Takes some tenths of a second.
pub fn hash(name: &str, password: &str) -> Result<String, AccountError> {
    let length = password.chars().count();
    if length < SHORTEST_PASSWORD || password.len() > LONGEST_PASSWORD || password.eq_ignore_ascii_case(name) {
        return Err(AccountError::Weak);
    }
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| AccountError::Hash("there are no random numbers".into()))?;
    let failed = |error: argon2::password_hash::Error| AccountError::Hash(error.to_string());
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// 256 bits that nobody knows, as text.
pub(super) fn secret() -> Result<String, AccountError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AccountError::Hash("there are no random numbers".into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token: it has 256 random bits, so that there is nothing to guess.
fn digest(token: &str) -> [u8; 32] {
    blake3::hash(token.as_bytes()).into()
}

/// The hash of no password, for accounts that do not exist.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::guessing::FREE;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let temp = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&temp.path().join("catalog.db")).unwrap();
        (temp, catalog)
    }

    #[tokio::test]
    async fn the_first_account_is_made_once_and_its_password_has_to_be_changed() {
        let (_temp, catalog) = catalog();
        let (name, OneTime { password, .. }) = first_account(&catalog).await.unwrap().unwrap();
        assert!(first_account(&catalog).await.unwrap().is_none());
        let accounts = Accounts::default();
        let (user, token) = accounts.sign_in(&catalog, name, &password, HERE).await.unwrap();
        assert!(user.must_change() && user.roles == [ADMINISTRATOR]);
        let session = accounts.session(&catalog, &token).await.unwrap().unwrap();
        assert_eq!(session.user.name, name);
        assert!(accounts.session(&catalog, "other").await.unwrap().is_none());
        let weak = accounts.change(&catalog, &user, &password, "short", HERE).await;
        assert!(matches!(weak, Err(AccountError::Weak)));
        let new = accounts.change(&catalog, &user, &password, "correct horse battery", HERE).await.unwrap();
        assert!(accounts.session(&catalog, &token).await.unwrap().is_none(), "the old session has ended");
        assert!(!accounts.session(&catalog, &new).await.unwrap().unwrap().user.must_change());
        assert!(matches!(accounts.sign_in(&catalog, name, &password, HERE).await, Err(AccountError::Wrong)));
    }

    #[tokio::test]
    async fn a_password_that_somebody_else_made_ends() {
        let (_temp, catalog) = catalog();
        let (name, made) = first_account(&catalog).await.unwrap().unwrap();
        assert!((6 * 24..=7 * 24).contains(&((made.until - now()) / 3_600_000)), "seven days");
        let user = catalog.user(name).await.unwrap().unwrap();
        assert_eq!(user.one_time_until, Some(made.until));
        catalog.set_password(user.id, &user.password, Some(now() - 1)).await.unwrap();
        let accounts = Accounts::default();
        let ended = accounts.sign_in(&catalog, name, &made.password, HERE).await;
        assert!(matches!(ended, Err(AccountError::Ended(_))));
        let wrong = accounts.sign_in(&catalog, name, "a guess", HERE).await;
        assert!(matches!(wrong, Err(AccountError::Wrong)), "who does not know it is told nothing");
        // One that a person chose does not.
        catalog.set_password(user.id, &user.password, None).await.unwrap();
        assert!(accounts.sign_in(&catalog, name, &made.password, HERE).await.is_ok());
    }

    #[tokio::test]
    async fn guessing_is_slowed_down() {
        let (_temp, catalog) = catalog();
        let hash = hash("anna", "correct horse battery").unwrap();
        assert!(catalog.add_user("anna", &hash, &[], None).await.unwrap());
        assert!(!catalog.add_user("anna", &hash, &[], None).await.unwrap());
        let accounts = Accounts::default();
        for _ in 0..FREE {
            let wrong = accounts.sign_in(&catalog, "anna", "no", HERE).await;
            assert!(matches!(wrong, Err(AccountError::Wrong)));
        }
        let good = "correct horse battery";
        let elsewhere: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(matches!(accounts.sign_in(&catalog, "anna", good, HERE).await, Err(AccountError::Wait(_))));
        assert!(accounts.sign_in(&catalog, "anna", good, elsewhere).await.is_ok(), "nobody shuts her out");
        assert!(matches!(accounts.sign_in(&catalog, "bert", good, elsewhere).await, Err(AccountError::Wrong)));
        // Many at once are many, too.
        let accounts = Accounts::default();
        let attempts = (0..20).map(|_| {
            let (accounts, catalog) = (accounts.clone(), catalog.clone());
            tokio::spawn(async move { accounts.sign_in(&catalog, "anna", "no", HERE).await })
        });
        let (mut wrong, attempts) = (0, attempts.collect::<Vec<_>>());
        for attempt in attempts {
            wrong += u32::from(matches!(attempt.await.unwrap(), Err(AccountError::Wrong)));
        }
        assert_eq!(wrong, FREE);
        // Somebody who may not sign in has no session either.
        let accounts = Accounts::default();
        let (user, token) = accounts.sign_in(&catalog, "anna", good, HERE).await.unwrap();
        catalog.change_user(user.id, None, Some(true), None).await.unwrap();
        assert!(accounts.session(&catalog, &token).await.unwrap().is_none());
        assert!(matches!(accounts.sign_in(&catalog, "anna", good, HERE).await, Err(AccountError::Wrong)));
    }
}
