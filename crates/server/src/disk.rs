//! How full the disk below the data is.

use std::path::PathBuf;

use rustix::fs::statvfs;

/// Bytes in use and in all of the file system that holds `dir`; `None` where the system does not say.
pub fn usage(dir: &PathBuf) -> Option<(u64, u64)> {
    let disk = statvfs(dir).ok()?;
    share(disk.f_blocks, disk.f_bfree, disk.f_bavail, disk.f_frsize)
}

/// As `df` counts: what is set aside (for the administrator, by a quota) is neither in use nor to be had. Counted as in
/// use it would make a disk look full on which hardly anything is stored, and the sweep would take what it should keep.
fn share(blocks: u64, free: u64, available: u64, size: u64) -> Option<(u64, u64)> {
    let used = blocks.checked_sub(free)?;
    Some((used.checked_mul(size)?, used.checked_add(available)?.checked_mul(size)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_set_aside_is_neither_in_use_nor_to_be_had() {
        assert_eq!(share(252, 210, 50, 4096), Some((42 * 4096, 92 * 4096)));
        assert_eq!(share(10, 0, 0, 1), Some((10, 10)));
        assert_eq!(share(1, 2, 0, 1), None);
    }

    #[test]
    fn the_disk_of_a_directory_is_known_and_that_of_nothing_is_not() {
        let (used, all) = usage(&std::env::temp_dir()).unwrap();
        assert!(used <= all && all > 0);
        assert_eq!(usage(&PathBuf::from("/no/such/place")), None);
    }
}
