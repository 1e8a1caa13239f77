//! A small identity provider (OpenID Connect) on this machine that can be told to lie.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Map, Value, json};

use super::peers::Ferry;

/// What it says of the next person, and how it lies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Says {
    /// Claims beside, or instead of, the right ones.
    pub(crate) claims: Map<String, Value>,
    /// Signed with a key that it does not name.
    pub(crate) forged: bool,
    /// Not signed at all.
    pub(crate) unsigned: bool,
}

/// The provider. It answers as long as the test runs.
pub(crate) struct IdentityProvider {
    pub(crate) port: u16,
    says: Arc<Mutex<Says>>,
}

struct State {
    port: u16,
    key: EcdsaKeyPair,
    other: EcdsaKeyPair,
    says: Arc<Mutex<Says>>,
    /// What was asked for with the code that was given last: challenge, nonce, redirect.
    asked: Mutex<Option<(String, String, String)>>,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The value of a pair of a query or a form.
fn pair(text: &str, name: &str) -> String {
    let found = form_urlencoded::parse(text.as_bytes()).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl IdentityProvider {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let says: Arc<Mutex<Says>> = Arc::default();
        let state = State { port, key: key(), other: key(), says: Arc::clone(&says), asked: Mutex::default() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                state.answer(stream);
            }
        });
        IdentityProvider { port, says }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}/realm", self.port)
    }

    /// A pacsferry whose accounts it vouches for.
    #[expect(clippy::disallowed_methods, reason = "the configuration of the test")]
    pub(crate) fn ferry(&self) -> Ferry {
        let ferry = Ferry::new();
        let secret = ferry.folder().join("oidc.secret");
        std::fs::write(&secret, "s3cret\n").unwrap();
        let more = format!(
            "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n\
             [web.oidc]\nissuer = \"{}\"\nclient = \"us\"\nsecret_file = \"{}\"\ntitle = \"Hospital & Co\"\n\
             roles = [ {{ group = \"pacs-readers\", role = \"readers\" }}, {{ group = \"pacs-admins\", role = \"administrator\" }} ]\n",
            self.issuer(),
            secret.display()
        );
        ferry.configure_with(&[], &more);
        ferry
    }

    pub(crate) fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

impl State {
    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { return };
        let header = |name: &str| {
            let mut all = lines.iter().filter_map(|line| line.split_once(": "));
            all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value).to_owned()
        };
        let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        let form = String::from_utf8(body).unwrap();
        let (status, location, document) = self.done(path, &form, &header("authorization"));
        let location = location.map_or(String::new(), |location| format!("Location: {location}\r\n"));
        let text = document.to_string();
        let length = text.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\n{location}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
        );
    }

    fn done(&self, path: &str, form: &str, authorization: &str) -> (u16, Option<String>, Value) {
        let issuer = format!("http://127.0.0.1:{}/realm", self.port);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/realm/.well-known/openid-configuration" => {
                let place = |name: &str| format!("{issuer}/{name}");
                let places = json!({
                    "issuer": issuer, "authorization_endpoint": place("authorize"), "token_endpoint": place("token"),
                    "jwks_uri": place("keys"), "end_session_endpoint": place("logout"),
                });
                (200, None, places)
            }
            "/realm/keys" => {
                let point = self.key.public_key().as_ref();
                let key = json!({
                    "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "x": b64(&point[1..33]), "y": b64(&point[33..]),
                });
                (200, None, json!({ "keys": [key] }))
            }
            "/realm/authorize" => {
                assert_eq!((pair(query, "response_type").as_str(), pair(query, "client_id").as_str()), ("code", "us"));
                assert_eq!(pair(query, "code_challenge_method"), "S256");
                let redirect = pair(query, "redirect_uri");
                *self.asked.lock().unwrap() =
                    Some((pair(query, "code_challenge"), pair(query, "nonce"), redirect.clone()));
                (302, Some(format!("{redirect}?code=the-code&state={}", pair(query, "state"))), Value::Null)
            }
            "/realm/token" => {
                let Some((challenge, nonce, redirect)) = self.asked.lock().unwrap().take() else {
                    return (400, None, json!({ "error": "invalid_grant" }));
                };
                let shown = b64(digest(&SHA256, pair(form, "code_verifier").as_bytes()));
                let right =
                    pair(form, "code") == "the-code" && shown == challenge && pair(form, "redirect_uri") == redirect;
                // `us:s3cret`, as the configuration has it.
                if !right || authorization != "Basic dXM6czNjcmV0" {
                    return (400, None, json!({ "error": "invalid_grant" }));
                }
                (
                    200,
                    None,
                    json!({ "access_token": "x", "token_type": "Bearer", "id_token": self.token(&issuer, &nonce) }),
                )
            }
            _ => (404, None, Value::Null),
        }
    }

    fn token(&self, issuer: &str, nonce: &str) -> String {
        let says = self.says.lock().unwrap().clone();
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": issuer, "aud": "us", "sub": "person-7", "nonce": nonce, "iat": now, "exp": now + 300,
            "preferred_username": "olga", "groups": ["pacs-readers"],
        });
        claims.as_object_mut().unwrap().extend(says.claims);
        let algorithm = if says.unsigned { "none" } else { "ES256" };
        let head = json!({ "alg": algorithm, "kid": "one", "typ": "JWT" });
        let message = format!("{}.{}", b64(head.to_string()), b64(claims.to_string()));
        if says.unsigned {
            return format!("{message}.");
        }
        let key = if says.forged { &self.other } else { &self.key };
        let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", b64(signature))
    }
}
