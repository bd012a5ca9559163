//! Servers that open an empty database at once, of several versions, by users with and without rights.

use std::sync::Arc;

use tasklane_core::ports::store::Store;
use tasklane_store::postgres::{OpenError, PostgresStore};
use tasklane_testkit::{ManualClock, postgres};

use crate::{open, options, refusal, works, world};

#[tokio::test(flavor = "multi_thread")]
async fn many_open_an_empty_database_at_once() {
    for _ in 0..10 {
        let schema: Box<str> = postgres::fresh_schema_name().into();
        let clock = ManualClock::at(world::beginning());
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let mut options = options(&postgres::shared().url(), &clock);
                options.schema = schema.clone();
                tokio::spawn(PostgresStore::open(options))
            })
            .collect();
        let mut stores: Vec<Arc<PostgresStore>> = Vec::new();
        for opener in openers {
            stores.push(opener.await.unwrap().unwrap());
        }
        assert_eq!(postgres::shared().sql(&format!("SELECT count(*) FROM {schema}.migrations WHERE no = 1")), "1");
        for store in stores {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn what_another_version_left_is_read_or_refused() {
    let cluster = postgres::shared();
    let url = cluster.database("versions");
    works(&open(&url).await.unwrap()).await;
    let sql = |statement: &str| cluster.sql_in(&url, statement).unwrap();
    sql("INSERT INTO tasklane.migrations (no, name, checksum, oldest)
         SELECT max(no) + 1, 'later', 1, 1 FROM tasklane.migrations");
    open(&url).await.unwrap();
    sql("UPDATE tasklane.migrations SET oldest = no WHERE name = 'later'");
    let error = refusal(&url).await;
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    sql("DELETE FROM tasklane.migrations WHERE name = 'later'");
    sql("UPDATE tasklane.migrations SET checksum = checksum + 1 WHERE no = 1");
    let error = refusal(&url).await;
    assert!(matches!(error, OpenError::Strange(_)), "{error}");
}

#[tokio::test]
async fn a_user_needs_a_schema_of_its_own_or_the_right_to_make_one() {
    let cluster = postgres::shared();
    let url = cluster.database("rights");
    let role = postgres::fresh_schema_name();
    cluster.sql(&format!("CREATE ROLE {role} LOGIN"));
    let as_role = url.replace("postgres@", &format!("{role}@"));
    let error = refusal(&as_role).await;
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
    assert!(error.to_string().contains("CREATE on the database"), "{error}");
    cluster.sql_in(&url, &format!("CREATE SCHEMA tasklane AUTHORIZATION {role}")).unwrap();
    works(&open(&as_role).await.unwrap()).await;
}
