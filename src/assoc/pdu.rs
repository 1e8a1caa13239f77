//! The PDUs that open and close an association. Written by `dicom-ul`, read here: tolerant where the standard lets
//! a peer be odd, and bounded by what was received.

mod user;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, RequestorRoles, UserVariableItem, write_pdu,
};

use super::negotiate::{Offered, Results};
use super::{AssocError, MOST_CONTEXTS, Proposal, Rejection};
use crate::dicom::{TransferSyntaxUid, Uid, uids};

use user::read_user;
pub(crate) use user::{Passcode, UserIdentity, UserInformation};

/// The most transfer syntaxes of one presentation context, role selections or extended negotiations that are kept.
const MOST_SUB_ITEMS: usize = 256;

/// The types of PDU (PS3.8 §9.3).
pub(crate) mod kind {
    pub(crate) const ASSOCIATE_RQ: u8 = 1;
    pub(crate) const ASSOCIATE_AC: u8 = 2;
    pub(crate) const ASSOCIATE_RJ: u8 = 3;
    pub(crate) const P_DATA: u8 = 4;
    pub(crate) const RELEASE_RQ: u8 = 5;
    pub(crate) const RELEASE_RP: u8 = 6;
    pub(crate) const ABORT: u8 = 7;
}

/// The header of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) length: u32,
}

impl Header {
    pub(crate) const LENGTH: usize = 6;

    /// Reads the header at the front, if it is here as a whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Header> {
        let &[kind, _, a, b, c, d] = bytes.first_chunk()?;
        Some(Header { kind, length: u32::from_be_bytes([a, b, c, d]) })
    }

    /// Whether it is no PDU but a record of TLS: an alert or a handshake.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self.kind, 0x15 | 0x16)
    }

    pub(crate) fn name(self) -> &'static str {
        match self.kind {
            kind::ASSOCIATE_RQ => "an A-ASSOCIATE-RQ",
            kind::ASSOCIATE_AC => "an A-ASSOCIATE-AC",
            kind::ASSOCIATE_RJ => "an A-ASSOCIATE-RJ",
            kind::P_DATA => "a P-DATA PDU",
            kind::RELEASE_RQ => "an A-RELEASE-RQ",
            kind::RELEASE_RP => "an A-RELEASE-RP",
            kind::ABORT => "an A-ABORT",
            b'A'..=b'Z' => "what looks like HTTP or another text protocol",
            _ if self.is_tls() => "what looks like TLS",
            _ => "what is no PDU of DICOM",
        }
    }
}

/// An A-ASSOCIATE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateRq {
    pub(crate) version: u16,
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) application_context: Option<Uid>,
    /// Those with an odd id that no earlier one has; `roles` filled in.
    pub(crate) contexts: Vec<Offered>,
    pub(crate) user: UserInformation,
}

/// An A-ASSOCIATE-AC. The AE titles in it are not to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociateAc {
    /// Id, result (0 is acceptance) and transfer syntax.
    pub(crate) contexts: Vec<(u8, u8, Option<TransferSyntaxUid>)>,
    pub(crate) user: UserInformation,
}

/// Reads the body of an A-ASSOCIATE-RQ.
pub(crate) fn read_rq(body: &[u8]) -> Result<AssociateRq, String> {
    let (version, called, calling, items) = read_fixed(body, "an A-ASSOCIATE-RQ")?;
    let mut rq = AssociateRq {
        version,
        called,
        calling,
        application_context: None,
        contexts: Vec::new(),
        user: UserInformation::default(),
    };
    for item in Items(items) {
        match item? {
            (0x10, name) => rq.application_context = Some(Uid::from_bytes(name)),
            (0x20, context) => read_offered(context, &mut rq.contexts)?,
            (0x50, user) => rq.user = read_user(user)?,
            (other, _) => tracing::debug!(item = other, "skipped an unknown item of an A-ASSOCIATE-RQ"),
        }
    }
    for context in &mut rq.contexts {
        context.roles =
            rq.user.roles.iter().find(|(class, _)| *class == context.abstract_syntax).map(|(_, roles)| *roles);
    }
    Ok(rq)
}

/// Reads the body of an A-ASSOCIATE-AC.
pub(crate) fn read_ac(body: &[u8]) -> Result<AssociateAc, String> {
    let (_, _, _, items) = read_fixed(body, "an A-ASSOCIATE-AC")?;
    let mut ac = AssociateAc { contexts: Vec::new(), user: UserInformation::default() };
    for item in Items(items) {
        match item? {
            (0x21, context) => {
                let Some((&[id, _, result, _], items)) = context.split_first_chunk() else {
                    return Err("a presentation context item is too short".into());
                };
                // Not significant, and often missing or malformed, when the context was not accepted.
                let syntax = Items(items)
                    .find_map(|i| i.ok().filter(|(kind, _)| *kind == 0x40))
                    .map(|(_, name)| TransferSyntaxUid::from_bytes(name));
                if ac.contexts.len() < MOST_CONTEXTS {
                    ac.contexts.push((id, result, syntax.filter(|s| !s.is_empty())));
                }
            }
            (0x50, user) => ac.user = read_user(user)?,
            (0x10, _) => {}
            (other, _) => tracing::debug!(item = other, "skipped an unknown item of an A-ASSOCIATE-AC"),
        }
    }
    Ok(ac)
}

/// Protocol version, called and calling AE title, and the variable items behind the reserved bytes.
fn read_fixed<'a>(body: &'a [u8], what: &str) -> Result<(u16, String, String, &'a [u8]), String> {
    const FIXED: usize = 68;
    match (body.first_chunk::<FIXED>(), body.get(FIXED..)) {
        (Some(&[a, b, _, _, ref titles @ ..]), Some(items)) => {
            let (called, rest) = titles.split_at(16);
            let (calling, _) = rest.split_at(16);
            Ok((u16::from_be_bytes([a, b]), ae_title(called), ae_title(calling), items))
        }
        _ => Err(format!("{what} of {} bytes is too short", body.len())),
    }
}

/// An AE title as a peer padded it, with spaces, NULs or what was behind a C string: cut, and free of control
/// characters.
pub(crate) fn ae_title(field: &[u8]) -> String {
    let start = field.iter().position(|b| !matches!(b, 0 | b' ')).unwrap_or(field.len());
    let text = field.get(start..).unwrap_or_default();
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    plain(text)
}

/// Foreign text that is shown and compared: printable ASCII, everything else becomes a question mark; 64 characters
/// at most.
pub(crate) fn plain(text: &[u8]) -> String {
    let text: String = text.iter().take(64).map(|b| if matches!(b, b' '..=b'~') { *b as char } else { '?' }).collect();
    text.trim_matches(' ').to_string()
}

fn read_offered(item: &[u8], contexts: &mut Vec<Offered>) -> Result<(), String> {
    let Some((&[id, _, _, _], items)) = item.split_first_chunk() else {
        return Err("a presentation context item is too short".into());
    };
    if id % 2 == 0 || contexts.iter().any(|c| c.id == id) {
        tracing::debug!(context = id, "skipped a presentation context with an even or repeated id");
        return Ok(());
    }
    let mut offered = Offered { id, abstract_syntax: Uid::new(""), transfer_syntaxes: Vec::new(), roles: None };
    for sub_item in Items(items) {
        match sub_item? {
            (0x30, name) => offered.abstract_syntax = Uid::from_bytes(name),
            (0x40, name) if offered.transfer_syntaxes.len() < MOST_SUB_ITEMS => {
                offered.transfer_syntaxes.push(TransferSyntaxUid::from_bytes(name));
            }
            (other, _) => tracing::debug!(item = other, "skipped a sub-item of a presentation context"),
        }
    }
    contexts.push(offered);
    Ok(())
}

/// Items: a type, a reserved byte, a length of two bytes, so many bytes.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = self.0.split_first_chunk().and_then(|(&[kind, _, a, b], rest)| {
            let (item, rest) = rest.split_at_checked(u16::from_be_bytes([a, b]).into())?;
            Some((kind, item, rest))
        });
        Some(match split {
            Some((kind, item, rest)) => {
                self.0 = rest;
                Ok((kind, item))
            }
            None => {
                let left = std::mem::take(&mut self.0).len();
                Err(format!("an item of the association PDU is longer than the {left} bytes that are left"))
            }
        })
    }
}

/// An A-ASSOCIATE-RQ for a proposal, by this user.
pub(crate) fn write_rq(proposal: &Proposal, identity: Option<&UserIdentity>) -> Result<Vec<u8>, AssocError> {
    if proposal.contexts.len() > MOST_CONTEXTS {
        let what = format!("{} presentation contexts, {MOST_CONTEXTS} is the most", proposal.contexts.len());
        return Err(AssocError::Unspeakable { what });
    }
    let mut contexts = Vec::with_capacity(proposal.contexts.len());
    for (id, context) in (1..=u8::MAX).step_by(2).zip(&proposal.contexts) {
        let length =
            context.transfer_syntaxes.iter().map(|s| 4 + s.len()).sum::<usize>() + 8 + context.abstract_syntax.len();
        if context.transfer_syntaxes.is_empty() || length > u16::MAX.into() {
            let what = format!(
                "{} transfer syntaxes for {}",
                context.transfer_syntaxes.len(),
                Uid::new(&context.abstract_syntax)
            );
            return Err(AssocError::Unspeakable { what });
        }
        contexts.push(PresentationContextProposed {
            id,
            abstract_syntax: context.abstract_syntax.clone(),
            transfer_syntaxes: context.transfer_syntaxes.clone(),
        });
    }
    let mut user = our_user_information(proposal.max_pdu);
    let mut with_role = std::collections::BTreeSet::new();
    for context in &proposal.contexts {
        let Some(scp) = context.scp_role else { continue };
        if with_role.insert(&context.abstract_syntax) {
            user.push(UserVariableItem::ScuScpRoleSelectionSubItem(
                context.abstract_syntax.clone(),
                RequestorRoles { scu: !scp, scp },
            ));
        }
    }
    user.extend(identity.map(UserIdentity::item));
    for (class, information) in &proposal.extended {
        user.push(UserVariableItem::SopClassExtendedNegotiationSubItem(class.clone(), information.clone()));
    }
    write(
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: proposal.calling.as_str().into(),
            called_ae_title: proposal.called.as_str().into(),
            application_context_name: uids::APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts,
            user_variables: user,
        }
        .into(),
    )
}

/// The A-ASSOCIATE-AC for a request; `identified` when its user is who it says.
pub(crate) fn write_ac(
    rq: &AssociateRq,
    results: &Results,
    max_pdu: u32,
    identified: bool,
) -> Result<Vec<u8>, AssocError> {
    let mut user = our_user_information(max_pdu);
    if identified && rq.user.identity.as_ref().is_some_and(|identity| identity.answer) {
        user.push(UserIdentity::accepted());
    }
    for (class, roles) in &results.roles {
        let roles = RequestorRoles { scu: roles.scu, scp: roles.scp };
        user.push(UserVariableItem::ScuScpRoleSelectionSubItem(class.as_str().into(), roles));
    }
    for (class, information) in &results.extended {
        user.push(UserVariableItem::SopClassExtendedNegotiationSubItem(class.as_str().into(), information.clone()));
    }
    let contexts = results.contexts.iter().map(|(id, answer)| {
        use super::Answer;
        let (reason, transfer_syntax) = match answer {
            Answer::Accept(syntax) => (PresentationContextResultReason::Acceptance, syntax.as_str()),
            Answer::UserRejection => (PresentationContextResultReason::UserRejection, uids::IMPLICIT_LE),
            Answer::AbstractSyntaxNotSupported => {
                (PresentationContextResultReason::AbstractSyntaxNotSupported, uids::IMPLICIT_LE)
            }
            Answer::TransferSyntaxesNotSupported => {
                (PresentationContextResultReason::TransferSyntaxesNotSupported, uids::IMPLICIT_LE)
            }
        };
        PresentationContextResult { id: *id, reason, transfer_syntax: transfer_syntax.into() }
    });
    write(
        AssociationAC {
            protocol_version: 1,
            application_context_name: uids::APPLICATION_CONTEXT.into(),
            // To be sent back as they came, and not to be tested by the peer.
            called_ae_title: rq.called.clone(),
            calling_ae_title: rq.calling.clone(),
            presentation_contexts: contexts.collect(),
            user_variables: user,
        }
        .into(),
    )
}

fn our_user_information(max_pdu: u32) -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(max_pdu),
        UserVariableItem::ImplementationClassUID(uids::IMPLEMENTATION_CLASS.into()),
        UserVariableItem::ImplementationVersionName(uids::IMPLEMENTATION_VERSION.into()),
    ]
}

/// Writes a PDU whose user information fits into the 65,535 bytes that its length can say, which `dicom-ul` does
/// not check.
fn write(pdu: Pdu) -> Result<Vec<u8>, AssocError> {
    let user = match &pdu {
        Pdu::AssociationRQ(rq) => rq.user_variables.as_slice(),
        Pdu::AssociationAC(ac) => ac.user_variables.as_slice(),
        _ => &[],
    };
    let length: usize = user
        .iter()
        .map(|item| match item {
            UserVariableItem::ScuScpRoleSelectionSubItem(class, _) => 8 + class.len(),
            UserVariableItem::SopClassExtendedNegotiationSubItem(class, information) => {
                6 + class.len() + information.len()
            }
            UserVariableItem::UserIdentityItem(identity) => {
                10 + identity.primary_field().len() + identity.secondary_field().len()
            }
            _ => 80,
        })
        .sum();
    if length > u16::MAX.into() {
        return Err(AssocError::Unspeakable {
            what: "role selections and extended negotiations of more than 65,535 bytes".into(),
        });
    }
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, &pdu).map_err(|error| AssocError::Unspeakable { what: error.to_string() })?;
    Ok(bytes)
}

/// An A-ASSOCIATE-RJ.
pub(crate) fn rejection(rejection: Rejection) -> [u8; 10] {
    let (result, source, reason) = rejection.codes();
    [kind::ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, result, source, reason]
}

/// An A-ABORT by the service provider, for what the peer did wrong.
pub(crate) fn provider_abort(reason: u8) -> [u8; 10] {
    [kind::ABORT, 0, 0, 0, 0, 4, 0, 0, 2, reason]
}

/// An A-ABORT by us.
pub(crate) const USER_ABORT: [u8; 10] = [kind::ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// An A-RELEASE-RQ.
pub(crate) const RELEASE_RQ: [u8; 10] = [kind::RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// An A-RELEASE-RP.
pub(crate) const RELEASE_RP: [u8; 10] = [kind::RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0];

#[cfg(test)]
mod tests;
