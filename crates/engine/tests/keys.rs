//! Keys: who holds one, on whichever server, and until when.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::time::Duration;

use tasklane_core::audit::{Actor, Entry};
use tasklane_core::key::{Grant, KeyError, KeyText, Scope};
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, SetRecord};
use tasklane_core::time::Timestamp;
use tasklane_engine::{AuditQuery, Engine, KeyCallError, KeyQuery, Keyed, NewKey};
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use world::{SECOND, World};

fn new(name: &str, scopes: &[Scope], tenant: Option<&str>) -> NewKey {
    let scopes = scopes.iter().copied().collect();
    NewKey { name: name.into(), grant: Grant { scopes, tenant: tenant.map(Box::from), ..Grant::everything() } }
}

async fn make(engine: &Engine, new: NewKey) -> (Keyed, KeyText) {
    let (made, text) = engine.make_key(new).await.unwrap();
    (made, text.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_key_opens_on_every_server_within_a_second_and_as_soon_no_more() {
    let ([one, other], _bus) = World::several();
    let (first, second) = (&one.engine, &other.engine);
    for it in [first, second] {
        it.load_keys().await.unwrap();
        assert!(!it.has_keys());
    }
    let (made, text) = make(first, new("k", &[Scope::Read], Some("acme"))).await;
    assert_eq!(first.holder(&text).unwrap().id, made.id);
    sleep(SECOND).await;
    assert_eq!(second.holder(&text).unwrap().key.grant.tenant.as_deref(), Some("acme"));
    // Somebody holds a stream open there.
    let open = tokio::spawn({
        let (second, text) = (second.clone(), text.clone());
        async move { second.key_ended(&text).await }
    });
    sleep(Duration::from_secs(100)).await;
    assert!(!open.is_finished());
    first.revoke_key(made.id).await.unwrap();
    assert_eq!(first.holder(&text).unwrap_err(), KeyError::Revoked);
    timeout(SECOND, open).await.expect("within a second").unwrap();
    assert_eq!(second.holder(&text).unwrap_err(), KeyError::Revoked);
    assert!(second.has_keys(), "it does not open by itself");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_rotated_with_an_overlap_and_expires() {
    let world = World::new();
    let engine = &world.engine;
    let expires_at = Some(engine.now().plus(100 * SECOND));
    let grant = Grant { expires_at, ..Grant::everything() };
    let (made, old) = make(engine, NewKey { name: "k".into(), grant }).await;
    assert!(!engine.has_master_beside(made.id).await.unwrap());
    let (_, text) = engine.rotate_key(made.id, 10 * SECOND).await.unwrap();
    let rotated: KeyText = text.parse().unwrap();
    assert!(engine.holder(&old).is_ok() && engine.holder(&rotated).is_ok());
    timeout(11 * SECOND, engine.key_ended(&old)).await.expect("with the overlap");
    assert_eq!(engine.holder(&old).unwrap_err(), KeyError::Expired);
    timeout(91 * SECOND, engine.key_ended(&rotated)).await.expect("when it expires");
    assert_eq!(engine.holder(&rotated).unwrap_err(), KeyError::Expired);
    assert!(matches!(engine.remove_key(made.id).await, Err(KeyCallError::NotRevoked)));
    engine.revoke_key(made.id).await.unwrap();
    assert!(matches!(engine.rotate_key(made.id, SECOND).await, Err(KeyCallError::Revoked)));
    engine.remove_key(made.id).await.unwrap();
    assert_eq!(engine.holder(&rotated).unwrap_err(), KeyError::Unknown);
}

#[tokio::test(start_paused = true)]
async fn keys_have_names_tenants_and_a_last_use() {
    let world = World::new();
    let engine = &world.engine;
    let (first, text) = make(engine, new("a", &[Scope::Admin], None)).await;
    make(engine, new("a", &[Scope::Read], Some("acme"))).await;
    let taken = engine.make_key(new("a", &[Scope::Read], None)).await;
    assert!(matches!(taken, Err(KeyCallError::NameTaken)), "{taken:?}");
    let of = async |tenant: Option<&str>| {
        engine.keys(KeyQuery { tenant: tenant.map(Box::from), most: 9, ..KeyQuery::default() }).await.unwrap().len()
    };
    assert_eq!((of(None).await, of(Some("acme")).await, of(Some("zeta")).await), (2, 1, 0));
    assert_eq!(engine.key(first.id).await.unwrap().unwrap().key.used_at, None);
    engine.holder(&text).unwrap();
    sleep(61 * SECOND).await;
    let used = engine.key(first.id).await.unwrap().unwrap().key.used_at.unwrap();
    assert!(engine.now().since(used) < 120 * SECOND);
    // Two secrets are never the same.
    let texts =
        [engine.make_key(new("b", &[], None)).await.unwrap().1, engine.make_key(new("c", &[], None)).await.unwrap().1];
    assert_ne!(texts[0][36..], texts[1][36..]);
}

#[tokio::test(start_paused = true)]
async fn lines_of_the_audit_log_go_when_they_were_kept_long_enough() {
    let world = World::new();
    let engine = world.engine.by(Actor::named("operator"));
    engine.make_key(new("k", &[Scope::Read], None)).await.unwrap();
    let lines = async || engine.audit(AuditQuery { most: 9, ..AuditQuery::default() }).await.unwrap();
    let (_, entry) = lines().await.remove(0);
    // An id begins with its moment, in milliseconds.
    let id = |at: Timestamp| Uuid::from_u128((u128::from(at.as_micros() as u64 / 1000) << 80) | (7 << 76) | (2 << 62));
    let kept = engine.now().minus(limit::AUDIT_KEPT);
    let record = [kept.minus(SECOND), kept.plus(7200 * SECOND)].map(|at| {
        let body = serde_json::to_string(&Entry { at, ..entry.clone() }).unwrap().into();
        let content = Content { tenant: "".into(), name: None, due: None, body };
        SetRecord::new(Kind::Audit, id(at), None, Some(content))
    });
    world.commit(Batch { record: record.into(), ..Batch::default() }).await;
    assert_eq!(lines().await.len(), 3);
    sleep(3601 * SECOND).await;
    let left: Vec<_> = lines().await.into_iter().map(|(_, it)| it.at).collect();
    assert_eq!(left, [entry.at, kept.plus(7200 * SECOND)]);
}
