//! What no sample file has; the sample files themselves are compared in `tests/it/pictures.rs`.

use super::*;

fn shape(edge: usize) -> Shape {
    Shape {
        columns: edge,
        rows: edge,
        samples: 1,
        allocated: 16,
        stored: 16,
        high: 15,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
    }
}

/// Eight by eight pixels of sixteen bits, by OpenJPH.
const HTJ2K: &str = "ff4fff5100294000000000080000000800000000000000000000000800000008000000000000000000010f0101ff50000800020000\
    000aff52000c00020001000504044001ff5c00132088909090909090909090909090888888ff64001700014f70656e4a504820566572\
    20302e32362e332eff90000a0000000000620001ff93c000261df7048774000000c000134000130020cf048774009cc205077400c000\
    15100005400487e0fc04027400f85ffcef01235400c0002ae00015a0566115566115aa73827500a6aaa93255a6eac08401ecb600ffd9";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|two| (two[0] * 16 + two[1]) as u8).collect()
}

#[test]
fn high_throughput_jpeg_2000_is_decoded() {
    let syntax = TransferSyntaxUid::new("1.2.840.10008.1.2.4.201");
    let coded = decode(&syntax, &bytes(HTJ2K), &shape(8)).unwrap();
    let wanted: Vec<i32> = (0..64).map(|at| (at % 8 * 37 + at / 8 * 91) % 1024 * 60).collect();
    assert_eq!((coded.values, coded.precision), (wanted, 16));
    for cut in [0, 1, 40, 60, 120, 150] {
        assert!(decode(&syntax, &bytes(HTJ2K)[..cut], &shape(8)).is_err(), "{cut}");
    }
    assert!(decode(&syntax, &bytes(HTJ2K), &shape(9)).is_err(), "the header has to agree");
}

#[test]
fn what_is_not_known_is_said() {
    let mpeg = TransferSyntaxUid::new("1.2.840.10008.1.2.4.102");
    assert!(matches!(decode(&mpeg, &[], &shape(8)), Err(CodecError::Unsupported(_))));
    let rle = TransferSyntaxUid::new("1.2.840.10008.1.2.5");
    assert_eq!(decode(&rle, &[0; 10], &shape(8)), Err(CodecError::Truncated));
    let native = TransferSyntaxUid::new(uids::EXPLICIT_LE);
    assert_eq!(decode(&native, &[0; 100], &shape(8)), Err(CodecError::Truncated));
    assert!(matches!(decode(&native, &[], &shape(65_535)), Err(CodecError::Damaged(_))), "larger than any picture");
}

#[test]
fn damaged_frames_are_refused_or_flawed_and_never_more() {
    let mut random = fastrand::Rng::with_seed(7);
    let seeds: [&[u8]; 5] = [
        include_bytes!("../../../tests/fuzz/seeds/pixels/lossless-1"),
        include_bytes!("../../../tests/fuzz/seeds/pixels/lossless-7"),
        include_bytes!("../../../tests/fuzz/seeds/pixels/ls"),
        include_bytes!("../../../tests/fuzz/seeds/pixels/near"),
        include_bytes!("../../../tests/fuzz/seeds/pixels/rle"),
    ];
    for seed in seeds {
        let (which, frame) = seed.split_first().unwrap();
        assert_eq!(decode_anything(*which, frame), Some(256));
        for _ in 0..400 {
            let mut damaged = frame.to_vec();
            for _ in 0..random.usize(1..4) {
                // Behind the sizes, which would only be refused.
                let at = random.usize(frame.len() / 5..frame.len());
                damaged[at] = random.u8(..);
            }
            damaged.truncate(random.usize(frame.len() / 2..=frame.len()));
            assert!(matches!(decode_anything(*which, &damaged), None | Some(256)));
        }
    }
}
