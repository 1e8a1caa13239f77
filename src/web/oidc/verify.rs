//! ID tokens (RFC 7519, OpenID Connect Core 1.0 §3.1.3.7): `jsonwebtoken` takes them apart and checks their claims, `ring`
//! their signatures. Only signatures by the private key of the provider count: none, and none by a shared secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};

/// The longest token, in bytes.
const LONGEST: usize = 64 * 1024;
/// The most keys that are looked through.
const MOST_KEYS: usize = 100;

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The provider has no such key, or it has not told us yet.
    #[error("it is signed with a key that the provider does not name")]
    UnknownKey,
    /// Somebody else's, too old, or forged.
    #[error("it is somebody else's, too old, or forged ({0})")]
    Invalid(#[from] Error),
    /// It was made for another sign-in.
    #[error("it was made for another sign-in")]
    Nonce,
    /// It asks for something to be understood that nobody here knows (RFC 7515 §4.1.11).
    #[error("it is of a kind that is not understood")]
    Critical,
    /// It was made for another program.
    #[error("it was made for another program")]
    Party,
    /// It is beyond all measure.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
}

/// A key for one kind of signature.
enum Key {
    Rsa(&'static RsaParameters, Vec<u8>, Vec<u8>),
    Bytes(&'static dyn VerificationAlgorithm, Vec<u8>),
}

struct Checker {
    algorithm: Algorithm,
    key: Key,
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(checker(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// The claims of a token of this issuer, for this client and this sign-in.
pub(super) fn claims(
    token: &str,
    keys: &JwkSet,
    issuer: &str,
    client: &str,
    nonce: &str,
) -> Result<Map<String, Value>, TokenError> {
    // The second time it is there already.
    let _installed = PROVIDER.install_default();
    if token.len() > LONGEST {
        return Err(TokenError::TooLong);
    }
    let header = decode_header(token)?;
    if !is_plain(token) {
        return Err(TokenError::Critical);
    }
    let key = DecodingKey::from_jwk(key(keys, header.kid.as_deref())?)?;
    // Which algorithms there are is said by `checker`.
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[client]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let claims = decode::<Map<String, Value>>(token, &key, &validation)?.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss").is_none() {
        return Err(TokenError::Party);
    }
    if text("nonce") != Some(nonce) {
        return Err(TokenError::Nonce);
    }
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|audience| audience.len() > 1);
    let party = text("azp");
    if party.is_some_and(|party| party != client) || (several && party.is_none()) {
        return Err(TokenError::Party);
    }
    Ok(claims)
}

/// Whether the header of a token asks for nothing to be understood beyond what everybody understands.
fn is_plain(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Map<String, Value>>(&header).ok());
    header.is_some_and(|header| !header.contains_key("crit"))
}

/// The key of this name; where the token names none, the only one that there is.
fn key<'k>(keys: &'k JwkSet, id: Option<&str>) -> Result<&'k Jwk, TokenError> {
    let signs = |key: &&Jwk| key.common.public_key_use != Some(PublicKeyUse::Encryption);
    let mut fit = keys
        .keys
        .iter()
        .take(MOST_KEYS)
        .filter(signs)
        .filter(|key| id.is_none_or(|id| key.common.key_id.as_deref() == Some(id)));
    match (fit.next(), fit.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(TokenError::UnknownKey),
    }
}

fn checker(algorithm: Algorithm, key: &DecodingKey) -> Result<Checker, Error> {
    let rsa = |parameters: &'static RsaParameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            // Some write a zero before the number, which `ring` does not take.
            let zeros = n.iter().take_while(|byte| **byte == 0).count();
            Ok(Key::Rsa(parameters, n.iter().skip(zeros).copied().collect(), e.clone()))
        }
        DecodingKeyKind::SecretOrDer(_) => Err(Error::from(ErrorKind::InvalidKeyFormat)),
    };
    let bytes =
        |algorithm: &'static dyn VerificationAlgorithm| Ok(Key::Bytes(algorithm, key.try_get_as_bytes()?.to_vec()));
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = match algorithm {
        Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => bytes(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => bytes(&ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => bytes(&ED25519),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(Checker { algorithm, key: key? })
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match &self.key {
            Key::Rsa(parameters, n, e) => RsaPublicKeyComponents { n, e }.verify(parameters, message, signature),
            Key::Bytes(algorithm, key) => UnparsedPublicKey::new(*algorithm, key).verify(message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}
