//! Data sets in every encoding, and what is told of them.

use serde_json::{Value, json};

use super::super::testing::{Builder, ENCODINGS};
use super::*;
use crate::dicom::uids;

fn told(data: &[u8], syntax: &str) -> Result<Value, ReadError> {
    let mut out = String::new();
    let address = |place: &str| format!("at/{place}");
    write_json(data, &TransferSyntaxUid::new(syntax), &CharacterSet::ascii(), &address, &mut out)?;
    Ok(serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")))
}

fn found(data: &[u8], syntax: &str, path: &str) -> Option<(FoundValue, Vec<u8>)> {
    let path = ValuePath::parse(path).unwrap();
    let all = |value, bytes: &mut dyn Read| {
        let mut read = Vec::new();
        bytes.read_to_end(&mut read).unwrap();
        (value, read)
    };
    find_value(data, &TransferSyntaxUid::new(syntax), &path, all).unwrap()
}

#[test]
fn values_are_told_as_the_model_has_them_in_every_encoding() {
    for (syntax, encoding) in ENCODINGS {
        for defined in [true, false] {
            let inner = Builder::new(encoding).put(tags::REFERENCED_SOP_INSTANCE_UID, "1.2\0").bytes;
            let data = Builder::new(encoding)
                .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100")
                .put(tags::IMAGE_TYPE, "ORIGINAL\\\\AXIAL ")
                .sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[inner.clone(), Vec::new()], defined)
                .sequence(tags::REFERENCED_PATIENT_SEQUENCE, &[], defined)
                .put(tags::PATIENT_NAME, b"M\xfcller^Hans==x ")
                .put(tags::PATIENT_ID, "")
                .put(tags::PATIENT_WEIGHT, "+75.50\\x ")
                .put(tags::PATIENT_COMMENTS, "a\\b ")
                .put(tags::SERIES_NUMBER, "007 ")
                .put(tags::FRAME_INCREMENT_POINTER, [0x18, 0, 0x63, 0x10])
                .put(tags::ROWS, 512u16.to_le_bytes())
                .put(tags::PIXEL_DATA, [1, 2, 3, 4]);
            let value = told(&data.build(), syntax).unwrap();
            let expected = json!({
                "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
                "00080008": {"vr": "CS", "Value": ["ORIGINAL", null, "AXIAL"]},
                "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
                "00081120": {"vr": "SQ"},
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Hans", "Phonetic": "x"}]},
                "00100020": {"vr": "LO"},
                "00101030": {"vr": "DS", "Value": [75.5, "x"]},
                "00104000": {"vr": "LT", "Value": ["a\\b"]},
                "00200011": {"vr": "IS", "Value": [7]},
                "00280009": {"vr": "AT", "Value": ["00181063"]},
                "00280010": {"vr": "US", "Value": [512]},
                "7FE00010": {"vr": value["7FE00010"]["vr"], "BulkDataURI": "at/7FE00010"},
            });
            assert_eq!(value, expected, "{syntax} {defined}");
        }
    }
}

#[test]
fn what_is_large_is_found_where_its_address_says() {
    let (syntax, encoding) = ENCODINGS[2];
    assert_eq!(syntax, uids::EXPLICIT_BE);
    let words: Vec<u8> = (0..4000u16).flat_map(u16::to_le_bytes).collect();
    let item = Builder::new(encoding).put_as(tags::WAVEFORM_DATA, b"OW", &words).bytes;
    for defined in [true, false] {
        let data = Builder::new(encoding)
            .put(tags::SOP_CLASS_UID, "1.2")
            .sequence(tags::WAVEFORM_SEQUENCE, &[Vec::new(), item.clone()], defined)
            .put(tags::PIXEL_DATA, [0; 4]);
        let data = data.build();
        let place = "54000100/1/54001010";
        let value = told(&data, syntax).unwrap();
        let told = &value["54000100"]["Value"][1]["54001010"];
        assert_eq!(told, &json!({"vr": "OW", "BulkDataURI": format!("at/{place}")}));
        assert_eq!(found(&data, syntax, place), Some((FoundValue { vr: *b"OW", length: 8000 }, words.clone())));
        for nowhere in ["54000100/0/54001010", "54000100/2/54001010", "54000100", "00100010"] {
            assert_eq!(found(&data, syntax, nowhere), None, "{nowhere}");
        }
    }
    for none in ["", "5400", "54000100/54001010", "54000100/x/54001010", "../etc"] {
        assert_eq!(ValuePath::parse(none), None, "{none}");
    }
}

#[test]
fn small_bytes_are_told_and_numbers_beyond_all_measure_have_words() {
    let (syntax, encoding) = ENCODINGS[1];
    let floats: Vec<u8> = [1.5, f64::NAN, f64::NEG_INFINITY].into_iter().flat_map(f64::to_le_bytes).collect();
    let data = Builder::new(encoding)
        .put_as(Tag(0x0009, 0x0010), b"LO", "ACME")
        .put_as(Tag(0x0009, 0x1001), b"UN", [1, 2])
        .put_as(Tag(0x0009, 0x1002), b"FD", floats);
    let value = told(&data.bytes, syntax).unwrap();
    assert_eq!(value["00091001"], json!({"vr": "UN", "InlineBinary": "AQI="}));
    assert_eq!(value["00091002"]["Value"], json!([1.5, "NaN", "-inf"]));
}

#[test]
fn damage_is_an_error_and_never_half_a_document() {
    let (syntax, encoding) = ENCODINGS[1];
    let item = Builder::new(encoding).put(tags::REFERENCED_SOP_INSTANCE_UID, "1.2").bytes;
    let data = Builder::new(encoding).sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[item], true).bytes;
    for cut in 1..data.len() {
        assert!(told(&data[..cut], syntax).is_err(), "cut at {cut}");
    }
    let mut deep = Builder::new(encoding).bytes;
    for _ in 0..100 {
        deep = Builder::new(encoding).sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[deep], false).bytes;
    }
    assert!(matches!(told(&deep, syntax), Err(ReadError::TooDeep { .. })));
}
