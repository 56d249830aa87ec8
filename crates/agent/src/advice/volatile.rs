//! Whether the change outlives a reboot: the file system that holds the shadow file.

use super::{FileSystem, Files};
use opencpm_domain::Advice;

/// The kernel's magic numbers of file system types (statfs(2)).
pub(super) const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
pub(super) const OVERLAY: u64 = 0x794c_7630;
const AUFS: u64 = 0x6175_6673;
const SQUASHFS: u64 = 0x7371_7368;
const EROFS: u64 = 0xe0f5_e1e2;
const ISO9660: u64 = 0x9660;

pub(super) fn advice(files: &dyn Files) -> Option<Advice> {
    // The directory, not the file: the change replaces the file in it.
    match files.file_system("/etc") {
        Ok(file_system) => judge(&file_system),
        Err(_) => Some(Advice::EtcUnknown),
    }
}

fn judge(file_system: &FileSystem) -> Option<Advice> {
    match file_system.magic {
        TMPFS | RAMFS | SQUASHFS | EROFS | ISO9660 => Some(Advice::EtcVolatile),
        OVERLAY => overlay(file_system),
        AUFS => Some(Advice::EtcUnknown),
        _ => block_device(file_system),
    }
}

/// An overlay keeps changes in its upper directory, so that one's file system decides. Its path
/// is the one that was true when the overlay was mounted: where now only the overlay itself
/// covers it, nothing is known (a container, or a live system that moved its mounts).
fn overlay(file_system: &FileSystem) -> Option<Advice> {
    let text = String::from_utf8_lossy(&file_system.mounts);
    let mounts: Vec<Mount> = text.lines().filter_map(Mount::parse).collect();
    let own = mounts.iter().find(|mount| Some(mount.number) == file_system.mount);
    let Some((own, upper)) = own.and_then(|own| Some((own, own.upper_directory()?))) else {
        return Some(Advice::EtcUnknown);
    };
    // Of mounts on the same point the last covers the others.
    let holder = mounts
        .iter()
        .filter(|mount| is_below(&upper, &mount.point))
        .max_by_key(|mount| mount.point.len());
    match holder {
        Some(holder) if matches!(holder.kind, "tmpfs" | "ramfs" | "rootfs") => {
            Some(Advice::EtcVolatile)
        }
        Some(holder) if holder.kind != "overlay" && holder.number != own.number => None,
        _ => Some(Advice::EtcUnknown),
    }
}

/// Block devices that live in memory: compressed memory, memory disks, and the device-mapper
/// snapshot of a live system.
fn block_device(file_system: &FileSystem) -> Option<Advice> {
    let text = String::from_utf8_lossy(&file_system.mounts);
    let own = text
        .lines()
        .filter_map(Mount::parse)
        .find(|mount| Some(mount.number) == file_system.mount)?;
    let in_memory = ["/dev/zram", "/dev/ram", "/dev/mapper/live-rw"];
    in_memory.iter().any(|device| own.source.starts_with(device)).then_some(Advice::EtcVolatile)
}

/// One line of proc_pid_mountinfo(5).
struct Mount<'a> {
    number: u64,
    point: String,
    kind: &'a str,
    source: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ');
        let number = head.next()?.parse().ok()?;
        let point = unescape(head.nth(3)?);
        let mut tail = tail.splitn(3, ' ');
        Some(Self {
            number,
            point,
            kind: tail.next()?,
            source: tail.next()?,
            options: tail.next()?,
        })
    }

    fn upper_directory(&self) -> Option<String> {
        let upper = self.options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
        Some(unescape(upper)).filter(|path| path.starts_with('/'))
    }
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escape, byte) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, byte);
    }
    plain
}

fn is_below(path: &str, point: &str) -> bool {
    point == "/"
        || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(magic: u64, mounts: &str) -> FileSystem {
        FileSystem { magic, mount: Some(20), mounts: mounts.as_bytes().to_vec() }
    }

    #[test]
    fn a_disk_keeps_the_change() {
        let mounts = "20 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n";
        assert_eq!(judge(&facts(0xef53, mounts)), None);
        assert_eq!(judge(&facts(0xef53, "")), None);
    }

    #[test]
    fn memory_and_read_only_images_do_not() {
        for magic in [TMPFS, RAMFS, SQUASHFS, EROFS, ISO9660] {
            assert_eq!(judge(&facts(magic, "")), Some(Advice::EtcVolatile));
        }
        let live = "20 1 253:0 / / rw - ext4 /dev/mapper/live-rw rw\n";
        assert_eq!(judge(&facts(0xef53, live)), Some(Advice::EtcVolatile));
    }

    #[test]
    fn a_live_system_whose_upper_directory_is_memory_forgets_the_change() {
        let debian_live = "18 20 0:20 / /run rw,nosuid - tmpfs tmpfs rw,size=400k\n\
            20 1 0:26 / / rw,noatime - overlay overlay rw,lowerdir=/run/live/rootfs,upperdir=/run/live/overlay/rw,workdir=/run/live/overlay/work\n";
        assert_eq!(judge(&facts(OVERLAY, debian_live)), Some(Advice::EtcVolatile));
    }

    #[test]
    fn an_upper_directory_out_of_sight_is_unknown() {
        let casper = "20 1 0:26 / / rw - overlay /cow rw,lowerdir=/a,upperdir=/cow/upper\n";
        assert_eq!(judge(&facts(OVERLAY, casper)), Some(Advice::EtcUnknown));
        let none = "20 1 0:26 / / ro - overlay overlay ro,lowerdir=/a:/b\n";
        assert_eq!(judge(&facts(OVERLAY, none)), Some(Advice::EtcUnknown));
        assert_eq!(judge(&facts(OVERLAY, "")), Some(Advice::EtcUnknown));
    }

    #[test]
    fn a_transactional_system_keeps_its_upper_directory_on_disk() {
        let micro_os = "10 1 0:30 /@/x / ro - btrfs /dev/vda3 ro,subvol=/@/x\n\
            20 10 0:40 / /etc rw - overlay overlay rw,lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/1/etc\n";
        assert_eq!(judge(&facts(OVERLAY, micro_os)), None);
    }

    proptest! {
        #[test]
        fn any_mount_table_is_judged(mounts in proptest::collection::vec(any::<u8>(), 0..400)) {
            for magic in [OVERLAY, 0xef53] {
                let facts = FileSystem { magic, mount: Some(20), mounts: mounts.clone() };
                let _ = judge(&facts);
            }
        }
    }
}
