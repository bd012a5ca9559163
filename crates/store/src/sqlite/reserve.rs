//! Room kept back for a full disk: a file that is given up so that settlements, renewals and sweep go on while submits are
//! refused.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Size of the file.
pub const RESERVE_BYTES: u64 = 16 << 20;
/// How often a full disk is looked at again.
const AGAIN: Duration = Duration::from_millis(500);

/// The reserve.
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
    tried: Duration,
}

impl Reserve {
    /// Takes the reserve. Not to find room for it is no error: then the disk counts as full.
    pub(crate) fn take(dir: &Path, bytes: u64) -> Self {
        let mut reserve = Self { path: dir.join("reserve"), bytes, held: false, tried: Duration::ZERO };
        reserve.held = reserve.make();
        reserve
    }

    /// Gives the room up.
    pub(crate) fn give_up(&mut self, elapsed: Duration) {
        if self.held {
            tracing::warn!("the disk is full: submits are refused, all else goes on from the reserve");
        }
        (self.held, self.tried) = (false, elapsed);
        // It may be gone already; then there is nothing to give.
        let _ = fs::remove_file(&self.path);
    }

    /// Takes the room again if there is some, and it is time to look.
    pub(crate) fn try_again(&mut self, elapsed: Duration) -> bool {
        if !self.held && elapsed.saturating_sub(self.tried) >= AGAIN {
            self.tried = elapsed;
            self.held = self.make();
            if self.held {
                tracing::info!("there is room on the disk again: submits are accepted");
            }
        }
        self.held
    }

    fn make(&self) -> bool {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() == self.bytes) {
            return true;
        }
        let made = self.write();
        if made.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        made.is_ok()
    }

    /// Writes real bytes: a sparse file would reserve nothing.
    fn write(&self) -> std::io::Result<()> {
        let mut file = File::create(&self.path)?;
        let block = vec![0x5a_u8; 1 << 20];
        let mut left = self.bytes;
        while left > 0 {
            let now = left.min(block.len() as u64);
            file.write_all(&block[..now as usize])?;
            left -= now;
        }
        file.sync_all()
    }
}
