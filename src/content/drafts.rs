//! Documents and new versions are filed like anything that arrives; nobody sees them before the flip.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::document::Document;
use super::rewrite::Draft;
use super::{Content, ContentError, Refusal};
use crate::catalog::{HeldInstance, Recorded};
use crate::dataset::{Amendment, CharacterSet};
use crate::dicom::{SopClassUid, SopInstanceUid, TransferSyntaxUid};
use crate::intake::Stored;
use crate::object::{Fragment, ObjectStream, Origin};
use crate::outlet::Departing;

/// Fragments that may wait for the door in.
const AHEAD: usize = 8;
/// The size of a fragment.
const FRAGMENT: usize = 256 * 1024;

/// Files them, one after the other. What is filed already, by an attempt before, is no obstacle.
pub(super) async fn file(content: &Content, drafts: &[Draft]) -> Result<(), ContentError> {
    for draft in drafts {
        let recorded = match draft {
            Draft::Document(document) => document_of(content, document).await?,
            Draft::Version { of, uid, amendment } => version_of(content, *of, uid, amendment).await?,
        };
        if !matches!(recorded, Recorded::New | Recorded::Duplicate) {
            let what = format!("instance {} that belongs to it could not be filed", draft.uid());
            return Err(Refusal::Changed { what }.into());
        }
    }
    Ok(())
}

async fn document_of(content: &Content, document: &Document) -> Result<Recorded, ContentError> {
    let syntax = TransferSyntaxUid::new(Document::SYNTAX);
    let (sender, stream) = stream(content, document.class.clone(), document.uid.clone(), syntax);
    let bytes = Bytes::from(document.data_set());
    let sending = async move {
        for at in (0..bytes.len()).step_by(FRAGMENT) {
            let piece = bytes.slice(at..bytes.len().min(at + FRAGMENT));
            if sender.send(Fragment::Data(piece)).await.is_err() {
                return Ok(());
            }
        }
        // Whoever does not listen any more says why.
        let _gone = sender.send(Fragment::End).await;
        Ok(())
    };
    take_in(content, stream, sending).await
}

/// The object as it is shown, with what is different in the new version of it.
async fn version_of(
    content: &Content,
    of: i64,
    uid: &SopInstanceUid,
    amendment: &Amendment,
) -> Result<Recorded, ContentError> {
    let gone = || Refusal::Changed { what: format!("the object that {uid} is made of has gone") };
    let mut held: HeldInstance = content.catalog.held(&[of]).await?.pop().ok_or_else(gone)?;
    held.amendments.push(Arc::new(amendment.clone()));
    let syntax = held.transfer_syntax.clone();
    let (sender, stream) = stream(content, held.class.clone(), uid.clone(), syntax.clone());
    let mut departing: Departing = content.outlet.open(held, &syntax);
    let sending = async move {
        while let Some(piece) = departing.piece().await? {
            if sender.send(Fragment::Data(Bytes::copy_from_slice(&piece))).await.is_err() {
                return Ok(());
            }
        }
        let _gone = sender.send(Fragment::End).await;
        Ok(())
    };
    take_in(content, stream, sending).await
}

async fn take_in(
    content: &Content,
    stream: ObjectStream,
    sending: impl Future<Output = Result<(), ContentError>>,
) -> Result<Recorded, ContentError> {
    let taking = content.intake.store(stream, CharacterSet::ascii(), &|_| false);
    let (sent, taken) = tokio::join!(sending, taking);
    // An object that cannot be read is cut short, which is the reason that it cannot be taken in.
    sent?;
    match taken? {
        Stored::Recorded(recorded) => Ok(recorded),
        Stored::Received => Ok(Recorded::New),
    }
}

fn stream(
    content: &Content,
    class: SopClassUid,
    instance: SopInstanceUid,
    transfer_syntax: TransferSyntaxUid,
) -> (mpsc::Sender<Fragment>, ObjectStream) {
    let (sender, fragments) = mpsc::channel(AHEAD);
    let origin = Origin {
        source: None,
        ae_title: content.config.node.ae_title.as_str().to_owned(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        association: 0,
    };
    (sender, ObjectStream { class, instance, transfer_syntax, origin, fragments })
}
