//! Previews: drawn when somebody looks, once, and only for those who may see studies.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::console::{Browser, first_password, signed_in};
use crate::support::peers::{Ferry, PATIENCE, Sample, samples};

const ROLES: &str =
    "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n[[role]]\nname = \"none\"\nprivileges = [\"undo\"]\n";

/// The status and the body, which is no text.
fn get(browser: &Browser, path: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", browser.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Browser { port, known, .. } = browser;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{known}Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

#[test]
fn previews_are_drawn_once_for_those_who_may_look() {
    let known: Vec<Sample> = samples();
    let of = |name: &str| known.iter().find(|sample| sample.name() == name).unwrap();
    let (ct, coded, report) = (of("CT_small.dcm"), of("JPEG2000.dcm"), of("test-SR.dcm"));
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let files = tempfile::tempdir().unwrap();
    for sample in [ct, coded, report] {
        std::fs::copy(&sample.path, files.path().join(sample.name())).unwrap();
    }
    let imported = ferry.run(&["import", "--copy", files.path().to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "readers");
    let series = ct.series.as_deref().unwrap();
    let path = format!("/preview?study={}&series={series}", ct.study.as_deref().unwrap());
    let (status, first) = get(&browser, &path);
    assert!(status == 200 && first.starts_with(&[0xFF, 0xD8]), "{status} {}", String::from_utf8_lossy(&first));
    let kept = || std::fs::read_dir(ferry.folder().join("previews")).unwrap().count();
    assert_eq!(kept(), 1);
    assert_eq!(get(&browser, &path), (200, first));
    assert_eq!(kept(), 1, "the second time it is not drawn");
    let coded = format!("/preview?instance={}&size=64", coded.sop_instance);
    let (status, small) = get(&browser, &coded);
    assert!(status == 200 && small.starts_with(&[0xFF, 0xD8]), "{status}");
    // What is no picture is told, and not tried again.
    let report = format!("/api/v1/preview?instance={}", report.sop_instance);
    for _ in 0..2 {
        let (status, told) = get(&browser, &report);
        let told = String::from_utf8(told).unwrap();
        assert!(status == 422 && told.contains("\"detail\":\"no picture of object"), "{status} {told}");
    }
    assert_eq!(kept(), 3);
    assert_eq!(get(&browser, &format!("{coded}&frame=9")).0, 404);
    for (path, status) in [("/preview?series=1.2.3.4.5", 404), ("/preview", 400), ("/preview?instance=*", 404)] {
        assert_eq!(get(&browser, path).0, status, "{path}");
    }
    let page = browser.get(&format!("/studies/{}", ct.study.as_deref().unwrap())).body;
    assert!(page.contains(&format!("series={series}\" alt=\"\" loading=\"lazy\"")), "{page}");
    assert_eq!(get(&Browser::new(ferry.web), &path).0, 303, "who is not signed in sees nothing");
    let nobody = signed_in(&ferry, "eve", "none");
    assert_eq!(get(&nobody, &path).0, 403);
}
