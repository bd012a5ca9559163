//! What the pages tell people to type works: every `sh` block of a page runs, in order, against a server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tasklane_testkit::server::clean;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{Server, ServerOptions, binary};

use crate::{by_http, quickstart};

/// The other page with Rust.
const WORKER_IN_RUST: &str = "docs/how-to/write-a-worker-in-rust.md";

/// Every page for people.
pub fn pages() -> Vec<PathBuf> {
    let root = binary::root();
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("CHANGELOG.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|it| it == "md") {
                pages.push(entry);
            }
        }
    }
    pages
}

/// The fenced blocks of a page, each with the word behind its fence.
pub fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(word), None) => open = Some((word.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that never ends");
    blocks
}

/// A page's commands as one script for the server and the programs of this test run.
pub fn script(page: &str, server: &Server) -> String {
    let commands: String = blocks(page).into_iter().filter(|(word, _)| word == "sh").map(|(_, text)| text).collect();
    let programs = binary::programs();
    commands
        .replace("http://127.0.0.1:8000", &server.url())
        .replace("/var/lib/tasklane", server.data_dir().to_str().unwrap())
        .replace("/var/lib/again", server.dir().join("again").to_str().unwrap())
        .replace("/backup/", &format!("{}/", server.dir().display()))
        .replace("$PWD/target/release", programs.to_str().unwrap())
        .replace("cargo run --release --package word-counts --", "word-counts")
}

/// Puts a `curl` before the real one that fails where the answer is an error.
fn strict_curl(dir: &Path) {
    let file = dir.join("curl");
    fs::write(&file, "#!/bin/sh\nPATH=${PATH#*:} exec curl --fail-with-body \"$@\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_command_on_a_page_works() {
    let curl = Command::new("curl").arg("--version").output().is_ok();
    if !curl {
        return skip("pages::commands", "curl is not installed");
    }
    story("pages::commands", || {
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            // The story `quickstart` runs the tutorial, with a clock.
            if page.ends_with(quickstart::PAGE) || !blocks(&text).iter().any(|(word, _)| word == "sh") {
                continue;
            }
            let server = ServerOptions::default().start();
            let shims = tempfile::tempdir().unwrap();
            strict_curl(shims.path());
            let programs = binary::programs();
            let path = format!("{}:{}:{}", shims.path().display(), std::env::var("PATH").unwrap(), programs.display());
            let mut bash = Command::new("bash");
            bash.args(["-e", "-u", "-o", "pipefail", "-c", &script(&text, &server)]).current_dir(binary::root());
            let output = clean(&mut bash).env("PATH", path).env("TASKLANE_URL", server.url()).output().unwrap();
            let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).join("\n");
            assert!(output.status.success(), "{}: {said}", page.display());
        }
    });
}

#[test]
fn every_block_of_a_page_says_what_it_is_and_is_tried() {
    story("pages::blocks", || {
        let readme = binary::root().join("README.md");
        for page in pages() {
            for (word, text) in blocks(&fs::read_to_string(&page).unwrap()) {
                // `sh` is run above and `toml` checked below, `bash` run by the story `by_http`; Rust is compiled as doc
                // tests of this crate, Python run by the SDK's tests; `text` is no code.
                let tried = match word.as_str() {
                    "sh" | "toml" | "text" => true,
                    "bash" => page.ends_with(by_http::PAGE),
                    "python" => page.starts_with(binary::root().join("docs")),
                    word => word.starts_with("rust") && (page == readme || page.ends_with(WORKER_IN_RUST)),
                };
                assert!(tried, "{}: nothing tries this block ({word:?}):\n{text}", page.display());
            }
        }
    });
}

#[test]
fn every_configuration_on_a_page_is_one() {
    story("pages::toml", || {
        let dir = tempfile::tempdir().unwrap();
        for page in pages() {
            for (_, text) in blocks(&fs::read_to_string(&page).unwrap()).iter().filter(|(word, _)| word == "toml") {
                fs::write(dir.path().join("tasklane.toml"), text).unwrap();
                let mut check = Command::new(binary::tasklane());
                let output = clean(check.args(["config", "check"]).current_dir(dir.path())).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {said}\n{text}", page.display());
            }
        }
    });
}

#[test]
fn every_make_target_a_page_names_is_one() {
    story("pages::make", || {
        let makefile = fs::read_to_string(binary::root().join("Makefile")).unwrap();
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            let code = blocks(&text)
                .into_iter()
                .map(|(_, text)| text)
                .chain(text.split('`').skip(1).step_by(2).map(str::to_owned));
            for line in code.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>()) {
                let Some(target) = line.strip_prefix("make ").and_then(|it| it.split_whitespace().next()) else {
                    continue;
                };
                assert!(makefile.contains(&format!("\n{target}:")), "{}: make {target} is no target", page.display());
            }
        }
    });
}

#[test]
fn every_path_a_page_names_exists() {
    story("pages::paths", || {
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            for word in text.split('`').skip(1).step_by(2) {
                let rooms = ["crates/", "docs/", "scripts/", "tests/", "examples/", "bench/"];
                if rooms.iter().any(|it| word.starts_with(it)) && !word.contains(char::is_whitespace) {
                    assert!(binary::root().join(word).exists(), "{}: {word} is gone", page.display());
                }
            }
        }
    });
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    story("pages::links", || {
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
                let file = link.split('#').next().unwrap();
                let elsewhere = link.starts_with("http://") || link.starts_with("https://") || file.is_empty();
                assert!(elsewhere || page.parent().unwrap().join(file).exists(), "{}: {link}", page.display());
            }
        }
    });
}
