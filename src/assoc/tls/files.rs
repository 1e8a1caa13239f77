//! Reading certificates, keys and passcodes. Blocks.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::config::{KeyPair, LONGEST_PASSCODE};

/// The longest file that is read: some hundred certificates.
const LONGEST: u64 = 1 << 20;

/// A chain of certificates and the key of the first.
pub(super) fn key_pair(own: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    Ok((certificates(&own.cert)?, key(&own.key)?))
}

/// The certificates of a file, one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate { path: path.into() }),
        Ok(found) => Ok(found),
        Err(_) => Err(TlsError::Malformed { path: path.into() }),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound => {
            let encrypted = bytes.windows(9).any(|window| window == b"ENCRYPTED");
            TlsError::NoKey { path: path.into(), encrypted }
        }
        // Not a word of what is in the file.
        _ => TlsError::Malformed { path: path.into() },
    })
}

/// A passcode: what the file holds, without the end of its last line.
pub(in super::super) fn passcode(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = read(path)?;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    match bytes.len() {
        1..=LONGEST_PASSCODE => Ok(bytes),
        length => Err(TlsError::Passcode { path: path.into(), length }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LONGEST => {
            Err(TlsError::Unreadable { path: path.into(), source: ErrorKind::FileTooLarge.into() })
        }
        Ok(_) => Ok(bytes),
        Err(source) => Err(TlsError::Unreadable { path: path.into(), source }),
    }
}
