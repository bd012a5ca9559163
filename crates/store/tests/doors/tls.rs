//! TLS as libpq's URLs mean it, who may log in, and several hosts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tasklane_store::postgres::OpenError;
use tasklane_testkit::port;
use tasklane_testkit::postgres::{self, Cluster, Options};

use crate::{open, refusal, works};

/// The name in the server's certificate; it has no address.
const HOST: &str = "db.example";

fn openssl(dir: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
}

fn authority(dir: &Path, name: &str) -> PathBuf {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout {name}.key -out {name}.pem -subj /CN={name}"
        ),
    );
    dir.join(format!("{name}.pem"))
}

/// A cluster that takes nobody without TLS, and `guarded` only with a password; its authority and another one.
fn guarded() -> (Cluster, PathBuf, PathBuf) {
    let cluster = Cluster::start(Options::fast());
    let (dir, data) = (cluster.dir(), cluster.dir().join("data"));
    let (own, other) = (authority(dir, "own"), authority(dir, "other"));
    fs::write(dir.join("names"), format!("subjectAltName=DNS:{HOST}\n")).unwrap();
    openssl(
        dir,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN={HOST}"
        ),
    );
    openssl(
        dir,
        "x509 -req -in server.csr -CA own.pem -CAkey own.key -CAcreateserial -days 2 -extfile names -out server.pem",
    );
    let owner = fs::metadata(&data).unwrap();
    for file in ["server.key", "server.pem"] {
        chown(dir.join(file), Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    cluster.sql("CREATE ROLE guarded LOGIN PASSWORD 'right'");
    for (name, value) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
        cluster.sql(&format!("ALTER SYSTEM SET {name} = '{}'", dir.join(value).display()));
    }
    cluster.sql("ALTER SYSTEM SET ssl = on");
    let rules =
        "hostssl all guarded 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 trust\nlocal all all trust\n";
    fs::write(data.join("pg_hba.conf"), rules).unwrap();
    cluster.restart(postgres::End::Fast);
    (cluster, own, other)
}

#[tokio::test]
async fn tls_is_what_the_url_says() {
    let (cluster, own, other) = guarded();
    let plain = cluster.url();
    let named = format!("postgres://postgres@{HOST}:{}/postgres?hostaddr=127.0.0.1", cluster.port());
    let (own, other) = (own.display(), other.display());

    let world = open(&format!("{plain}?sslmode=require")).await.unwrap();
    works(&world).await;
    let ssl =
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'tasklane'";
    assert_eq!(cluster.sql(ssl), "t");
    world.store.close().await;

    works(&open(&plain).await.unwrap()).await;
    works(&open(&format!("{named}&sslmode=verify-full&sslrootcert={own}")).await.unwrap()).await;

    for wrong in [
        format!("{named}&sslmode=verify-full&sslrootcert={other}"),
        format!("{named}&sslmode=verify-full"),
        format!("{named}&sslmode=require&sslrootcert={other}"),
        format!("{plain}?sslmode=verify-full&sslrootcert={own}"),
    ] {
        let error = refusal(&wrong).await;
        assert!(error.to_string().contains("certificate"), "{wrong}: {error}");
    }
    let error = refusal(&format!("{plain}?sslmode=disable")).await;
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
    assert!(error.to_string().contains("no encryption") && error.to_string().contains("sslmode"), "{error}");

    let login = |password: &str| format!("postgres://guarded:{password}@127.0.0.1:{}/postgres", cluster.port());
    let error = refusal(&login("wrong")).await;
    assert!(matches!(error, OpenError::Refused(_)) && error.to_string().contains("password"), "{error}");
    // Let in, and yet without the right to make anything.
    let error = refusal(&login("right")).await;
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away_at_once() {
    let begun = Instant::now();
    let error = refusal(&format!("postgres://postgres@127.0.0.1:{}/postgres", port::free())).await;
    assert!(matches!(error, OpenError::Away(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "the patience of a host was waited for many times over");
}

#[tokio::test]
async fn of_several_hosts_the_one_that_writes_is_used() {
    let dead = port::free();
    let alive = postgres::shared().port();
    let schema = postgres::fresh_schema_name();
    let url = format!("postgres://postgres@127.0.0.1:{dead},127.0.0.1:{alive}/postgres");
    works(&crate::open_with(&url, |it| it.schema = schema.into()).await.unwrap()).await;

    let first = Cluster::start(Options::fast());
    let standby = first.standby();
    let both = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", standby.port(), first.port());
    works(&open(&both).await.unwrap()).await;
    let alone = refusal(&standby.url()).await;
    assert!(matches!(alone, OpenError::Away(_)), "{alone}");
}
