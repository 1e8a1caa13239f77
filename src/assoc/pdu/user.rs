//! The user information item of the association PDUs (PS3.7 annex D.3.3), the user identity included.

use dicom_ul::pdu::{UserIdentity as Item, UserIdentityType, UserVariableItem};

use super::{Items, MOST_SUB_ITEMS, plain};
use crate::assoc::negotiate::Roles;
use crate::dicom::Uid;

/// What the peers say of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserInformation {
    pub(crate) max_pdu: Option<u32>,
    pub(crate) implementation_class: Option<String>,
    pub(crate) implementation_version: Option<String>,
    pub(crate) roles: Vec<(Uid, Roles)>,
    pub(crate) extended: Vec<(Uid, Vec<u8>)>,
    pub(crate) identity: Option<UserIdentity>,
}

/// A user identity (PS3.7 D.3.3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserIdentity {
    /// 1 is a name, 2 a name and a passcode; others are not spoken here.
    pub(crate) kind: u8,
    /// Whether the requestor wants to hear that it was accepted.
    pub(crate) answer: bool,
    pub(crate) user: String,
    pub(crate) passcode: Passcode,
}

/// A passcode. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Passcode(pub(crate) Vec<u8>);

impl std::fmt::Debug for Passcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passcode(..)")
    }
}

impl UserIdentity {
    pub(crate) const NAME: u8 = 1;
    pub(crate) const NAME_AND_PASSCODE: u8 = 2;

    fn read(item: &[u8]) -> Option<Self> {
        let (&[kind, answer, a, b], rest) = item.split_first_chunk()?;
        let (primary, rest) = rest.split_at_checked(u16::from_be_bytes([a, b]).into())?;
        // Of the second field only a passcode has one; some leave its length out.
        let secondary =
            rest.split_first_chunk().and_then(|(length, rest)| rest.get(..u16::from_be_bytes(*length).into()));
        let passcode = Passcode(secondary.filter(|_| kind == Self::NAME_AND_PASSCODE).unwrap_or_default().to_vec());
        let is_name = matches!(kind, Self::NAME | Self::NAME_AND_PASSCODE);
        let user = if is_name { String::from_utf8_lossy(primary).into_owned() } else { String::new() };
        Some(UserIdentity { kind, answer: answer == 1, user, passcode })
    }

    /// The sub-item that says it.
    pub(super) fn item(&self) -> UserVariableItem {
        let kind = match self.kind {
            Self::NAME_AND_PASSCODE => UserIdentityType::UsernamePassword,
            _ => UserIdentityType::Username,
        };
        let user = self.user.clone().into_bytes();
        UserVariableItem::UserIdentityItem(Item::new(self.answer, kind, user, self.passcode.0.clone()))
    }

    /// The sub-item that says that it was accepted: its server response is empty for names and passcodes.
    pub(super) fn accepted() -> UserVariableItem {
        UserVariableItem::Unknown(0x59, vec![0, 0])
    }
}

/// Reads the sub-items.
pub(super) fn read_user(items: &[u8]) -> Result<UserInformation, String> {
    let mut user = UserInformation::default();
    for item in Items(items) {
        match item? {
            (0x51, &[a, b, c, d]) => user.max_pdu = Some(u32::from_be_bytes([a, b, c, d])),
            (0x52, name) => user.implementation_class = Some(Uid::from_bytes(name).to_string()),
            (0x55, name) => user.implementation_version = Some(plain(name.strip_suffix(b"\0").unwrap_or(name))),
            (0x54, item) => match split_uid(item) {
                Some((class, &[scu, scp])) if user.roles.len() < MOST_SUB_ITEMS => {
                    user.roles.push((class, Roles { scu: scu != 0, scp: scp != 0 }))
                }
                _ => tracing::debug!("skipped a malformed role selection"),
            },
            (0x56, item) => match split_uid(item) {
                Some((class, information)) if user.extended.len() < MOST_SUB_ITEMS => {
                    user.extended.push((class, information.to_vec()))
                }
                _ => tracing::debug!("skipped a malformed extended negotiation"),
            },
            (0x58, item) => match UserIdentity::read(item) {
                Some(identity) => user.identity = Some(identity),
                None => tracing::debug!("skipped a malformed user identity"),
            },
            (other, _) => tracing::trace!(item = other, "skipped a sub-item of the user information"),
        }
    }
    Ok(user)
}

/// A UID behind its length, and what follows it.
fn split_uid(item: &[u8]) -> Option<(Uid, &[u8])> {
    let (&length, rest) = item.split_first_chunk()?;
    let (uid, rest) = rest.split_at_checked(u16::from_be_bytes(length).into())?;
    Some((Uid::from_bytes(uid), rest))
}
