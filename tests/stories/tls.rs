//! HTTPS: with a certificate from files, which are read anew where they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tasklane_stories::harness::PATIENCE;
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{Server, ServerOptions, binary, port};

const HOST: &str = "tasks.example";

/// Makes a certificate for [`HOST`] that is its own authority, and its key.
fn certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tasks.example -addext";
    let mut openssl = Command::new("openssl");
    openssl.args(words.split(' ')).arg(format!("subjectAltName=DNS:{HOST}"));
    let output = openssl.arg("-out").arg(&cert).arg("-keyout").arg(&key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (cert, key)
}

/// What `/ready` answers to who trusts this authority; `None` where the handshake fails.
fn ready(server: &Server, authority: &Path) -> Option<String> {
    let port = server.address().port();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "10", "--cacert"]).arg(authority);
    curl.args(["--resolve", &format!("{HOST}:{port}:127.0.0.1"), "--header", "Host: localhost"]);
    let output = curl.arg(format!("https://{HOST}:{port}/ready")).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_certificate_is_shown_and_changed_while_it_serves() {
    if Command::new("curl").arg("--version").output().is_err()
        || Command::new("openssl").arg("version").output().is_err()
    {
        return skip("tls::changed", "curl or openssl is not installed");
    }
    story("tls::changed", || {
        let dir = tempfile::tempdir().unwrap();
        let [(first, first_key), (second, second_key)] = ["first", "second"].map(|it| certificate(dir.path(), it));
        let (shown, key) = (dir.path().join("shown.pem"), dir.path().join("shown.key"));
        let show = |cert: &Path, its_key: &Path| {
            fs::copy(its_key, &key).unwrap();
            fs::copy(cert, &shown).unwrap();
        };
        show(&first, &first_key);
        let options = ServerOptions::without_executors().with_env("TASKLANE_TLS_CERT", &shown);
        let mut server = options.with_env("TASKLANE_TLS_KEY", &key).prepare();
        server.spawn();
        until("it to serve", PATIENCE, || ready(&server, &first));
        assert_eq!(ready(&server, &second), None, "a caller that trusts another authority was served");
        // Who speaks no TLS hears nothing of use, and is in nobody's way.
        let plain = server.connect().call("GET", "/ready", &[], b"");
        assert!(plain.is_err(), "{plain:?}");

        fs::write(&shown, "no certificate").unwrap();
        until("it to say so", PATIENCE, || server.log().contains("cannot be used").then_some(()));
        assert!(ready(&server, &first).is_some(), "the last one that could be used is still shown");
        show(&second, &second_key);
        until("the other one to be shown", PATIENCE, || ready(&server, &second));
        assert_eq!(ready(&server, &first), None);
        assert_eq!(server.stop().code(), Some(0));
    });
}

#[test]
fn what_is_no_certificate_is_refused_at_the_start() {
    story("tls::refused", || {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cert.pem");
        fs::write(&file, "nonsense").unwrap();
        let start = |cert: &Path| {
            let mut command = Command::new(binary::tasklane());
            command
                .args(["serve", "--listen", &format!("127.0.0.1:{}", port::free()), "--data-dir"])
                .arg(dir.path().join("data"));
            clean(&mut command).env("TASKLANE_TLS_CERT", cert).env("TASKLANE_TLS_KEY", &file);
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        for cert in [file.as_path(), &dir.path().join("missing.pem")] {
            let (code, said) = start(cert);
            assert!(code == Some(2) && said.contains(cert.to_str().unwrap()), "{code:?} {said}");
        }
    });
}
