//! What a worker that is none, or a bad one, costs; and what is drawn of values.
#![expect(clippy::disallowed_methods, reason = "the tests put a file where the catalog says")]

use std::io::Cursor;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::catalog::ShownAs;
use crate::dataset::{Elements, write_part10_head};
use crate::dicom::{Encoding, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, tags, uids};
use crate::store::{RelativePath, Store};

const PLACE: &str = "images/2020/01/01/1.2/1.3/1.4.dcm";
const ASK: Ask = Ask { frame: 1, window: None, region: None, size: None, form: Form::Values, quality: 90 };

/// Four pixels of sixteen bits, and what else.
fn elements(more: &[(Tag, &str)]) -> Elements {
    let mut elements = Elements::new();
    elements.put(tags::SOP_INSTANCE_UID, "1.4").put_u16(tags::ROWS, 2).put_u16(tags::COLUMNS, 2);
    elements.put_u16(tags::BITS_ALLOCATED, 16).put_u16(tags::BITS_STORED, 12);
    for (tag, value) in more {
        elements.put(*tag, value);
    }
    elements.put_bytes(tags::PIXEL_DATA, *b"OW", &[0, 0, 0, 1, 0, 2, 0, 4]);
    elements
}

fn drawn(more: &[(Tag, &str)], ask: &Ask) -> Result<Vec<u8>, PictureError> {
    let bytes = elements(more).write(Encoding::ExplicitLe);
    worker::render(Cursor::new(bytes), uids::EXPLICIT_LE, ask)
}

/// The shades of a picture.
fn shades(more: &[(Tag, &str)], ask: &Ask) -> Vec<u8> {
    let bytes = drawn(more, &Ask { form: Form::Png, ..*ask }).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut shades = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut shades).unwrap();
    shades.truncate(info.buffer_size());
    shades
}

#[test]
fn values_become_shades_by_windows_and_tables() {
    assert_eq!(drawn(&[], &ASK).unwrap()[12..], [0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0]);
    assert_eq!(shades(&[], &ASK), [0, 64, 128, 255], "by the least and the greatest");
    let window = [(tags::WINDOW_CENTER, "512.5\\1"), (tags::WINDOW_WIDTH, "513\\9")];
    assert_eq!(shades(&window, &ASK), [0, 0, 128, 255], "PS3.3 C.11.2.1.2.1");
    let exact = [window[0], window[1], (tags::VOILUT_FUNCTION, "LINEAR_EXACT")];
    assert_eq!(shades(&exact, &ASK), [0, 0, 127, 255]);
    let sigmoid = [window[0], window[1], (tags::VOILUT_FUNCTION, "SIGMOID")];
    assert_eq!(shades(&sigmoid, &ASK), [5, 30, 127, 250]);
    let asked = Ask { window: Some(Window { centre: 0.0, width: 2048.0, function: Function::Linear }), ..ASK };
    assert_eq!(shades(&window, &asked)[0], 128, "what was asked for goes before");
    let rescaled = [(tags::RESCALE_SLOPE, "-1"), (tags::RESCALE_INTERCEPT, "1024")];
    assert_eq!(shades(&rescaled, &ASK), [255, 191, 128, 0]);
    let inverted = [(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME1")];
    assert_eq!(shades(&inverted, &ASK), [255, 191, 128, 0]);
    assert_eq!(shades(&[], &Ask { size: Some((1, 1)), ..ASK }), [112], "the mean");
    assert_eq!(shades(&[], &Ask { region: Some([1, 0, 1, 9]), ..ASK }), [64, 255], "a column, as far as it goes");
    assert!(drawn(&[], &Ask { region: Some([2, 0, 1, 1]), form: Form::Png, ..ASK }).is_err(), "beyond it");
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let why = |more: &[(Tag, &str)], ask: &Ask| drawn(more, ask).unwrap_err().to_string();
    let missing = drawn(&[(tags::NUMBER_OF_FRAMES, "1000000000")], &Ask { frame: 2, ..ASK }).unwrap_err().to_string();
    assert!(missing.contains("frame 2") && missing.contains("have 8"), "{missing}");
    assert!(matches!(drawn(&[], &Ask { frame: 2, ..ASK }), Err(PictureError::NoFrame { frame: 2, frames: 1 })));
    assert!(why(&[(tags::PHOTOMETRIC_INTERPRETATION, "CMYK")], &ASK).contains("CMYK"));
    assert!(
        why(&[(tags::PHOTOMETRIC_INTERPRETATION, "PALETTE COLOR")], &Ask { form: Form::Png, ..ASK })
            .contains("palette")
    );
    let syntax = worker::render(Cursor::new(elements(&[]).write(Encoding::ExplicitLe)), "1.2.840.10008.1.2.4.94", &ASK);
    assert!(syntax.unwrap_err().to_string().contains("another server"));
    let none = Elements::new().write(Encoding::ExplicitLe);
    assert!(worker::render(Cursor::new(none), uids::EXPLICIT_LE, &ASK).is_err());
}

struct Site {
    temp: TempDir,
    outlet: Outlet,
    held: HeldInstance,
}

impl Site {
    fn new() -> Site {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("storage");
        let outlet = Outlet::new(Store::create(&folder, 0).unwrap());
        let data = elements(&[]).write(Encoding::ExplicitLe);
        let mut bytes = write_part10_head("1.2.840.10008.5.1.4.1.1.2", "1.4", uids::EXPLICIT_LE, None);
        bytes.extend_from_slice(&data);
        std::fs::create_dir_all(folder.join(PLACE).parent().unwrap()).unwrap();
        std::fs::write(folder.join(PLACE), bytes).unwrap();
        let held = HeldInstance {
            amendments: Vec::new(),
            id: 1,
            study: StudyInstanceUid::new("1.2"),
            instance: SopInstanceUid::new("1.4"),
            shown: ShownAs { series: 1, correction: 0 },
            class: SopClassUid::new("1.2.840.10008.5.1.4.1.1.2"),
            transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
            place: RelativePath::parse(PLACE).unwrap().into(),
            length: data.len() as u64,
            digest: Some(blake3::hash(&data).into()),
        };
        Site { temp, outlet, held }
    }

    /// A program of one line. A shell writes it: a file that this process has open for writing could not be started.
    fn program(&self, line: &str) -> String {
        let path = self.temp.path().join("program");
        let text = format!("printf '#!/bin/sh\\n%s\\n' '{line}' >\"$0\" && chmod 700 \"$0\"");
        let made = std::process::Command::new("/bin/sh").arg("-c").arg(text).arg(&path).status().unwrap();
        assert!(made.success());
        path.to_string_lossy().into_owned()
    }

    async fn draw(&self, program: &str, workers: usize, time: Duration) -> Result<Picture, PictureError> {
        let limits = Limits { program: program.into(), workers, memory: 1 << 30, time };
        Pictures::new(self.outlet.clone(), limits).frame(&self.held, &ASK).await
    }
}

#[tokio::test]
async fn a_worker_that_fails_costs_one_picture() {
    let site = Site::new();
    let time = Duration::from_secs(60);
    assert!(matches!(site.draw("/bin/false", 1, time).await, Err(PictureError::Died)));
    assert!(matches!(site.draw("/bin/echo", 1, time).await, Err(PictureError::Nonsense { .. })));
    let silent = site.program("exec sleep 600");
    assert!(matches!(site.draw(&silent, 1, Duration::from_millis(100)).await, Err(PictureError::Silent { .. })));
    assert!(matches!(site.draw("/no/such/program", 1, time).await, Err(PictureError::Start(_))));
    assert!(matches!(site.draw("/bin/false", 0, time).await, Err(PictureError::Off)));
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let limits = Limits { program: "/bin/false".into(), workers: 1, memory: 1, time: Duration::ZERO };
    let pool = Pool::new(limits);
    let held = pool.place().await.unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = (0..200).map(|_| Box::pin(pool.place())).collect();
    let told = waiting.iter_mut().filter_map(|place| match place.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(PictureError::Busy)) => Some(()),
        std::task::Poll::Ready(_) => panic!("there is one worker"),
        std::task::Poll::Pending => None,
    });
    assert_eq!(told.count(), 200 - 129);
    drop(waiting);
    drop(held);
    assert!(pin!(pool.place()).await.is_ok());
}
