//! Keys: what is said of them, and where.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tasklane_client::{KeyScope, NewKey};

use crate::stub::{Seen, Stub, answer, id};

#[tokio::test]
async fn keys_are_made_rotated_and_revoked() {
    let stub = Stub::start(|seen: Seen| async move {
        let key =
            json!({"id": id(7), "name": "n", "key": "tl_x", "scopes": ["work"], "created_at": "2026-01-31T12:00:00Z"});
        match &*seen.line {
            "GET /v1/keys" => answer(200, &json!({"items": [key], "next_cursor": "n=1"})),
            line if line.contains("/keys?") => answer(200, &json!({"items": [key]})),
            _ => answer(200, &key),
        }
    })
    .await;
    let client = stub.client();
    let new = NewKey::new("n", [KeyScope::Work, KeyScope::Read]).tenant("acme").user("ada").app("mailer");
    let new = new.lane("mail", ["*"]).rate(5, Duration::from_secs(1)).expires_at(UNIX_EPOCH);
    let made = client.make_key(&new).await.unwrap();
    assert_eq!((made.key.as_deref(), made.scopes), (Some("tl_x"), vec![KeyScope::Work]));
    assert_eq!(client.keys().await.unwrap().len(), 2, "both pages");
    client.rotate_key(made.id, Duration::from_secs(3600)).await.unwrap();
    client.revoke_key(made.id).await.unwrap();
    client.remove_key(made.id).await.unwrap();
    let seen = stub.seen();
    let lines: Vec<_> = seen.iter().map(|it| it.line.replace(&id(7), "ID")).collect();
    let expected = [
        "POST /v1/keys",
        "GET /v1/keys",
        "GET /v1/keys?cursor=n%3D1",
        "POST /v1/keys/ID:rotate",
        "POST /v1/keys/ID:revoke",
        "DELETE /v1/keys/ID",
    ];
    assert_eq!(lines, expected);
    let said = json!({"name": "n", "scopes": ["work", "read"], "tenant": "acme", "user": "ada", "app": "mailer",
        "lanes": [{"queue": "mail", "types": ["*"]}], "rate": {"count": 5, "per": "1s"}, "expires_at": "1970-01-01T00:00:00Z"});
    assert_eq!((seen[0].json(), seen[3].json()), (said, json!({"overlap": "1h"})));
}
