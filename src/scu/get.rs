//! The C-STORE sub-operations of a C-GET, on the association that asked for it.

use tokio::sync::{mpsc, oneshot};

use super::operation::{Operation, Step};
use super::watch::{Trouble, Wake};
use super::{ScuError, Store};
use crate::dicom::{SopClassUid, SopInstanceUid, Status};
use crate::dimse::Command;
use crate::object::{FRAGMENTS_IN_FLIGHT, Fragment, ObjectStream, Origin};

/// Takes one object, which is stored while it is read, and answers.
pub(super) async fn sub_operation(
    operation: &mut Operation<'_>,
    context: u8,
    request: &Command,
    store: &Store,
) -> Result<Step<()>, ScuError> {
    let (send, fragments) = mpsc::channel(FRAGMENTS_IN_FLIGHT);
    let stream = match stream(operation, context, request, fragments)? {
        Some(stream) => stream,
        None => {
            let what = format!("an object on presentation context {context}, which was not accepted");
            return Err(operation.unexpected(what).await);
        }
    };
    let (stored, answer) = oneshot::channel();
    let storing = async {
        let answer = store(stream).await;
        // Nobody listens any more only when the operation has failed.
        drop(stored.send(answer));
    };
    let feeding = async {
        if request.has_data_set {
            if let Step::Gone = feed(operation, send).await? {
                return Ok(Step::Gone);
            }
        } else {
            // Cut short: an object without a data set is none.
            drop(send);
        }
        patiently(operation, answer).await
    };
    let ((), fed) = tokio::join!(storing, feeding);
    let Step::Got(answer) = fed? else {
        return Ok(Step::Gone);
    };
    let (status, comment) = answer.unwrap_or((Status::PROCESSING_FAILURE, None));
    let mut response = Command::response(request, status);
    response.comment = comment;
    operation.send(context, &response, None).await.map(Step::Got)
}

/// `None` when the context was never accepted.
fn stream(
    operation: &mut Operation<'_>,
    context: u8,
    request: &Command,
    fragments: mpsc::Receiver<Fragment>,
) -> Result<Option<ObjectStream>, ScuError> {
    let target = operation.source.target();
    let (source, ae_title) = (Some(target.name.clone()), target.called.to_string());
    let association = operation.source.session()?.association();
    let Some(transfer) = association.context(context) else {
        return Ok(None);
    };
    Ok(Some(ObjectStream {
        class: request.class.clone().unwrap_or_else(|| SopClassUid::from(transfer.abstract_syntax.clone())),
        // An object that its sender does not name is kept under what its data set says.
        instance: request.instance.clone().unwrap_or_else(|| SopInstanceUid::new("")),
        transfer_syntax: transfer.transfer_syntax.clone(),
        origin: Origin { source, ae_title, address: association.peer().address.ip(), association: association.id() },
        fragments,
    }))
}

/// Hands the data set on as it comes. A store that takes no more is no reason to stop reading: it has an answer.
async fn feed(operation: &mut Operation<'_>, send: mpsc::Sender<Fragment>) -> Result<Step<()>, ScuError> {
    let mut wanted = true;
    loop {
        let Step::Got((data, last)) = operation.read().await? else {
            return Ok(Step::Gone);
        };
        let data = (!data.is_empty()).then_some(Fragment::Data(data));
        for fragment in data.into_iter().chain(last.then_some(Fragment::End)) {
            if !wanted {
                continue;
            }
            match patiently(operation, send.reserve()).await? {
                Step::Got(Ok(place)) => place.send(fragment),
                Step::Got(Err(_closed)) => wanted = false,
                Step::Gone => return Ok(Step::Gone),
            }
        }
        if last {
            return Ok(Step::Got(()));
        }
    }
}

/// Waits for our own side: the disk, the catalog. Meanwhile the source owes no sign of life.
async fn patiently<F: Future>(operation: &mut Operation<'_>, future: F) -> Result<Step<F::Output>, ScuError> {
    let mut future = std::pin::pin!(future);
    loop {
        match operation.watch.wait(&mut future).await {
            Wake::Got(output) => return Ok(Step::Got(output)),
            Wake::Not(Trouble::Idle) => {}
            Wake::Not(trouble) => {
                if !operation.settle(trouble).await? {
                    return Ok(Step::Gone);
                }
            }
        }
    }
}
