//! A storage folder that changes: everything is there afterwards, wherever it was stopped.

use std::collections::BTreeMap;

use super::*;
use crate::intake::How;
use crate::node::testing::Site;
use crate::store::Place;

impl Site {
    fn from(&self) -> PathBuf {
        std::fs::canonicalize(self.temp.path().join("images")).unwrap()
    }

    /// The same catalog with another folder.
    fn with_folder(&self, name: &str) -> Config {
        let mut config = self.config.clone();
        config.storage.folder = self.temp.path().join(name);
        config
    }

    /// What is filed where, by kind of place.
    async fn places(&self) -> (usize, usize) {
        let catalog = Catalog::open(&self.config.storage.catalog).unwrap();
        let study = StudyInstanceUid::new(crate::node::testing::STUDY);
        let files = catalog.files_of_study(&study, None, 100).await.unwrap();
        let stored = files.iter().filter(|file| matches!(file.place, Place::Stored(_))).count();
        (stored, files.len() - stored)
    }
}

async fn go(config: &Config, from: &Path, link_only: bool) -> Result<(Relocated, Vec<Finding>), NodeError> {
    let (stop, mut findings) = (CancellationToken::new(), Vec::new());
    let mut tell = |step| {
        if let Step::Left(finding) = step {
            findings.push(finding);
        }
    };
    let done = relocate(config.clone(), from, link_only, &stop, &mut tell).await?;
    Ok((done, findings))
}

/// Every file below a folder with its bytes, but what a process needs for itself.
fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".dcm") {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn everything_moves_and_the_old_folder_stays_as_it_is() {
    let site = Site::new().await;
    site.link("a stick's file", "1.2.3.8", "A", How::Link).await;
    let (from, config) = (site.from(), site.with_folder("new/images"));
    let before = bytes_of(&from);
    let refused = crate::node::open(config.clone()).await.err().unwrap();
    assert!(matches!(&refused, NodeError::FolderChanged { used, .. } if used.ends_with("images")), "{refused}");

    let (done, findings) = go(&config, &from, false).await.unwrap();
    assert_eq!((done.linked, done.adoption.objects, findings.len()), (3, 3, 0), "{findings:?}");
    assert_eq!(bytes_of(&from), before);
    assert_eq!(bytes_of(&config.storage.folder), before, "each has the place that it had");
    assert_eq!(site.places().await, (5, 1), "what lies on the stick is not ours to move");
    let moved = Site { config: config.clone(), ..site };
    assert_eq!(moved.findings().await, Vec::<String>::new());
    assert!(crate::node::open(config.clone()).await.is_ok());
    let again = go(&config, &from, false).await.unwrap().0;
    assert_eq!((again.linked, again.adoption.objects), (0, 0), "there is nothing left to do");

    // The old folder may go, the catalog may be lost: the new folder has all that there is to know.
    std::fs::remove_dir_all(&from).unwrap();
    let before = moved.contents().await;
    moved.lose_the_catalog();
    let rebuilt = crate::node::rebuild(config).await.unwrap();
    assert_eq!((rebuilt.objects, rebuilt.quarantined, rebuilt.problem_count), (4, 2, 0), "{:?}", rebuilt.problems);
    assert_eq!(moved.contents().await, before);
}

#[tokio::test]
async fn entries_stay_valid_as_links_and_are_adopted_later() {
    let site = Site::new().await;
    let (from, config) = (site.from(), site.with_folder("new"));
    let (done, _) = go(&config, &from, true).await.unwrap();
    assert_eq!((done.linked, done.adoption.objects), (3, 0));
    assert_eq!(site.places().await, (2, 3), "quarantine is copied at once");
    let moved = Site { config: config.clone(), ..site };
    assert_eq!(moved.findings().await, Vec::<String>::new());
    let stop = CancellationToken::new();
    let adopted = crate::node::adopt(config, &Scope::All, &stop, &mut |_| {}).await.unwrap();
    assert_eq!((adopted.objects, adopted.findings), (3, 0));
    assert_eq!(moved.places().await, (5, 0));
    assert_eq!(moved.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_goes_back_finds_the_files_where_they_were() {
    let site = Site::new().await;
    let (from, config) = (site.from(), site.with_folder("new"));
    go(&config, &from, true).await.unwrap();
    let refused = crate::node::open(site.config.clone()).await.err().unwrap();
    assert!(matches!(refused, NodeError::OtherFolder { .. }), "{refused}");
    let before = bytes_of(&from);
    let to = std::fs::canonicalize(&config.storage.folder).unwrap();
    let (done, findings) = go(&site.config, &to, false).await.unwrap();
    assert_eq!((done.linked, findings.len()), (0, 0), "{findings:?}");
    assert_eq!(bytes_of(&from), before);
    let stop = CancellationToken::new();
    crate::node::adopt(site.config.clone(), &Scope::All, &stop, &mut |_| {}).await.unwrap();
    assert_eq!(site.places().await, (5, 0));
    assert_eq!(bytes_of(&from), before, "a file that lies in its place is its own copy");
    assert_eq!(site.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_with_the_folders_is_said_before_anything_is_changed() {
    let site = Site::new().await;
    let from = site.from();
    // Another archive's folder.
    let other = Site::new().await;
    let config = Config { storage: other.config.storage.clone(), ..site.config.clone() };
    let mut config = config;
    config.storage.catalog = site.config.storage.catalog.clone();
    let refused = go(&config, &from, false).await.unwrap_err();
    assert!(matches!(refused, NodeError::Occupied(_)), "{refused}");
    let refused = go(&site.with_folder("new"), &other.from(), false).await.unwrap_err();
    assert!(matches!(refused, NodeError::OtherFolder { .. }), "{refused}");
    let refused = go(&site.with_folder("images/below"), &from, false).await.unwrap_err();
    assert!(matches!(refused, NodeError::Nested { .. }), "{refused}");
    assert!(!from.join("below").exists());
    let open = Store::open(&from, 0).unwrap();
    let refused = go(&site.with_folder("new"), &from, false).await.unwrap_err();
    assert!(matches!(refused, NodeError::Store { source: StoreError::InUse(_), .. }), "{refused}");
    drop(open);
    assert_eq!(site.places().await, (5, 0));
    assert_eq!(site.findings().await, Vec::<String>::new());
}
