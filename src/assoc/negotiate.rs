//! What is accepted of an offer, and what an answer means: pure functions.

use super::pdu::AssociateAc;
use super::{Proposal, Transfer};
use crate::dicom::{TransferSyntaxUid, Uid, is_lossy, is_retired_big_endian, uids};

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

/// What to do with a presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accept it with this transfer syntax, which is one of the offered.
    Accept(TransferSyntaxUid),
    /// We do not speak this abstract syntax here.
    AbstractSyntaxNotSupported,
    /// None of the transfer syntaxes will do.
    TransferSyntaxesNotSupported,
    /// Not for this peer.
    UserRejection,
}

/// The outcome of an offer: what is answered, and what may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Results {
    pub(crate) contexts: Vec<(u8, Answer)>,
    pub(crate) roles: Vec<(Uid, Roles)>,
    pub(crate) transfers: Vec<Transfer>,
    /// Extended negotiation: SOP class and application information.
    pub(crate) extended: Vec<(Uid, Vec<u8>)>,
}

impl Results {
    /// Answers what was asked of the SOP classes that were accepted, once each.
    pub(crate) fn extend(&mut self, asked: &[(Uid, Vec<u8>)], answer: &super::Extension) {
        for (class, information) in asked {
            let accepted = self.transfers.iter().any(|transfer| transfer.abstract_syntax == *class);
            if accepted
                && !self.extended.iter().any(|(answered, _)| answered == class)
                && let Some(answer) = answer(class, information)
            {
                self.extended.push((class.clone(), answer));
            }
        }
    }
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

/// Which transfer syntax to accept: the only one; or the requestor's first, passing over Implicit VR when an
/// explicit or lossless compressed one is offered, and over lossy ones when anything else is, since an old PACS
/// could recompress.
pub fn choose_transfer_syntax(offered: &[TransferSyntaxUid]) -> Option<&TransferSyntaxUid> {
    let offered = || offered.iter().filter(|s| !s.is_empty());
    let implicit = |s: &TransferSyntaxUid| s.as_str() == uids::IMPLICIT_LE;
    let faithful = offered().any(|s| !is_lossy(s));
    let explicit = offered().any(|s| !is_lossy(s) && !implicit(s) && !is_retired_big_endian(s));
    offered().find(|s| !(is_lossy(s) && faithful || implicit(s) && explicit))
}

/// Whether an abstract syntax is, or may be, a storage SOP class: every UID but those known to be something else.
pub fn is_storage(abstract_syntax: &str) -> bool {
    let written_as_uid = (1..=64).contains(&abstract_syntax.len())
        && abstract_syntax.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && abstract_syntax.contains('.');
    if !written_as_uid {
        return false;
    }
    let Some(standard) = abstract_syntax.strip_prefix("1.2.840.10008.") else { return true };
    match standard.strip_prefix("5.1.4.1.1.") {
        // The branch of storage, and what else was put into it: protocol approval and inventory queries.
        Some(class) => !matches!(class, "200.4" | "200.5" | "200.6" | "201.2" | "201.3" | "201.4" | "201.5" | "201.6"),
        // Directories, stored prints and hard copies, RT delivery instructions, hanging protocols, palettes,
        // implant templates.
        None => matches!(
            standard,
            "1.3.10"
                | "5.1.1.27"
                | "5.1.1.29"
                | "5.1.1.30"
                | "5.1.4.34.1"
                | "5.1.4.34.7"
                | "5.1.4.34.10"
                | "5.1.4.38.1"
                | "5.1.4.39.1"
                | "5.1.4.43.1"
                | "5.1.4.44.1"
                | "5.1.4.45.1"
        ),
    }
}

/// Answers an offer. `choice` decides on each context that could be accepted at all.
pub(crate) fn answer(offered: &[Offered], choice: &dyn Fn(&Offered) -> Answer, accept_scp_role: bool) -> Results {
    let mut results = Results { contexts: Vec::new(), roles: Vec::new(), transfers: Vec::new(), extended: Vec::new() };
    for context in offered {
        let answer = if context.abstract_syntax.is_empty() {
            Answer::AbstractSyntaxNotSupported
        } else if context.transfer_syntaxes.iter().all(|s| s.is_empty()) {
            Answer::TransferSyntaxesNotSupported
        } else {
            choice(context)
        };
        if let Answer::Accept(syntax) = &answer {
            let roles = context.roles.map(|r| Roles { scu: r.scu, scp: r.scp && accept_scp_role });
            if let Some(roles) = roles
                && !results.roles.iter().any(|(class, _)| *class == context.abstract_syntax)
            {
                results.roles.push((context.abstract_syntax.clone(), roles));
            }
            results.transfers.push(Transfer {
                id: context.id,
                abstract_syntax: context.abstract_syntax.clone(),
                transfer_syntax: syntax.clone(),
                scu_role: roles.is_some_and(|r| r.scp),
                scp_role: roles.is_none_or(|r| r.scu),
            });
        }
        results.contexts.push((context.id, answer));
    }
    results
}

/// What an acceptor's answer leaves of our proposal. A context that we did not propose, that is accepted with a
/// transfer syntax that we did not propose for it, or accepted twice, is not used.
pub(crate) fn conclude(proposal: &Proposal, ac: &AssociateAc) -> Vec<Transfer> {
    let mut transfers: Vec<Transfer> = Vec::new();
    for (id, result, syntax) in &ac.contexts {
        let index = usize::from(id / 2);
        let proposed = proposal.contexts.get(index).filter(|_| id % 2 == 1 && *result == 0);
        let Some(proposed) = proposed else { continue };
        let syntax = match (syntax, proposed.transfer_syntaxes.as_slice()) {
            (Some(syntax), offered) if offered.iter().any(|o| TransferSyntaxUid::new(o) == *syntax) => syntax.clone(),
            // Some acceptors leave it out where there is nothing to choose.
            (None, [only]) => TransferSyntaxUid::new(only),
            _ => {
                tracing::warn!(
                    context = id,
                    "the peer accepted a presentation context with a transfer syntax that was not proposed"
                );
                continue;
            }
        };
        if transfers.iter().any(|t| t.id == *id) {
            continue;
        }
        let class = Uid::new(&proposed.abstract_syntax);
        let answered = ac.user.roles.iter().find(|(c, _)| *c == class).map(|(_, roles)| *roles);
        // Without an answer the default roles hold: we are the SCU.
        let roles = match (proposed.scp_role, answered) {
            (Some(scp), Some(answered)) => Roles { scu: answered.scu && !scp, scp: answered.scp && scp },
            _ => Roles { scu: true, scp: false },
        };
        transfers.push(Transfer {
            id: *id,
            abstract_syntax: class,
            transfer_syntax: syntax,
            scu_role: roles.scu,
            scp_role: roles.scp,
        });
    }
    transfers
}

#[cfg(test)]
mod tests;
