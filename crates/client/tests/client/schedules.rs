//! Schedules: what is said of them, and where.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tasklane_client::{CatchUp, NewTask, Overlap, ScheduleId, SetSchedule, task_id};

use crate::stub::{Seen, Stub, answer, id};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn schedules_are_made_changed_and_read() {
    let stub = Stub::start(|seen: Seen| async move {
        let schedule = json!({"id": id(7), "name": "n", "every": "1h", "task": {"type": "t"}, "overlap": "skip",
            "missed": {"policy": "one", "cap": 100, "window": "1d"}, "jitter": "0s", "paused": false,
            "set_by": "caller", "created_at": "2026-01-31T12:00:00Z", "next_at": "2026-01-31T13:00:00Z"});
        let slot = json!({"at": "2026-01-31T13:00:00Z", "local": "2026-01-31T14:00:00+01:00"});
        let run =
            json!({"at": "2026-01-31T12:00:00Z", "local": "x", "outcome": "made", "task": id(9), "state": "queued"});
        match &*seen.line {
            "GET /v1/schedules" => answer(200, &json!({"items": [schedule], "next_cursor": "n=1"})),
            line if line.contains("/schedules?") => answer(200, &json!({"items": [schedule]})),
            line if line.contains("/preview") => answer(200, &json!({"items": [slot]})),
            line if line.contains("/runs") => answer(200, &json!({"items": [run]})),
            _ => answer(200, &schedule),
        }
    })
    .await;
    let client = stub.client();
    let new = SetSchedule::new("n", NewTask::json("t", r#""{slot}""#).queue("q")).cron("@daily").timezone("Asia/Tokyo");
    let new =
        new.overlap(Overlap::QueueOne).catch_up(CatchUp::All, 5, HOUR).jitter(HOUR).starts_at(Some(UNIX_EPOCH + HOUR));
    let made = client.make_schedule(new).await.unwrap();
    assert_eq!(
        (made.every, made.overlap, made.id),
        (Some(HOUR), Overlap::Skip, ScheduleId(task_id(&id(7)).unwrap().0))
    );
    assert_eq!(client.schedules().await.unwrap().len(), 2, "both pages");
    client.schedules_named("a b").await.unwrap();
    client.change_schedule(made.id, SetSchedule::default().every(HOUR).ends_at(None).paused(true)).await.unwrap();
    client.pause_schedule(made.id).await.unwrap();
    client.resume_schedule(made.id).await.unwrap();
    client.remove_schedule(made.id).await.unwrap();
    assert_eq!(client.upcoming(made.id, 3).await.unwrap()[0].local, "2026-01-31T14:00:00+01:00");
    assert_eq!(client.runs(made.id, 3).await.unwrap()[0].task, task_id(&id(9)));
    let seen = stub.seen();
    let lines: Vec<_> = seen.iter().map(|it| it.line.replace(&made.id.0.to_string(), "ID")).collect();
    let expected = [
        "POST /v1/schedules",
        "GET /v1/schedules",
        "GET /v1/schedules?cursor=n%3D1",
        "GET /v1/schedules?name=a%20b",
        "PATCH /v1/schedules/ID",
        "POST /v1/schedules/ID:pause",
        "POST /v1/schedules/ID:resume",
        "DELETE /v1/schedules/ID",
        "GET /v1/schedules/ID/preview?count=3",
        "GET /v1/schedules/ID/runs?limit=3",
    ];
    assert_eq!(lines, expected);
    let said = json!({"name": "n", "cron": "@daily", "timezone": "Asia/Tokyo", "task": {"type": "t", "payload": "{slot}",
        "queue": "q"}, "overlap": "queue_one", "missed": {"policy": "all", "cap": 5, "window": "1h"}, "jitter": "1h",
        "starts_at": "1970-01-01T01:00:00Z"});
    assert_eq!(seen[0].json(), said);
    assert_eq!(seen[4].json(), json!({"every": "1h", "ends_at": null, "paused": true}));
}
