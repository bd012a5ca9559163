//! From the caller's shape to core's: nothing is copied that can be shared.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use tasklane_core::accept::NewTask as Accepting;
use tasklane_core::task::{Scope, Spec};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::read::{Findings, Path, task_id};
use tasklane_wire::task::{Lanes, NewTask};

const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

fn read(text: &str) -> (Bytes, Vec<Accepting>) {
    let body = Bytes::copy_from_slice(text.as_bytes());
    let (mut lanes, mut findings) = (Lanes::default(), Findings::default());
    let value = Value::new(validate(&body, 2).unwrap());
    let tasks: Vec<_> = value
        .items()
        .unwrap()
        .map(|it| NewTask::read(it, &Path::ROOT, &mut findings))
        .map(|it| it.into_core(&body, &mut lanes, || task_id(ID).unwrap()))
        .collect();
    assert_eq!(findings, Findings::default());
    (body, tasks)
}

#[test]
fn tasks_of_a_batch_share_lane_scope_spec_and_body() {
    let (body, tasks) = read(
        r#"[{"type":"a","payload":{"x":1}},{"type":"a","payload":"y","tenant":"t"},{"type":"b","tenant":"t"},{"type":"b"}]"#,
    );
    assert!(Arc::ptr_eq(&tasks[0].lane, &tasks[1].lane) && Arc::ptr_eq(&tasks[2].lane, &tasks[3].lane));
    assert_eq!((&*tasks[1].lane.task_type, &*tasks[2].lane.task_type), ("a", "b"));
    assert!(Arc::ptr_eq(&tasks[0].scope, &Scope::native()) && Arc::ptr_eq(&tasks[1].scope, &tasks[2].scope));
    assert!(tasks.iter().all(|it| it.spec.is_shared() && it.idempotency.is_none()));
    assert!(body.as_ptr_range().contains(&tasks[0].payload.as_ptr()), "the payload was copied");
    assert_eq!((&tasks[0].payload[..], &tasks[3].payload[..]), (&br#"{"x":1}"#[..], &b"null"[..]));
}

#[test]
fn a_default_that_is_spelt_out_is_still_shared() {
    let (_, tasks) = read(r#"[{"type":"a","max_attempts":3,"retry":{"initial":"1s"}}]"#);
    assert!(Arc::ptr_eq(&tasks[0].spec, &Spec::shared()));
}

#[test]
fn keys_carry_the_fingerprint_of_the_request() {
    let id = format!(r#""id":"{ID}""#);
    let (_, tasks) = read(&format!(
        r#"[{{"type":"a",{id}}},{{"type":"a",{id},"payload":1}},{{"type":"a","idempotency_key":"k"}},{{"idempotency_key":"k","type":"a"}}]"#
    ));
    let fingerprint = |nth: usize| tasks[nth].spec.fingerprint.unwrap();
    assert_ne!(fingerprint(0), fingerprint(1));
    let key = |nth: usize| tasks[nth].idempotency.clone().unwrap();
    assert_eq!(key(2), key(3), "the order of members is no difference");
    assert!(tasks[2].spec.is_shared(), "only a caller's own id is kept with the task");
}
