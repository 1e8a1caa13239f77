//! What is accepted of an offer: pure functions.

use crate::dicom::{TransferSyntaxUid, Uid};

use super::Answer;

/// A presentation context as it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Presentation context id, odd.
    pub id: u8,
    /// The abstract syntax.
    pub abstract_syntax: Uid,
    /// The transfer syntaxes, in the requestor's order.
    pub transfer_syntaxes: Vec<TransferSyntaxUid>,
    /// The role selection for its abstract syntax, if there is one.
    pub roles: Option<Roles>,
}

/// The roles of a requestor for a SOP class (PS3.7 §D.3.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// The requestor sends requests.
    pub scu: bool,
    /// The requestor takes requests.
    pub scp: bool,
}

impl Offered {
    /// Accepts the context with the transfer syntax of [`choose_transfer_syntax`].
    pub fn accept(&self) -> Answer {
        match choose_transfer_syntax(&self.transfer_syntaxes) {
            Some(syntax) => Answer::Accept(syntax.clone()),
            None => Answer::TransferSyntaxesNotSupported,
        }
    }
}

/// Which transfer syntax to accept: the only one; or the requestor's first, passing over Implicit VR when an explicit or
/// lossless compressed one is offered, and over lossy ones when anything else is, since an old PACS could recompress.
pub fn choose_transfer_syntax(offered: &[TransferSyntaxUid]) -> Option<&TransferSyntaxUid> {
    let _ = offered;
    todo!()
}

/// Whether an abstract syntax is, or may be, a storage SOP class: every UID but those known to be something else.
pub fn is_storage(abstract_syntax: &str) -> bool {
    let _ = abstract_syntax;
    todo!()
}
