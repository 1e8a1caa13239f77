//! Asking the AI platform to scan a study again.

use std::io::Read;
use std::path::Path;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::http::{self, Answer, Post};
use super::{Again, Outbox, Verdict, chain};
use crate::catalog::{CatalogError, OutboxEntry};
use crate::config::{Ai, Config};
use crate::dicom::StudyInstanceUid;

/// The longest token, in bytes.
const LONGEST_TOKEN: u64 = 8192;

impl Outbox {
    /// One request.
    pub(super) async fn rescan(
        &self,
        config: &Config,
        entry: &OutboxEntry,
        study: &StudyInstanceUid,
        reason: &str,
        stop: &CancellationToken,
    ) -> Result<Verdict, CatalogError> {
        let Some(ai) = &config.ai else {
            let what = "no AI platform is configured; add [ai] to the configuration, and try it again";
            return Ok(Verdict::Refused(what.to_owned()));
        };
        let accession_number = match self.catalog.to_rescan(study).await? {
            Some((accession_number, 1..)) => accession_number,
            _ => return Ok(Verdict::Told("the study has no objects any more, so that nothing was asked for".into())),
        };
        let authorization = match ai.token_file.as_deref().map(bearer).transpose() {
            Ok(authorization) => authorization,
            Err(detail) => return Ok(Verdict::Again(Again { detail, after: None, whoever: true })),
        };
        let archive = config.node.ae_title.as_str();
        let key = format!("{archive}-{}", entry.id);
        let body = json!({
            "request": key,
            "study_instance_uid": study.as_str(),
            "accession_number": accession_number,
            "reason": reason,
            "operation": entry.operation,
            "archive": archive,
        });
        let post = Post { body: body.to_string().into_bytes(), key, authorization };
        let answered = tokio::select! {
            () = stop.cancelled() => return Ok(Verdict::Stopped),
            answered = http::post(&ai.rescan_url, ai.tls.as_ref(), ai.timeout, post) => answered,
        };
        Ok(match answered {
            Ok(answer) => verdict(&answer),
            Err(error) => Verdict::Again(Again { detail: chain(&error), after: None, whoever: true }),
        })
    }
}

/// Whether the platform can be called, and the token be read; nothing is asked of it.
pub async fn reach(ai: &Ai) -> Result<(), String> {
    ai.token_file.as_deref().map(bearer).transpose()?;
    http::reach(&ai.rescan_url, ai.tls.as_ref(), ai.timeout).await.map_err(|error| chain(&error))
}

/// What an answer means. What the client did wrong is wrong the next time as well, save that it came too early or too
/// often.
fn verdict(answer: &Answer) -> Verdict {
    let Answer { status, retry_after, location, says } = answer;
    let mut detail = format!("the AI platform answered {status}");
    if let Some(location) = location {
        detail.push_str(&format!(" and names another place, {location}: set `rescan_url` in [ai]"));
    }
    if !says.is_empty() {
        detail.push_str(&format!(": {says}"));
    }
    match *status {
        status if status.is_success() => Verdict::Told(format!("accepted with {status}")),
        StatusCode::REQUEST_TIMEOUT => Verdict::Again(Again { detail, after: *retry_after, whoever: false }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Verdict::Again(Again { detail, after: *retry_after, whoever: true })
        }
        status if status.is_client_error() => Verdict::Refused(detail),
        // It may be this study that it cannot cope with.
        _ => Verdict::Again(Again { detail, after: *retry_after, whoever: false }),
    }
}

/// The header with the token of a file, which is read each time.
fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let unreadable = |why: &str| format!("the token file {} {why}: see `token_file` in [ai]", path.display());
    let mut token = String::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(&format!("cannot be read ({error})")))?;
    file.take(LONGEST_TOKEN)
        .read_to_string(&mut token)
        .map_err(|error| unreadable(&format!("cannot be read ({error})")))?;
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unreadable("holds no token of printable ASCII"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| unreadable("holds no token of printable ASCII"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(status: u16) -> Answer {
        let retry_after = Some(Duration::from_secs(7));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after,
            location: None,
            says: "no such study".into(),
        }
    }

    #[test]
    fn only_what_the_platform_will_never_accept_is_given_up() {
        for status in [200, 201, 202, 204] {
            assert!(matches!(verdict(&answered(status)), Verdict::Told(_)), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 422] {
            match verdict(&answered(status)) {
                Verdict::Refused(why) => assert!(why.contains("no such study") && why.contains(&status.to_string())),
                _ => panic!("{status}"),
            }
        }
        for status in [301, 308, 408, 429, 500, 502, 503, 504] {
            let Verdict::Again(again) = verdict(&answered(status)) else { panic!("{status}") };
            assert_eq!((again.after, again.whoever), (Some(Duration::from_secs(7)), [429, 503].contains(&status)));
        }
    }

    #[test]
    fn a_token_is_one_line_of_printable_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let of = |text: &[u8]| {
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text).unwrap();
            bearer(&path)
        };
        assert_eq!(of(b"abc.def\n").unwrap(), "Bearer abc.def");
        for wrong in [&b""[..], b" \n", b"two words", b"two\nlines", "\u{e4}".as_bytes(), b"\xff"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
        assert!(bearer(&folder.path().join("missing")).unwrap_err().contains("token_file"));
    }
}
