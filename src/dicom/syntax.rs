//! What a transfer syntax says of the bytes (PS3.5 §10 and annex A).

use super::{TransferSyntaxUid, uids};

/// How the elements of a data set are encoded. Encapsulated (compressed) syntaxes are Explicit VR Little Endian,
/// and so is, by default, every syntax that nobody here knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Implicit VR Little Endian.
    ImplicitLe,
    /// Explicit VR Little Endian.
    ExplicitLe,
    /// Explicit VR Big Endian.
    ExplicitBe,
    /// Explicit VR Little Endian inside a raw deflate stream.
    DeflatedLe,
}

/// The private syntax in which GE archives keep Implicit VR with big endian *pixels*: the elements are little endian.
const GE_PRIVATE_BIG_ENDIAN_PIXELS: &str = "1.2.840.113619.5.2";

/// How the data set of an object in this transfer syntax is encoded.
pub fn encoding_of(syntax: &TransferSyntaxUid) -> Encoding {
    match syntax.as_str() {
        uids::IMPLICIT_LE | GE_PRIVATE_BIG_ENDIAN_PIXELS => Encoding::ImplicitLe,
        uids::EXPLICIT_BE => Encoding::ExplicitBe,
        // Deflated Explicit VR, JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate.
        uids::DEFLATED_LE | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => Encoding::DeflatedLe,
        _ => Encoding::ExplicitLe,
    }
}

/// Whether objects in this syntax have, or may have, lost pixel values. A syntax that nobody here knows counts as
/// lossless, since passing it over could make a source recompress.
pub fn is_lossy(syntax: &TransferSyntaxUid) -> bool {
    let Some(rest) = syntax.as_str().strip_prefix("1.2.840.10008.1.2.4.") else { return false };
    // Lossless ones: JPEG Lossless (57, 58, 65, 66, 70), JPEG-LS lossless (80), JPEG 2000 lossless (90, 92),
    // HTJ2K lossless (201, 202), JPEG XL lossless (110), JPEG XL recompression (111), JPIP (94, 95, 204, 205).
    !matches!(
        rest,
        "57" | "58"
            | "65"
            | "66"
            | "70"
            | "80"
            | "90"
            | "92"
            | "94"
            | "95"
            | "110"
            | "111"
            | "201"
            | "202"
            | "204"
            | "205"
    )
}

/// Whether it is the retired Explicit VR Big Endian.
pub fn is_retired_big_endian(syntax: &TransferSyntaxUid) -> bool {
    syntax.as_str() == uids::EXPLICIT_BE
}

/// Whether pixel data are named by a URL instead of being in the object (the JPIP Referenced syntaxes).
pub fn is_by_reference(syntax: &TransferSyntaxUid) -> bool {
    let rest = syntax.as_str().strip_prefix("1.2.840.10008.1.2.4.");
    rest.is_some_and(|rest| matches!(rest, "94" | "95" | "204" | "205"))
}
