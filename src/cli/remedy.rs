//! What to do about the errors of this machine. Peers' errors bring their own remedies, in DICOM's terms.

use crate::catalog::CatalogError;
use crate::job::JobError;
use crate::node::NodeError;
use crate::scp::ListenError;
use crate::store::StoreError;

/// For an error of the catalog.
pub(super) fn of_catalog(error: &CatalogError) -> &'static str {
    match error {
        CatalogError::NoSuchJob(_) => "`pacsferry jobs` lists the jobs",
        _ => {
            "see that the catalog lies on a local disk with free space and belongs to this user; `pacsferry check` looks at everything"
        }
    }
}

/// For an error of the storage folder.
pub(super) fn of_store(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotMounted(_) => "mount the disk, or correct `[storage] folder`; nothing was written",
        StoreError::NotAStorageFolder(_) => {
            "name an empty folder, or one that does not exist yet, in `[storage] folder`"
        }
        StoreError::InUse(_) => "end the other pacsferry first",
        StoreError::Full(_) => "make room on the disk, or lower `[storage] minimum_free`",
        StoreError::Io { .. } => "see that this user may read and write there, and that the disk is healthy",
        StoreError::SourceChanged { .. } => "import the folder again when nothing is written to it any more",
        StoreError::SourceUnreadable { .. } => {
            "see that this user may read the file, and that its medium is there and healthy"
        }
        StoreError::LinkChanged { .. } => "import its folder again, so that it is read anew",
        StoreError::CutShort | StoreError::Missing { .. } | StoreError::Damaged { .. } => {
            "`pacsferry verify --all --files` finds every file that is not as it was filed"
        }
    }
}

/// For whatever stops a process.
pub(super) fn of_node(error: &NodeError) -> String {
    match error {
        NodeError::Store { source, .. } => of_store(source).into(),
        NodeError::Catalog { source, .. } | NodeError::Running(source) => of_catalog(source).into(),
        NodeError::OtherFolder { used: None, .. } => "name the folder and the catalog that belong together".into(),
        NodeError::OtherFolder { used: Some(used), .. } | NodeError::FolderChanged { used, .. } => format!(
            "name {used} again in `[storage] folder`, or let `pacsferry relocate {}` change over to the new folder",
            super::output::shell_word(used)
        ),
        NodeError::CatalogLost { .. } => "name the right catalog in `[storage] catalog`, or put a backup of it there; when it is lost, move away what may lie in its place and make it anew with `pacsferry rebuild`".into(),
        NodeError::Nested { .. } => "name a folder beside the old one in `[storage] folder`".into(),
        NodeError::Occupied(_) => "name an empty folder in `[storage] folder`, or one that does not exist yet".into(),
        NodeError::Job(JobError::Scu(error)) => error.remedy().unwrap_or_default(),
        NodeError::Job(JobError::Store(error)) => of_store(error).into(),
        NodeError::Job(JobError::Catalog(error)) => of_catalog(error).into(),
        NodeError::Receiver(ListenError::Tls { source, .. }) | NodeError::Port(ListenError::Tls { source, .. }) => {
            source.remedy()
        }
        NodeError::Receiver(_) => "end the program that holds the port (`ss -ltnp` names it), or set another one in `[receiver] listen` and register that at the old PACS; jobs that are queued go on with the next worker".into(),
        NodeError::Port(_) => "is another `pacsferry serve` running? `ss -ltnp` names the program that holds the port: end it, or set another port in `[node] listen` and at the peers".into(),
        NodeError::Scratch { .. } => "see that the temporary directory (TMPDIR) can be written".into(),
        NodeError::NoSuchSource(_) => "add it to the configuration".into(),
        _ => "`pacsferry check` looks at everything that a job needs".into(),
    }
}
