//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};

/// The tasklane program: `TASKLANE_BIN`, else the one that `make test` builds.
pub fn tasklane() -> PathBuf {
    let path = env::var_os("TASKLANE_BIN").map_or_else(|| programs().join("tasklane"), PathBuf::from);
    assert!(path.exists(), "{} is not built: run `make test`, or cargo build --profile ci", path.display());
    path
}

/// The directory of the programs built with the profile `ci`.
pub fn programs() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("ci")
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("testkit stands in crates/testkit").to_path_buf()
}
