//! Pictures by DICOMweb: what `dicomweb-client` gets, and what is answered to who asks for something odd.

use crate::support::dicomweb::{Program, Told};
use crate::support::peers::{Sample, samples, send};
use crate::support::ward::Ward;

const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";
const PNG: &str = "Accept: image/png\r\n";

/// Columns and rows of a PNG.
fn size(told: &Told) -> (u32, u32) {
    assert!(told.status == 200 && told.body.starts_with(b"\x89PNG"), "{}", told.head);
    let edge = |at: usize| u32::from_be_bytes(told.body[at..at + 4].try_into().unwrap());
    (edge(16), edge(20))
}

#[test]
fn pictures_come_as_they_are_asked_for() {
    let samples = samples();
    let of = |name: &str| samples.iter().find(|sample| sample.name() == name).unwrap();
    let (ct, many, report) = (of("CT_small.dcm"), of("rtdose.dcm"), of("test-SR.dcm"));
    let ward = Ward::configured(&[], ROLES);
    assert_eq!(send(ward.ferry.node, "PACSFERRY", &[ct, many]), [0, 0]);
    let program = Program::new(&ward.ferry, "anna", "readers");
    for seen in program.client("render", &[]).as_array().unwrap() {
        let begins = if seen[0] == "image/png" { "89504e47" } else { "ffd8ff" };
        assert!((1..3).all(|at| seen[at].as_str().unwrap().starts_with(begins)), "{seen}");
    }
    assert_eq!(send(ward.ferry.node, "PACSFERRY", &[report]), [0]);
    let address = |sample: &Sample| {
        let (study, series) = (sample.study.as_deref().unwrap(), sample.series.as_deref().unwrap());
        format!("/studies/{study}/series/{series}/instances/{}", sample.sop_instance)
    };
    let (one, frames) = (address(ct), address(many));
    // 128 by 128 pixels.
    let whole = program.get(&format!("{one}/rendered"), PNG);
    assert_eq!((size(&whole), whole.header("content-type")), ((128, 128), "image/png"));
    assert_eq!(size(&program.get(&format!("{one}/rendered?viewport=64,32"), PNG)), (32, 32));
    assert_eq!(size(&program.get(&format!("{one}/rendered?viewport=999,999,100,100,20,90"), PNG)), (20, 28));
    let windowed = program.get(&format!("{one}/rendered?window=40,400,linear"), PNG);
    assert!(size(&windowed) == (128, 128) && windowed.body != whole.body);
    let known = format!("{PNG}If-None-Match: {}\r\n", whole.header("etag"));
    assert_eq!(program.get(&format!("{one}/rendered"), &known).status, 304);
    let small = program.get(&format!("{one}/rendered?quality=1"), "");
    let fine = program.get(&format!("{one}/rendered?quality=100"), "");
    assert_eq!((small.header("content-type"), fine.status), ("image/jpeg", 200), "what is the default");
    assert!(small.body.len() < fine.body.len() && small.body.starts_with(&[0xFF, 0xD8]));
    // Several come as parts, whatever is said.
    assert_eq!(program.get(&format!("{frames}/frames/2,2/rendered"), PNG).status, 400, "each once");
    let parts = program.get(&format!("{frames}/frames/2,3/rendered"), PNG);
    assert!(
        parts.header("content-type").starts_with("multipart/related; type=\"image/png\"; boundary="),
        "{}",
        parts.head
    );
    assert_eq!(parts.body.windows(4).filter(|four| *four == b"\x89PNG").count(), 2);
    let study = program.get(&format!("/studies/{}/rendered", ct.study.as_deref().unwrap()), PNG);
    assert_eq!(size(&study), (128, 128));
    for (path, accept, status) in [
        (format!("{one}/frames/2/rendered"), PNG, 404),
        (format!("{one}/frames/0/rendered"), PNG, 400),
        (format!("{one}/rendered?window=1"), PNG, 400),
        (format!("{one}/rendered?viewport=1,1,500,0"), PNG, 406),
        (format!("{one}/rendered"), "Accept: image/gif\r\n", 406),
        (format!("{}/rendered", address(report)), PNG, 406),
        (format!("/studies/{}/rendered", report.study.as_deref().unwrap()), PNG, 404),
        ("/studies/1.2.3/rendered".to_owned(), PNG, 404),
    ] {
        assert_eq!(program.get(&path, accept).status, status, "{path}");
    }
    // The old service.
    let (study, series) = (ct.study.as_deref().unwrap(), ct.series.as_deref().unwrap());
    let instance = &ct.sop_instance;
    let wado = format!("/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}");
    let old = program.get(&format!("{wado}&contentType=image%2Fpng&rows=50&windowCenter=40&windowWidth=400"), "");
    assert_eq!(size(&old), (50, 50));
    assert!(program.get(&format!("{wado}&contentType=image%2Fjpeg"), "").body.starts_with(&[0xFF, 0xD8]));
    assert_eq!(program.get(&format!("{wado}&contentType=image%2Fpng&frameNumber=2"), "").status, 404);
    assert_eq!(program.get(&format!("{wado}&contentType=text%2Fhtml"), "").status, 406);
}
