//! How full the disk below the data is.

use std::path::PathBuf;

use rustix::fs::statvfs;

/// Bytes in use and in all of the file system that holds `dir`; `None` where the system does not say.
pub fn usage(dir: &PathBuf) -> Option<(u64, u64)> {
    let disk = statvfs(dir).ok()?;
    // What only the administrator may still use is in use for us.
    let free = disk.f_bavail.checked_mul(disk.f_frsize)?;
    let all = disk.f_blocks.checked_mul(disk.f_frsize)?;
    Some((all.saturating_sub(free), all))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_disk_of_a_directory_is_known_and_that_of_nothing_is_not() {
        let (used, all) = usage(&std::env::temp_dir()).unwrap();
        assert!(used <= all && all > 0);
        assert_eq!(usage(&PathBuf::from("/no/such/place")), None);
    }
}
