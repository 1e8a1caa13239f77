//! Files that were put where the catalog says, and what comes out of the door.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people and crashes do")]

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::catalog::ShownAs;
use crate::dataset::{Amendment, Elements, UidKind, write_part10_head};
use crate::dicom::{Encoding, SopClassUid, StudyInstanceUid, Uid, tags, uids};
use crate::store::{Link, Place, RelativePath};

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
const PLACE: &str = "images/2020/01/01/1.2/1.3/1.4.dcm";

struct Site {
    temp: TempDir,
    outlet: Outlet,
}

impl Site {
    fn new() -> Site {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::create(&temp.path().join("storage"), 0).unwrap();
        Site { outlet: Outlet::new(store), temp }
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("storage").join(PLACE)
    }

    /// Files an object of so many bytes of pixel data.
    fn file(&self, syntax: &str, encoding: Encoding, pixels: usize) -> (HeldInstance, Vec<u8>) {
        let mut elements = Elements::new();
        elements.put(tags::SOP_INSTANCE_UID, "1.4").put_u16(tags::BITS_ALLOCATED, 16);
        let pixels: Vec<u8> = (0..=u8::MAX).cycle().take(pixels).collect();
        elements.put_bytes(tags::PIXEL_DATA, *b"OW", &pixels);
        let data = elements.write(encoding);
        let mut bytes = write_part10_head(CLASS, "1.4", syntax, None);
        bytes.extend_from_slice(&data);
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        std::fs::write(self.path(), bytes).unwrap();
        let held = HeldInstance {
            amendments: Vec::new(),
            id: 1,
            study: StudyInstanceUid::new("1.2"),
            instance: SopInstanceUid::new("1.4"),
            shown: ShownAs { series: 1, correction: 0 },
            class: SopClassUid::new(CLASS),
            transfer_syntax: TransferSyntaxUid::new(syntax),
            place: RelativePath::parse(PLACE).unwrap().into(),
            length: data.len() as u64,
            digest: Some(blake3::hash(&data).into()),
        };
        (held, data)
    }

    async fn read(&self, held: &HeldInstance, to: &str) -> Result<Vec<u8>, OutletError> {
        let mut departing = self.outlet.open(held.clone(), &TransferSyntaxUid::new(to));
        departing.begin().await?;
        let (mut bytes, mut whole) = (Vec::new(), false);
        while let Some(piece) = departing.piece().await? {
            assert!(!whole, "a piece after the last");
            bytes.extend_from_slice(&piece);
            whole = piece.last;
        }
        assert!(whole, "no last piece");
        Ok(bytes)
    }
}

#[tokio::test]
async fn an_object_of_any_size_goes_out_as_it_is() {
    let site = Site::new();
    // Around the size of a buffer, which is 576 KiB.
    for pixels in [0, 2, 200_000, 589_824 - 62, 589_824, 2_000_000, 5_000_000] {
        let (held, data) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, pixels);
        assert!(site.read(&held, uids::EXPLICIT_LE).await.unwrap() == data, "{pixels}");
    }
    let (held, data) = site.file("1.2.840.10008.1.2.4.70", Encoding::ExplicitLe, 100);
    assert_eq!(site.read(&held, "1.2.840.10008.1.2.4.70").await.unwrap(), data);
}

#[tokio::test]
async fn native_objects_go_out_as_the_receiver_takes_them_and_others_do_not() {
    let site = Site::new();
    let (held, _) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, 600_000);
    let implicit = site.read(&held, uids::IMPLICIT_LE).await.unwrap();
    assert!(implicit == site.file(uids::IMPLICIT_LE, Encoding::ImplicitLe, 600_000).1);
    let (held, _) = site.file("1.2.840.10008.1.2.4.70", Encoding::ExplicitLe, 100);
    let error = site.read(&held, uids::IMPLICIT_LE).await.unwrap_err();
    assert!(matches!(error, OutletError::Convert { source: None, .. }), "{error:?}");
    // Damage that would be met in the middle is met before the first byte.
    let (mut held, data) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, 600_000);
    let file = std::fs::OpenOptions::new().write(true).open(site.path()).unwrap();
    let cut = 1000;
    file.set_len(file.metadata().unwrap().len() - cut).unwrap();
    (held.length, held.digest) = (data.len() as u64 - cut, None);
    let mut departing = site.outlet.open(held, &TransferSyntaxUid::new(uids::IMPLICIT_LE));
    assert!(matches!(departing.begin().await, Err(OutletError::Convert { source: Some(_), .. })));
}

#[tokio::test]
async fn what_was_corrected_leaves_amended_in_every_encoding_and_what_is_stored_is_what_is_compared() {
    let site = Site::new();
    let amendment = |old: &str, new: &str| {
        let mut amendment = Amendment::default();
        amendment.uids.insert(UidKind::Instance, Uid::new(old), Uid::new(new));
        Arc::new(amendment)
    };
    for pixels in [200, 3_000_000] {
        let (mut held, stored) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, pixels);
        held.amendments = vec![amendment("1.4", "1.44"), amendment("1.44", "1.444")];
        let amended = |encoding| {
            let mut elements = Elements::new();
            elements.put(tags::SOP_INSTANCE_UID, "1.444").put_u16(tags::BITS_ALLOCATED, 16);
            let pixels: Vec<u8> = (0..=u8::MAX).cycle().take(pixels).collect();
            elements.put_bytes(tags::PIXEL_DATA, *b"OW", &pixels);
            elements.write(encoding)
        };
        assert!(site.read(&held, uids::EXPLICIT_LE).await.unwrap() == amended(Encoding::ExplicitLe), "{pixels}");
        assert!(site.read(&held, uids::IMPLICIT_LE).await.unwrap() == amended(Encoding::ImplicitLe), "{pixels}");
        let mut bytes = std::fs::read(site.path()).unwrap();
        assert!(bytes.ends_with(&stored), "what is stored is as it was");
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(site.path(), &bytes).unwrap();
        for to in [uids::EXPLICIT_LE, uids::IMPLICIT_LE] {
            let error = site.read(&held, to).await.unwrap_err();
            assert!(matches!(error, OutletError::Store { source: StoreError::Damaged { .. }, .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_was_is_an_error_with_its_name() {
    let site = Site::new();
    let (held, _) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, 1000);
    let file = std::fs::OpenOptions::new().write(true).open(site.path()).unwrap();
    file.set_len(700).unwrap();
    let error = site.read(&held, uids::EXPLICIT_LE).await.unwrap_err();
    assert!(error.to_string().contains("1.4") && matches!(error, OutletError::Store { .. }), "{error:?}");
    std::fs::write(site.path(), "no DICOM").unwrap();
    assert!(matches!(site.read(&held, uids::EXPLICIT_LE).await, Err(OutletError::Store { .. })));
    std::fs::remove_file(site.path()).unwrap();
    let error = site.read(&held, uids::EXPLICIT_LE).await.unwrap_err();
    assert!(matches!(error, OutletError::Store { source: StoreError::Missing { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn a_linked_file_goes_out_while_it_is_what_it_was() {
    let site = Site::new();
    let (mut held, data) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, 1000);
    let path = site.temp.path().join("elsewhere.dcm");
    std::fs::rename(site.path(), &path).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    let (size, modified) = (metadata.len(), metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec());
    let link = Link { path: path.clone(), offset: size - data.len() as u64, size, modified: Some(modified) };
    held.place = Place::Linked(link);
    assert_eq!(site.read(&held, uids::EXPLICIT_LE).await.unwrap(), data);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(size + 2).unwrap();
    let error = site.read(&held, uids::EXPLICIT_LE).await.unwrap_err();
    assert!(matches!(error, OutletError::Store { source: StoreError::LinkChanged { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn other_bytes_of_the_same_length_are_never_sent_as_whole() {
    // One that leaves in one piece, and one that leaves in many.
    for pixels in [200, 3_000_000] {
        let site = Site::new();
        let (held, data) = site.file(uids::EXPLICIT_LE, Encoding::ExplicitLe, pixels);
        assert_eq!(site.read(&held, uids::EXPLICIT_LE).await.unwrap(), data);
        let mut bytes = std::fs::read(site.path()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(site.path(), &bytes).unwrap();
        for to in [uids::EXPLICIT_LE, uids::IMPLICIT_LE] {
            let error = site.read(&held, to).await.unwrap_err();
            assert!(matches!(error, OutletError::Store { source: StoreError::Damaged { .. }, .. }), "{error:?}");
        }
        // Where nobody knows the digest, as of some links, nothing can be said.
        assert!(site.read(&HeldInstance { digest: None, ..held }, uids::EXPLICIT_LE).await.is_ok());
    }
}

/// A decoder that gives up without a word after some bytes.
#[derive(Debug)]
struct Faint;

impl Decodes for Faint {
    fn decode(
        &self,
        _outlet: Outlet,
        _instance: HeldInstance,
        _to: TransferSyntaxUid,
        mut pieces: Pieces,
    ) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move { pieces.push(&[0; 2_000_000]).await.unwrap() })
    }
}

#[tokio::test]
async fn an_object_whose_reader_vanishes_is_never_taken_for_whole() {
    let site = Site::new();
    let (held, _) = site.file("1.2.840.10008.1.2.4.70", Encoding::ExplicitLe, 100);
    let mut departing = site.outlet.decoding(Faint).open(held, &TransferSyntaxUid::new(uids::EXPLICIT_LE));
    let mut bytes = 0;
    let error = loop {
        match departing.piece().await {
            Ok(piece) => bytes += piece.expect("the end without a last piece").len(),
            Err(error) => break error,
        }
    };
    assert!(bytes > 0 && matches!(error, OutletError::Read { .. }), "{bytes} {error:?}");
    assert!(departing.piece().await.unwrap().is_none(), "nothing comes after it");
}
