//! The tutorial, as somebody new types it: from a started server to the first finished task in a new Python environment.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tasklane_testkit::server::clean;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{ServerOptions, binary};

use crate::pages::script;

/// Where it stands.
pub const PAGE: &str = "docs/tutorial/first-task.md";
/// A first task in a minute is what its title promises.
const A_MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_first_task_takes_less_than_a_minute() {
    let python = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    if !python.is_ok_and(|it| it.status.success()) {
        return skip("quickstart", "python3 with venv is not installed");
    }
    story("quickstart", || {
        let page = fs::read_to_string(binary::root().join(PAGE)).unwrap();
        let (first, rest) = page.split_once("## Real work").expect("the page goes on after the first task");
        let server = ServerOptions::default().start();
        let folder = server.dir().join("first-task");
        let run = |part: &str| {
            // The page's own folder would be shared with whoever follows the page at the same time.
            let commands = script(part, &server)
                .replace("cd target/first-task", &format!("cd {}", folder.display()))
                .replace("cd ../..", &format!("cd {}", binary::root().display()))
                .replace("target/first-task", folder.to_str().unwrap());
            let mut bash = Command::new("bash");
            bash.args(["-e", "-u", "-o", "pipefail", "-c", &commands]).current_dir(binary::root());
            let output = clean(&mut bash).env("TASKLANE_URL", server.url()).output().unwrap();
            let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).join("\n");
            assert!(output.status.success(), "{said}");
            said
        };
        let start = Instant::now();
        let said = run(first);
        let took = start.elapsed();
        assert!(said.contains("Hello Ada"), "{said}");
        assert!(took < A_MINUTE, "the first task took {took:?}");
        let report = run(rest);
        assert!(report.contains("3 files"), "{report}");
    });
}
