//! The TLS of a port that is listened on, made anew whenever the configuration was read again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::{error, info, warn};

use super::{Acceptor, Finding, TlsError, examine};
use crate::config::{Config, ServerTls};

/// Which of the ports.
type Select = fn(&Config) -> Option<&ServerTls>;

/// What a port speaks now.
pub struct TlsPort {
    select: Select,
    current: Mutex<(Arc<Config>, Option<Acceptor>)>,
}

impl TlsPort {
    /// Reads the files of a port. Blocks.
    pub fn open(config: &Arc<Config>, select: Select) -> Result<Self, TlsError> {
        let acceptor = select(config).map(Acceptor::load).transpose()?;
        tell(config);
        Ok(TlsPort { select, current: Mutex::new((Arc::clone(config), acceptor)) })
    }

    /// What to accept a connection with; `None` is plain DICOM. When the configuration is another than the last time,
    /// the files are read again; when they are no good, what held before goes on. Reads files at such a change only.
    pub fn acceptor(&self, config: &Arc<Config>) -> Option<Acceptor> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current.0, config) {
            current.0 = Arc::clone(config);
            match (self.select)(config).map(Acceptor::load).transpose() {
                Ok(acceptor) => {
                    if acceptor.is_some() {
                        info!("certificates and keys were read again");
                        tell(config);
                    }
                    current.1 = acceptor;
                }
                Err(failure) => error!(
                    error = &failure as &dyn std::error::Error,
                    remedy = failure.remedy(),
                    "the new certificates or keys cannot be used; the former ones stay in force"
                ),
            }
        }
        current.1.clone()
    }
}

/// What an administrator should know before a peer tells it.
fn tell(config: &Config) {
    for Finding { severe, problem } in examine(config, SystemTime::now()) {
        let (at, remedy) = (problem.where_, problem.remedy);
        match severe {
            true => error!(at, remedy, "{}", problem.message),
            false => warn!(at, remedy, "{}", problem.message),
        }
    }
}
