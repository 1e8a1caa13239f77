//! The identity provider: where its places are (OpenID Connect Discovery 1.0), what its keys are, and what it says for a code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, Semaphore};

use super::http::{self, Ask};
use super::verify::{self, TokenError};
use crate::assoc::tls::TlsError;
use crate::config::{HttpUrl, Oidc};

/// How long it may take to say one thing, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(15);
/// What it said of itself is asked again after so long.
const FRESH: Duration = Duration::from_secs(600);
/// A key that is not known makes us ask again, but not more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// Codes that are exchanged at one time.
const AT_ONCE: usize = 4;
/// The longest secret, in bytes.
const LONGEST_SECRET: u64 = 4096;

/// Why it did not help.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It is not there.
    #[error("the identity provider cannot be reached at {url}")]
    Connect {
        /// Where.
        url: String,
        /// Why.
        source: std::io::Error,
    },
    /// The files for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke, or what came was not HTTP.
    #[error("the identity provider did not answer at {url}")]
    Broken {
        /// Where.
        url: String,
        /// Why.
        source: hyper::Error,
    },
    /// It took too long.
    #[error("the identity provider did not answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// What it said cannot be used.
    #[error("what the identity provider says at {url} cannot be used: {why}")]
    Document {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// It does not know the code, or us.
    #[error("the identity provider refused the sign-in with {status}: {says}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        says: String,
    },
    /// What it says of the person cannot be believed.
    #[error("what the identity provider says of the person cannot be believed")]
    Token(#[from] TokenError),
    /// The file with the secret.
    #[error("`secret_file` of [web.oidc] cannot be read")]
    Secret(#[source] std::io::Error),
}

/// Its places.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    pub(super) end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What was asked last, of whom.
struct Known {
    issuer: String,
    at: Instant,
    metadata: Arc<Metadata>,
    keys: Arc<JwkSet>,
}

/// The provider, as far as it is known. A clone is another handle.
#[derive(Clone)]
pub struct Provider {
    known: Arc<Mutex<Option<Known>>>,
    room: Arc<Semaphore>,
}

impl Default for Provider {
    fn default() -> Self {
        Provider { known: Arc::default(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// An answer to a code.
#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
}

impl Provider {
    /// Whether it is there, says who it is, and has keys; and our secret can be read.
    pub async fn reach(oidc: &Oidc) -> Result<(), ProviderError> {
        secret(oidc).await?;
        Provider::default().metadata(oidc).await.map(drop)
    }

    /// Its places.
    pub(super) async fn metadata(&self, oidc: &Oidc) -> Result<Arc<Metadata>, ProviderError> {
        Ok(self.known(oidc, FRESH).await?.0)
    }

    /// What it says of the person for a code: everything about the token is checked.
    pub(super) async fn claims(
        &self,
        oidc: &Oidc,
        code: &str,
        verifier: &str,
        redirect: &str,
        nonce: &str,
    ) -> Result<Map<String, Value>, ProviderError> {
        let work = async {
            let Ok(_room) = self.room.acquire().await else { return Err(ProviderError::TooSlow) };
            let (metadata, keys) = self.known(oidc, FRESH).await?;
            let token = exchange(oidc, &metadata, code, verifier, redirect).await?;
            let believed = |keys: &JwkSet| verify::claims(&token, keys, &oidc.issuer, &oidc.client, nonce);
            match believed(&keys) {
                // It may have new keys.
                Err(TokenError::UnknownKey) => Ok(believed(&self.known(oidc, AT_MOST_EVERY).await?.1)?),
                believed => Ok(believed?),
            }
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(ProviderError::TooSlow))
    }

    /// Its places and keys, not older than this.
    async fn known(&self, oidc: &Oidc, fresh: Duration) -> Result<(Arc<Metadata>, Arc<JwkSet>), ProviderError> {
        let work = async {
            let mut known = self.known.lock().await;
            if let Some(known) = known.as_ref().filter(|k| k.issuer == oidc.issuer && k.at.elapsed() < fresh) {
                return Ok((Arc::clone(&known.metadata), Arc::clone(&known.keys)));
            }
            let url = format!("{}/.well-known/openid-configuration", oidc.issuer.trim_end_matches('/'));
            let metadata: Metadata = document(oidc, &url).await?;
            check(oidc, &url, &metadata)?;
            let keys: JwkSet = document(oidc, &metadata.jwks_uri).await?;
            let (metadata, keys) = (Arc::new(metadata), Arc::new(keys));
            let issuer = oidc.issuer.clone();
            *known =
                Some(Known { issuer, at: Instant::now(), metadata: Arc::clone(&metadata), keys: Arc::clone(&keys) });
            Ok((metadata, keys))
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(ProviderError::TooSlow))
    }
}

/// It has to be who we think, and nothing may go over a way that is less safe than that to it.
fn check(oidc: &Oidc, url: &str, metadata: &Metadata) -> Result<(), ProviderError> {
    let wrong = |why: String| Err(ProviderError::Document { url: url.to_owned(), why });
    if metadata.issuer != oidc.issuer {
        let said: String = metadata.issuer.chars().filter(|c| !c.is_control()).take(200).collect();
        return wrong(format!("it says that it is {said}; `issuer` in [web.oidc] has to be exactly that"));
    }
    let secure = oidc.issuer.starts_with("https:");
    let places = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
    for place in places.into_iter().chain(&metadata.end_session_endpoint) {
        match place.parse::<HttpUrl>() {
            Err(why) => return wrong(why),
            Ok(parsed) if parsed.secure != secure => {
                return wrong(format!("{place} is of another scheme than the issuer"));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

async fn document<T: for<'d> Deserialize<'d>>(oidc: &Oidc, url: &str) -> Result<T, ProviderError> {
    let (status, body) = http::ask(url, oidc.tls.as_ref(), Ask::Get).await?;
    let wrong = |why: String| ProviderError::Document { url: url.to_owned(), why };
    if status != StatusCode::OK {
        return Err(wrong(format!("it answers {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))
}

/// Gives a code, and gets the token.
async fn exchange(
    oidc: &Oidc,
    metadata: &Metadata,
    code: &str,
    verifier: &str,
    redirect: &str,
) -> Result<String, ProviderError> {
    let secret = secret(oidc).await?;
    let methods = &metadata.token_endpoint_auth_methods_supported;
    let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
        ("client_id", &oidc.client),
    ];
    let in_form = secret.as_deref().filter(|_| !basic).map(|secret| ("client_secret", secret));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs.into_iter().chain(in_form)).finish();
    let in_header = secret.as_deref().filter(|_| basic).map(|secret| {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(&oidc.client), encoded(secret))))
    });
    let authorization = in_header.and_then(|value| HeaderValue::from_str(&value).ok());
    let ask = Ask::Post { form, authorization };
    let (status, body) = http::ask(&metadata.token_endpoint, oidc.tls.as_ref(), ask).await?;
    if status != StatusCode::OK {
        let says = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(ProviderError::Refused { status, says });
    }
    let exchanged: Exchanged = serde_json::from_slice(&body)
        .map_err(|error| ProviderError::Document { url: metadata.token_endpoint.clone(), why: error.to_string() })?;
    Ok(exchanged.id_token)
}

/// What we show there; read each time, so that a new one is used.
async fn secret(oidc: &Oidc) -> Result<Option<String>, ProviderError> {
    let Some(path) = oidc.secret_file.clone() else { return Ok(None) };
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(&path)?.take(LONGEST_SECRET).read_to_string(&mut text)?;
        std::io::Result::Ok(text.trim().to_owned())
    });
    let text = read.await.map_err(|error| ProviderError::Secret(std::io::Error::other(error)))?;
    text.map(Some).map_err(ProviderError::Secret)
}
