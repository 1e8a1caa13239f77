//! Data sets of peers that are amended on their way out: the first byte says in which transfer syntax, and how.
#![no_main]

use std::io::{Cursor, Read};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pacsferry::dataset::{Amendment, CharacterSet, Original, Tree, UidKind, amend};
use pacsferry::dicom::{TransferSyntaxUid, Uid, encoding_of, tags};

const SYNTAXES: [&str; 4] =
    ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];

/// One that fits into most character sets, and one that makes everything UTF-8.
static AMENDMENTS: LazyLock<[Arc<Amendment>; 2]> = LazyLock::new(|| {
    ["Doe^Jane", "Müller=山田"].map(|name| {
        let mut amendment = Amendment::default();
        amendment.put.put_text(tags::PATIENT_NAME, name);
        amendment.remove = vec![tags::REQUEST_ATTRIBUTES_SEQUENCE, tags::PATIENT_AGE];
        amendment.uids.insert(UidKind::Instance, Uid::new("1.2.3.4.5"), Uid::new("2.25.1"));
        amendment.uids.insert(UidKind::Study, Uid::new("1.2.3"), Uid::new("2.25.2"));
        amendment.original = Some(Original { system: "HERE".into(), ..Original::default() });
        amendment.equipment = Some(Tree::new());
        Arc::new(amendment)
    })
});

fuzz_target!(|bytes: &[u8]| {
    let Some((which, data)) = bytes.split_first() else { return };
    let which = usize::from(*which);
    let syntax = TransferSyntaxUid::new(SYNTAXES[which % SYNTAXES.len()]);
    let amendments = &AMENDMENTS[which / SYNTAXES.len() % 2..][..1];
    let Ok(mut reader) = amend(Cursor::new(data.to_vec()), &syntax, amendments) else { return };
    let mut out = Vec::new();
    if reader.by_ref().take(1 << 28).read_to_end(&mut out).is_err() {
        return;
    }
    // An inflated one may have grown before.
    let deflated = syntax.as_str() == SYNTAXES[3];
    assert!(deflated || out.len() <= 4096 + 16 * data.len(), "{} bytes from {}", out.len(), data.len());
    if let Ok(tree) = Tree::read(out.as_slice(), &syntax, &CharacterSet::ascii(), 1 << 24) {
        tree.write(encoding_of(&syntax));
    }
    let _refused = Amendment::from_bytes(data);
});
