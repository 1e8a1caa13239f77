//! Data sets and Part 10 files of peers, in any transfer syntax: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pacsferry::dataset::{CharacterSet, Elements, ScanOutcome, read_part10_head, referenced_files, scan_header, value_digest};
use pacsferry::dicom::{Encoding, TransferSyntaxUid, encoding_of};

const SYNTAXES: [&str; 6] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.113619.5.2",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, data)) = bytes.split_first() else { return };
    let syntax = TransferSyntaxUid::new(SYNTAXES[usize::from(*which) % SYNTAXES.len()]);
    let charset = CharacterSet::ascii();

    let scan = scan_header(data, &syntax, true, &charset);
    assert!(!matches!(scan.outcome, ScanOutcome::NeedMore), "the whole was given");
    let texts = [&scan.header.patient_name, &scan.header.study_description, &scan.header.modality];
    assert!(texts.into_iter().flatten().all(|text| text.chars().count() <= 1024));
    // A prefix of a data set is no damage of it; it may need more.
    scan_header(&data[..data.len() / 2], &syntax, false, &charset);

    let (elements, _) = Elements::read_lenient(data, encoding_of(&syntax));
    for (tag, value) in elements.iter() {
        assert!(value.len() <= data.len() * 1100, "{tag} has {} bytes", value.len());
        elements.text(tag);
        elements.person_name(tag);
        elements.int(tag);
    }
    // A deflated one is the same once inflated, as far as it goes: slow, and nothing new.
    if encoding_of(&syntax) != Encoding::DeflatedLe {
        let _ = value_digest(data, &syntax);
    }
    let (mut files, mut length) = (0, 0);
    let _ = referenced_files(data, &syntax, &mut |id| (files, length) = (files + 1, length + id.len()));
    assert!(files <= data.len() && length <= data.len() * 1100, "{files} files, {length} bytes of names");
    if let Ok(part10) = read_part10_head(data) {
        assert!(part10.data_set_offset <= data.len() as u64);
    }
});
