//! Other implementations of TLS: DCMTK's tools and pynetdicom, as SCU.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Ferry, PATIENCE, finish, text};
use crate::support::certificates::{Authority, Identity};

/// One of DCMTK's tools over TLS; what it said, as an error when it failed.
pub(crate) fn dcmtk_tls(
    tool: &str,
    authority: &Authority,
    own: &Identity,
    port: u16,
    arguments: &[&str],
) -> Result<String, String> {
    let mut command = Command::new(tool);
    command.arg("+tls").args([&own.key, &own.cert]).arg("+cf").arg(authority.ca()).args(["-aec", Ferry::NODE]);
    let (options, files): (Vec<&str>, Vec<&str>) = arguments.iter().copied().partition(|a| !Path::new(a).is_absolute());
    command.args(options).args(["127.0.0.1", &port.to_string()]).args(files);
    let done = finish(command, PATIENCE);
    let said = text(&done.stdout) + &text(&done.stderr);
    if done.status.success() { Ok(said) } else { Err(said) }
}

/// What pynetdicom is to do: C-ECHO as this AE title, with this certificate.
pub(crate) fn echo_by(authority: &Authority, own: Option<&Identity>, port: u16, calling: &str, more: Value) -> Value {
    let mut wanted = json!({ "ca": authority.ca(), "port": port, "calling": calling, "called": Ferry::NODE });
    let all = wanted.as_object_mut().unwrap();
    if let Some(own) = own {
        all.extend([("cert".to_owned(), json!(own.cert)), ("key".to_owned(), json!(own.key))]);
    }
    all.extend(more.as_object().unwrap().clone());
    let mut command = super::samples::script("tls.py");
    command.arg(wanted.to_string());
    let done = finish(command, PATIENCE * 2);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done.stderr)))
}
