//! Whether a database may lie where it is: not on file systems that several machines share.

use std::path::Path;

use super::DbError;

/// Refuses network file systems: a WAL needs shared memory and locks that mean something.
pub(super) fn check(path: &Path) -> Result<(), DbError> {
    match kind_of(path)? {
        Some(kind) => Err(DbError::Network { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_path: &Path) -> Result<Option<String>, DbError> {
    Ok(None)
}

/// What the file system is called, if it is one that is refused.
#[cfg(target_os = "linux")]
fn kind_of(path: &Path) -> Result<Option<String>, DbError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |e| DbError::file("could not examine", path, e);
    let magic = rustix::fs::statfs(path).map_err(|e| failed(e.into()))?.f_type;
    let device = std::fs::metadata(path).map_err(failed)?.dev();
    // Without /proc the number alone decides.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let name = name_of_mount(&mounts, rustix::fs::major(device), rustix::fs::minor(device));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers have 32 bits")]
    Ok(refused(magic as u32, name))
}

/// The type of the file system that is mounted from this device.
fn name_of_mount(mountinfo: &str, major: u32, minor: u32) -> Option<&str> {
    let device = format!("{major}:{minor}");
    mountinfo.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let found = mount.split(' ').nth(2)? == device;
        if found { system.split(' ').next() } else { None }
    })
}

const FUSE: u32 = 0x6573_5546;

/// By magic number where the kernel has one for the file system; a FUSE one is told by its name, and refused unless it
/// is known to be a local disk.
fn refused(magic: u32, name: Option<&str>) -> Option<String> {
    let known = match magic {
        0x0000_6969 => "NFS",
        0x0000_517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x0102_1997 => "9p",
        0x00C3_6400 => "Ceph",
        0x0000_564C => "NCP",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0BD0_0BD0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        FUSE => return name.filter(|name| !is_local_fuse(name)).map(str::to_owned),
        _ => return None,
    };
    Some(name.unwrap_or(known).to_owned())
}

fn is_local_fuse(name: &str) -> bool {
    matches!(name, "fuseblk" | "fuse.fuse-overlayfs" | "fuse.ntfs-3g" | "fuse.exfat" | "fuse.zfs" | "fuse.mergerfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
31 28 0:44 / /mnt/nas rw,relatime shared:9 - fuse.sshfs me@nas:/pacs rw
33 28 0:47 / /data rw,relatime - fuseblk /dev/sdb1 rw
";

    #[test]
    fn mounts_are_found_by_their_device() {
        assert_eq!(name_of_mount(MOUNTS, 254, 1), Some("ext4"));
        assert_eq!(name_of_mount(MOUNTS, 0, 44), Some("fuse.sshfs"));
        assert_eq!(name_of_mount(MOUNTS, 0, 4), None);
        assert_eq!(name_of_mount("", 0, 44), None);
    }

    #[test]
    fn shared_file_systems_are_refused_and_disks_are_not() {
        assert_eq!(refused(0x6969, Some("nfs4")), Some("nfs4".into()));
        assert_eq!(refused(0x6969, None), Some("NFS".into()));
        assert_eq!(refused(0xFF53_4D42, Some("cifs")), Some("cifs".into()));
        assert_eq!(refused(0xFE53_4D42, Some("smb3")), Some("smb3".into()));
        assert_eq!(refused(0x0102_1997, Some("9p")), Some("9p".into()));
        assert_eq!(refused(FUSE, Some("fuse.sshfs")), Some("fuse.sshfs".into()));
        assert_eq!(refused(FUSE, Some("fuse.anything")), Some("fuse.anything".into()));
        assert_eq!(refused(FUSE, Some("fuseblk")), None);
        assert_eq!(refused(FUSE, None), None);
        for (magic, name) in [
            (0xEF53, "ext4"),
            (0x5846_5342, "xfs"),
            (0x9123_683E, "btrfs"),
            (0x0102_1994, "tmpfs"),
            (0x794C_7630, "overlay"),
        ] {
            assert_eq!(refused(magic, Some(name)), None, "{name}");
        }
    }

    #[test]
    fn a_temporary_folder_is_no_network() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path()).is_ok());
    }
}
