//! A disk that the power of can be cut: what a copy of it holds is what reached it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::need::must;

/// A file system in a file.
struct Image {
    device: String,
    at: PathBuf,
}

impl Image {
    fn mount(file: &Path, at: PathBuf) -> Self {
        let device = must("losetup", &["--find", "--show", file.to_str().unwrap()]);
        fs::create_dir_all(&at).unwrap();
        must("mount", &[&device, at.to_str().unwrap()]);
        Self { device, at }
    }

    fn make(file: &Path, mebibytes: u64, at: PathBuf) -> Self {
        fs::File::create(file).unwrap().set_len(mebibytes << 20).unwrap();
        must("mkfs.ext4", &["-q", "-F", file.to_str().unwrap()]);
        Self::mount(file, at)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

/// A small disk. It lies as a file on another one, which can be stopped for the moment of a copy: so a copy is one moment of
/// the disk, with what was synced and without what the system still kept.
pub struct Disk {
    inner: Image,
    outer: Image,
    dir: TempDir,
}

/// What is left of a disk whose power was cut.
pub struct Remains {
    _image: Image,
    /// Where it can be read and written again.
    pub at: PathBuf,
}

impl Disk {
    /// A new one.
    pub fn new(mebibytes: u64) -> Self {
        let dir = TempDir::with_prefix("tasklane-disk-").unwrap();
        let outer = Image::make(&dir.path().join("outer"), mebibytes * 2, dir.path().join("under"));
        let inner = Image::make(&outer.at.join("inner"), mebibytes, dir.path().join("disk"));
        Self { inner, outer, dir }
    }

    /// Where it can be written to.
    pub fn at(&self) -> &Path {
        &self.inner.at
    }

    /// Cuts the power of a copy of it, which then starts again.
    pub fn cut(&self, nth: usize) -> Remains {
        let (copy, under) = (self.dir.path().join(format!("copy-{nth}")), self.outer.at.to_str().unwrap());
        must("fsfreeze", &["--freeze", under]);
        let from = self.outer.at.join("inner");
        let copied = Command::new("cp").arg("--sparse=always").args([&from, &copy]).status();
        must("fsfreeze", &["--unfreeze", under]);
        assert!(copied.unwrap().success());
        let at = self.dir.path().join(format!("after-{nth}"));
        let image = Image::mount(&copy, at.clone());
        let _ = fs::remove_file(copy);
        Remains { _image: image, at }
    }
}
