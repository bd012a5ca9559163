//! Settings from flags, environment, `.env` and files: which one holds, who is told to have said it, and what is refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{ServerOptions, binary, port};

use crate::pages::blocks;

/// Runs a command in `dir` with these variables.
fn run(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary::tasklane());
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    clean(&mut command).envs(environment.iter().copied()).output().unwrap()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `config check` tells about `key`.
fn told(dir: &Path, arguments: &[&str], environment: &[(&str, &str)], key: &str) -> Value {
    let output = run(dir, &[&["config", "check", "-o", "ndjson"][..], arguments].concat(), environment);
    let lines = words(&output.stdout);
    let mut lines = lines.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    lines.find(|it| it["key"] == key).unwrap_or_else(|| panic!("{key}: {}", words(&output.stderr)))
}

#[test]
fn the_first_who_says_something_is_obeyed() {
    story("config::order", || {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let slots =
            |arguments: &[&str], environment: &[(&str, &str)]| told(dir, arguments, environment, "executors.slots");
        assert_eq!((&slots(&[], &[])["value"], &slots(&[], &[])["origin"]), (&"64".into(), &"default".into()));

        fs::write(dir.join("tasklane.toml"), "[executors]\nslots = 5\n\n[log]\nlevel = \"WARNING\"\n").unwrap();
        let said = slots(&[], &[]);
        assert_eq!(
            (&said["value"], &said["said_by"], &said["line"]),
            (&"5".into(), &"tasklane.toml".into(), &2.into())
        );
        fs::create_dir(dir.join("config")).unwrap();
        fs::write(dir.join("config/10-slots.toml"), "executors.slots = 6\n").unwrap();
        let said = slots(&[], &[]);
        assert_eq!((&said["value"], &said["said_by"]), (&"6".into(), &"config/10-slots.toml".into()));

        fs::write(dir.join(".env"), "# here\nTASKLANE_SLOTS=7\n").unwrap();
        let said = slots(&[], &[]);
        assert_eq!(
            (&said["value"], &said["said_by"], &said["line"]),
            (&"7".into(), &"TASKLANE_SLOTS".into(), &2.into())
        );
        assert_eq!(slots(&[], &[("TASKLANE_SLOTS", "8")])["value"], "8");

        let level = told(dir, &[], &[("LOG_LEVEL", "Critical")], "log.level");
        assert_eq!(
            (&level["value"], &level["said_by"], &level["foreign"]),
            (&"Critical".into(), &"LOG_LEVEL".into(), &true.into())
        );
        let level = told(dir, &["--log", "debug"], &[("LOG_LEVEL", "Critical")], "log.level");
        assert_eq!((&level["value"], &level["said_by"]), (&"debug".into(), &"--log".into()));

        fs::write(dir.join("other.toml"), "[executors]\nslots = 9\n").unwrap();
        fs::remove_file(dir.join(".env")).unwrap();
        fs::remove_dir_all(dir.join("config")).unwrap();
        assert_eq!(slots(&["--config", "other.toml"], &[])["value"], "9");
        assert_eq!(slots(&[], &[("TASKLANE_CONFIG", "other.toml")])["value"], "9");
    });
}

#[test]
fn a_server_is_what_its_file_says() {
    story("config::served", || {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log/tasklane.log");
        let text =
            format!("[executors]\nenabled = false\n[log]\nfile = {:?}\nlevel = \"Debug\"\n", log.to_str().unwrap());
        let file = dir.path().join("server.toml");
        fs::write(&file, text).unwrap();
        let options = ServerOptions { arguments: vec!["--config".into(), file.into()], ..ServerOptions::default() };
        let mut server = options.start();
        let id = server.submit(&serde_json::json!({ "type": "default", "payload": "s3cret-payload" }));
        assert_eq!(server.stop().code(), Some(0));
        let lines = fs::read_to_string(&log).unwrap();
        let messages: Vec<Value> = lines.lines().map(|it| serde_json::from_str(it).expect("JSON lines")).collect();
        assert!(messages.iter().any(|it| it["message"] == "ready") && messages.iter().any(|it| it["level"] == "DEBUG"));
        assert!(!lines.contains("s3cret-payload"), "a payload is in the log");
        server.start();
        assert_eq!(server.task(&id)["state"], "queued", "no executor ran it");
    });
}

#[test]
fn what_nothing_reads_is_refused_with_what_was_meant() {
    story("config::refused", || {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let listen = format!("127.0.0.1:{}", port::free());
        let cases = [
            (
                "[http]\nlisten = \"127.0.0.1:1\"\nmax_conections = 5\n",
                &["tasklane.toml:3", "http.max_connections"][..],
            ),
            ("listen = \"127.0.0.1:1\"\n", &["tasklane.toml:1", "http.listen"]),
            ("[executors]\nslots = \"many\"\n", &["tasklane.toml:2", "many", "whole number"]),
            ("[keys]\nadmin_key = \"s3cret\"\n", &["tasklane.toml:2", "32 characters"]),
            ("[store]\ndatabase_url = \"mysql://u:s3cret@h/d\"\n", &["tasklane.toml:2"]),
            ("[keys\n", &["tasklane.toml:1"]),
        ];
        for (text, told) in cases {
            fs::write(dir.join("tasklane.toml"), text).unwrap();
            for arguments in [&["serve", "--listen", &listen][..], &["config", "check"]] {
                let output = run(dir, arguments, &[]);
                let said = words(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{text}: {said}");
                assert!(told.iter().all(|it| said.contains(it)), "{text}: {said}");
                assert!(!said.contains("s3cret") && !words(&output.stdout).contains("s3cret"), "{said}");
            }
        }
        fs::remove_file(dir.join("tasklane.toml")).unwrap();
        assert_eq!(run(dir, &["serve", "--config", "nowhere.toml"], &[]).status.code(), Some(2));
        fs::write(dir.join(".env"), "TASKLANE_SLOTS='7\n").unwrap();
        let output = run(dir, &["config", "check"], &[]);
        assert!(output.status.code() == Some(2) && words(&output.stderr).contains(".env:1"));
    });
}

#[test]
fn files_of_other_programs_are_left_alone() {
    story("config::foreign_files", || {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        fs::write(dir.path().join("config/app.toml"), "[server]\nport = 80\n").unwrap();
        let output = run(dir.path(), &["config", "check"], &[("TASKLANE_SLOST", "1")]);
        let said = words(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains("config/app.toml") && said.contains("TASKLANE_SLOST") && said.contains("TASKLANE_SLOTS"),
            "{said}"
        );
        fs::write(dir.path().join("config/app.toml"), "[executors]\nport = 80\n").unwrap();
        assert_eq!(run(dir.path(), &["config", "check"], &[]).status.code(), Some(2), "one that is ours is read");
    });
}

#[test]
fn schema_and_reference_are_made_from_the_settings() {
    story("config::pages", || {
        let dir = tempfile::tempdir().unwrap();
        let schema: Value = serde_json::from_slice(&run(dir.path(), &["config", "schema"], &[]).stdout).unwrap();
        assert_eq!(schema["properties"]["executors"]["properties"]["slots"]["maximum"], 10_000);
        let root = binary::root();
        for (arguments, page) in [
            (&["config", "reference"][..], "docs/reference/configuration.md"),
            (&["config", "reference", "--env"], ".env.example"),
            (&["reference", "codes"], "docs/reference/codes.md"),
            (&["reference", "command-line"], "docs/reference/command-line.md"),
        ] {
            let made = words(&run(dir.path(), arguments, &[]).stdout);
            assert!(made == fs::read_to_string(root.join(page)).unwrap(), "{page}: run scripts/reference");
        }
    });
}

#[test]
fn the_settings_of_the_page_on_production_are_ready_for_it() {
    story("config::production", || {
        let dir = tempfile::tempdir().unwrap();
        let page = fs::read_to_string(binary::root().join("docs/how-to/run-in-production.md")).unwrap();
        let (_, text) = blocks(&page).into_iter().find(|(word, _)| word == "toml").unwrap();
        fs::write(dir.path().join("tasklane.toml"), text).unwrap();
        let check = |environment: &[(&str, &str)]| run(dir.path(), &["config", "check", "--production"], environment);
        let ready = check(&[("TASKLANE_ADMIN_KEY", "0123456789abcdef0123456789abcdef")]);
        assert_eq!(ready.status.code(), Some(0), "{}", words(&ready.stderr));
        let open = check(&[]);
        assert_eq!(open.status.code(), Some(1));
        assert!(words(&open.stderr).contains("keys.admin_key: "), "{}", words(&open.stderr));
    });
}
