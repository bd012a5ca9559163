//! Every route's operation, in the order of the table of routes.

use tasklane_core::limit;

use super::operation::Body::{self, Empty, Json as Takes, JsonOrLines, Optional};
use super::operation::Content::{self, Assets, Events, Json, JsonOrEvents, Nothing, Other};
use super::operation::Kind::{Count, Named, Text, Words};
use super::operation::{Operation, Parameter};
use crate::error::{
    BAD_CURSOR, Code, DELIVERY_NOT_FOUND, GATE_NOT_FOUND, ID_TAKEN, IDEMPOTENCY_MISMATCH, INVALID, INVALID_TRANSITION,
    KEY_IN_USE, KEY_NOT_FOUND, KEY_REVOKED, LAST_MASTER_KEY, NAME_TAKEN, NOT_FOUND, NOT_READY, NOT_SUPPORTED,
    QUEUE_DRAINING, QUEUE_NOT_FOUND, SCHEDULE_NOT_FOUND, SET_BY_CONFIG, TASK_FAILED, TASK_NOT_FINISHED, TASK_NOT_FOUND,
    TOO_BUSY, TOO_MANY_GATES, TOO_MANY_LANES, TOO_MANY_STREAMS, TOO_MANY_TASKS, TOO_MANY_WEBHOOKS, TYPE_NOT_FOUND,
    UNIQUE_HELD, WEBHOOK_DISABLED, WEBHOOK_NOT_FOUND,
};
use crate::limits;
use crate::route::Verb::{self, Delete, Get, Patch, Post, Put};

/// What may be wrong with a new task, whoever makes it.
const SUBMIT: &[Code] = &[
    ID_TAKEN,
    UNIQUE_HELD,
    QUEUE_DRAINING,
    IDEMPOTENCY_MISMATCH,
    INVALID,
    NOT_SUPPORTED,
    TOO_MANY_LANES,
    TOO_MANY_GATES,
];
const BATCH: &[Code] = &[
    ID_TAKEN,
    UNIQUE_HELD,
    QUEUE_DRAINING,
    IDEMPOTENCY_MISMATCH,
    INVALID,
    NOT_SUPPORTED,
    TOO_MANY_LANES,
    TOO_MANY_GATES,
    TOO_MANY_TASKS,
];
const NO_TASK: &[Code] = &[TASK_NOT_FOUND];
const NO_QUEUE: &[Code] = &[QUEUE_NOT_FOUND];
const NO_GATE: &[Code] = &[GATE_NOT_FOUND];
const NO_KEY: &[Code] = &[KEY_NOT_FOUND];
const NO_WEBHOOK: &[Code] = &[WEBHOOK_NOT_FOUND];
const NO_DELIVERY: &[Code] = &[WEBHOOK_NOT_FOUND, DELIVERY_NOT_FOUND];
const NO_SCHEDULE: &[Code] = &[SCHEDULE_NOT_FOUND];
const OF_CONFIG: &[Code] = &[SCHEDULE_NOT_FOUND, SET_BY_CONFIG, TOO_BUSY];
const RUN: &[Code] = &[SCHEDULE_NOT_FOUND, UNIQUE_HELD, QUEUE_DRAINING, NOT_SUPPORTED, TOO_MANY_LANES, TOO_MANY_GATES];
const BY_HAND: &[Code] = &[TASK_NOT_FOUND, INVALID_TRANSITION, UNIQUE_HELD];

const WAIT: Parameter =
    parameter("wait", Named("Duration"), "Answer when the task is final, or after this long; at most 60s.");
const CURSOR: Parameter = parameter("cursor", Text, "`next_cursor` of the page before.");
const NAMES: &[Parameter] = &[parameter("limit", Count(limits::PAGE_NAMES), "Most items of the page."), CURSOR];
const TENANT: &[Parameter] =
    &[parameter("tenant", Named("Name"), "Whose, where it is the gate of a key; * is every tenant's.")];
const COUNT: &[Parameter] = &[parameter("count", Count(limits::PREVIEW), "How many slots; 10 unless said.")];
const WEBHOOKS: &[Parameter] = &[
    parameter("tenant", Named("Name"), "Of this tenant."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page."),
    CURSOR,
];
const DELIVERIES: &[Parameter] = &[
    parameter("state", Named("State"), "In this state, such as failed."),
    parameter("since", Named("Moment"), "Made then or later."),
    parameter("until", Named("Moment"), "Made before."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page; 50 unless said."),
    CURSOR,
];
const SCHEDULES: &[Parameter] = &[
    parameter("tenant", Named("Name"), "Whose tasks are of this tenant."),
    parameter("name", Named("Name"), "Of this name."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page."),
    CURSOR,
];
const KEYS: &[Parameter] = &[
    parameter("tenant", Named("Name"), "Of this tenant."),
    parameter("name", Named("Name"), "Of this name."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page."),
    CURSOR,
];
const AUDIT: &[Parameter] = &[
    parameter("tenant", Named("Name"), "Of this tenant's things."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page."),
    CURSOR,
];
const RUNS: &[Parameter] = &[parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page."), CURSOR];
const LIST: &[Parameter] = &[
    parameter("state", Named("State"), "In this state."),
    parameter("type", Named("TypeName"), "Of this type."),
    parameter("queue", Named("Name"), "In this queue; system queues (~) only so."),
    parameter("tenant", Named("Name"), "Of this tenant."),
    parameter("q", Named("Search"), "Whose id begins so, or whose type, unique key or a label's value holds it."),
    parameter("created_after", Named("Moment"), "Accepted then or later."),
    parameter("created_before", Named("Moment"), "Accepted earlier."),
    parameter("limit", Count(limit::PAGE_ITEMS), "Most items of the page; it may be shorter."),
    CURSOR,
];
const AFTER: Parameter = parameter("after", Text, "The id of the event to go on behind; Last-Event-ID counts more.");
const LOGS: &[Parameter] = &[
    parameter("attempt", Count(u32::MAX as usize), "Of this attempt only."),
    parameter("level", Named("Level"), "This grave at least."),
    parameter("limit", Count(limit::LOG_PAGE_LINES), "Most lines of the page; it may be shorter."),
    CURSOR,
    parameter("follow", Words(&["", "true", "false"]), "As events, to the end of the task."),
];
const EVENTS: &[Parameter] = &[
    parameter("queue", Named("Name"), "In this queue."),
    parameter("type", Named("TypeName"), "Of this type."),
    parameter("tenant", Named("Name"), "Of this tenant."),
    parameter("state", Text, "Into these states, with commas between them."),
    parameter("event", Text, "Of these names, such as task.failed and type.crashing, with commas between them."),
    AFTER,
];
const BATCH_QUERY: &[Parameter] = &[
    parameter("atomic", Words(&["true", "false"]), "false: each task stands alone."),
    parameter("echo", Words(&["full", "short"]), "full: answer with whole tasks."),
];

const fn parameter(name: &'static str, schema: super::operation::Kind, about: &'static str) -> Parameter {
    Parameter { name, schema, about }
}

const fn operation(verb: Verb, path: &'static str, summary: &'static str) -> Operation {
    Operation { verb, path, summary, query: &[], body: Body::None, answers: &[], problems: &[] }
}

impl Operation {
    const fn query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    const fn takes(self, body: Body) -> Self {
        Self { body, ..self }
    }

    const fn answers(self, answers: &'static [(u16, Content)]) -> Self {
        Self { answers, ..self }
    }

    const fn problems(self, problems: &'static [Code]) -> Self {
        Self { problems, ..self }
    }
}

/// An action on a task that answers with it.
const fn action(path: &'static str, summary: &'static str) -> Operation {
    operation(Post, path, summary).takes(Empty).answers(&[(200, Json("Task"))]).problems(BY_HAND)
}

/// An action on a queue that answers with it.
const fn control(path: &'static str, summary: &'static str) -> Operation {
    operation(Post, path, summary).takes(Empty).answers(&[(200, Json("Queue"))]).problems(NO_QUEUE)
}

/// Every operation.
pub(crate) const OPERATIONS: &[Operation] = &[
    operation(Get, "/", "What this is.").answers(&[(200, Json("About"))]).problems(&[INVALID]),
    operation(Get, "/health", "Whether the process answers.").answers(&[(200, Json("About"))]).problems(&[INVALID]),
    operation(Get, "/ready", "Whether it takes work.").answers(&[(200, Json("About"))]).problems(&[INVALID, NOT_READY]),
    operation(Get, "/metrics", "Numbers for a scraper.")
        .answers(&[(200, Other("application/openmetrics-text; version=1.0.0; charset=utf-8"))])
        .problems(&[INVALID]),
    operation(Get, "/docs", "This document, to try it.")
        .answers(&[(200, Other("text/html; charset=utf-8"))])
        .problems(&[INVALID]),
    operation(Get, "/docs/assets/{asset}", "What the pages load.")
        .answers(&[(200, Assets)])
        .problems(&[NOT_FOUND, INVALID]),
    operation(Get, "/redoc", "This document, to read it.")
        .answers(&[(200, Other("text/html; charset=utf-8"))])
        .problems(&[INVALID]),
    operation(Get, "/docs/errors/{code}", "What a problem's code means, for people.")
        .answers(&[(200, Other("text/html; charset=utf-8"))])
        .problems(&[INVALID, NOT_FOUND]),
    operation(Get, "/openapi.json", "This document.").answers(&[(200, Json("Document"))]).problems(&[INVALID]),
    operation(Post, "/v1/tasks", "Submit a task; it is on disk when this answers.")
        .query(&[WAIT])
        .takes(Takes("NewTask"))
        .answers(&[(201, Json("Task")), (200, Json("TaskOrAccepted"))])
        .problems(SUBMIT),
    operation(Post, "/v1/tasks:batch", "Submit many tasks: all of them, or each alone.")
        .query(BATCH_QUERY)
        .takes(JsonOrLines("NewTasks"))
        .answers(&[(201, Json("Batch")), (200, Json("Batch"))])
        .problems(BATCH),
    operation(Post, "/v1/tasks:bulk", "One action to all tasks a filter names, done by a task of a system queue.")
        .query(&[WAIT])
        .takes(Takes("Bulk"))
        .answers(&[(201, Json("Task"))]),
    operation(Get, "/v1/tasks", "Tasks, newest first; label.K=V filters by label.")
        .query(LIST)
        .answers(&[(200, Json("TaskPage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/tasks/{task}", "A task.").query(&[WAIT]).answers(&[(200, Json("Task"))]).problems(NO_TASK),
    operation(Get, "/v1/tasks/{task}/result", "A task's result itself.")
        .query(&[WAIT])
        .answers(&[(200, Json("Json"))])
        .problems(&[TASK_NOT_FOUND, TASK_NOT_FINISHED, TASK_FAILED]),
    operation(Get, "/v1/tasks/{task}/attempts", "A task's history.")
        .answers(&[(200, Json("AttemptPage"))])
        .problems(NO_TASK),
    operation(Get, "/v1/tasks/{task}/logs", "What attempts said: a page, or as they say it.")
        .query(LOGS)
        .answers(&[(200, JsonOrEvents("LogPage")), (204, Nothing)])
        .problems(&[TASK_NOT_FOUND, BAD_CURSOR, TOO_MANY_STREAMS]),
    operation(Get, "/v1/tasks/{task}/events", "What happens to a task, to its end; Last-Event-ID goes on.")
        .query(&[AFTER])
        .answers(&[(200, Events), (204, Nothing)])
        .problems(&[TASK_NOT_FOUND, TOO_MANY_STREAMS]),
    operation(Get, "/v1/events", "What happens to any task from now on; Last-Event-ID goes on.")
        .query(EVENTS)
        .answers(&[(200, Events)])
        .problems(&[NOT_SUPPORTED, TOO_MANY_STREAMS]),
    operation(Get, "/v1/tasks/{task}/why", "Why a task is not running.")
        .answers(&[(200, Json("Why"))])
        .problems(NO_TASK),
    action("/v1/tasks/{task}:cancel", "Stop a task."),
    action("/v1/tasks/{task}:retry", "Try the same task again."),
    action("/v1/tasks/{task}:rerun", "A new task with the same input.").problems(RERUN),
    action("/v1/tasks/{task}:reschedule", "Start a task at another time; now, unless one is given.")
        .takes(Optional("Start")),
    operation(Delete, "/v1/tasks/{task}", "Forget a final task.").answers(&[(200, Json("Task"))]).problems(BY_HAND),
    operation(Post, "/v1/leases", "Take work, or wait for it.")
        .takes(Takes("LeaseRequest"))
        .answers(&[(200, Json("LeaseReply")), (204, Nothing)]),
    operation(Post, "/v1/reports", "Say what became of work, and take more.")
        .takes(Takes("Report"))
        .answers(&[(200, Json("ReportReply"))])
        .problems(&[NOT_SUPPORTED]),
    operation(Get, "/v1/queues", "Queues, in the order of their names.")
        .query(NAMES)
        .answers(&[(200, Json("QueuePage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/queues/{queue}", "A queue.").answers(&[(200, Json("Queue"))]).problems(NO_QUEUE),
    operation(Put, "/v1/queues/{queue}", "Say what the gate of a queue lets through; makes the queue if need be.")
        .takes(Takes("QueueSettings"))
        .answers(&[(200, Json("Queue"))])
        .problems(NO_QUEUE),
    control("/v1/queues/{queue}:pause", "Give nothing; submits are accepted."),
    control("/v1/queues/{queue}:resume", "Give and take again."),
    control("/v1/queues/{queue}:drain", "Take nothing new; the rest runs."),
    control(
        "/v1/queues/{queue}:purge",
        "Cancel all unfinished tasks that do not run; Location names the task that does it.",
    ),
    operation(Get, "/v1/gates", "Gates, in the order of queues, types, tenants and keys.")
        .query(NAMES)
        .answers(&[(200, Json("GatePage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/gates/{gate}", "A gate, and who holds its slots.")
        .query(TENANT)
        .answers(&[(200, Json("Gate"))])
        .problems(NO_GATE),
    operation(Put, "/v1/gates/{gate}", "Say what a gate lets through from now on.")
        .query(TENANT)
        .takes(Takes("Limits"))
        .answers(&[(200, Json("Gate"))])
        .problems(NO_GATE),
    operation(Delete, "/v1/gates/{gate}", "Forget what was said of a gate; the answer is what it was.")
        .query(TENANT)
        .answers(&[(200, Json("Gate"))])
        .problems(NO_GATE),
    operation(Post, "/v1/schedules", "Set up a schedule.")
        .takes(Takes("NewSchedule"))
        .answers(&[(201, Json("Schedule"))])
        .problems(&[NAME_TAKEN, NOT_SUPPORTED]),
    operation(Post, "/v1/schedules:preview", "The slots of a schedule that is not set up, in UTC and in its zone.")
        .query(COUNT)
        .takes(Takes("ScheduleTimes"))
        .answers(&[(200, Json("SlotList"))]),
    operation(Get, "/v1/schedules", "Schedules, in the order in which they were made.")
        .query(SCHEDULES)
        .answers(&[(200, Json("SchedulePage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/schedules/{schedule}", "A schedule.").answers(&[(200, Json("Schedule"))]).problems(NO_SCHEDULE),
    operation(Patch, "/v1/schedules/{schedule}", "Change what is said of a schedule; the rest stays.")
        .takes(Takes("ScheduleChange"))
        .answers(&[(200, Json("Schedule"))])
        .problems(&[SCHEDULE_NOT_FOUND, NAME_TAKEN, SET_BY_CONFIG, NOT_SUPPORTED]),
    operation(Delete, "/v1/schedules/{schedule}", "Remove a schedule; its tasks stay. The answer is what it was.")
        .answers(&[(200, Json("Schedule"))])
        .problems(OF_CONFIG),
    operation(Get, "/v1/schedules/{schedule}/preview", "The next slots of a schedule, in UTC and in its zone.")
        .query(COUNT)
        .answers(&[(200, Json("SlotList"))])
        .problems(NO_SCHEDULE),
    operation(Get, "/v1/schedules/{schedule}/runs", "What the last slots of a schedule came to, newest first.")
        .query(RUNS)
        .answers(&[(200, Json("RunPage"))])
        .problems(&[SCHEDULE_NOT_FOUND, BAD_CURSOR]),
    operation(Post, "/v1/schedules/{schedule}:run", "Make a schedule's task now, beside its slots.")
        .takes(Empty)
        .answers(&[(200, Json("Task"))])
        .problems(RUN),
    operation(Post, "/v1/schedules/{schedule}:pause", "Have nothing come of a schedule's slots.")
        .takes(Empty)
        .answers(&[(200, Json("Schedule"))])
        .problems(NO_SCHEDULE),
    operation(Post, "/v1/schedules/{schedule}:resume", "Go on with a schedule; what came meanwhile was not missed.")
        .takes(Empty)
        .answers(&[(200, Json("Schedule"))])
        .problems(NO_SCHEDULE),
    operation(Post, "/v1/webhooks", "Set up where events are sent; the secret that signs is in this answer alone.")
        .takes(Takes("NewWebhook"))
        .answers(&[(201, Json("Webhook"))])
        .problems(&[TOO_MANY_WEBHOOKS]),
    operation(Get, "/v1/webhooks", "Webhooks, in the order in which they were set up, without their secrets.")
        .query(WEBHOOKS)
        .answers(&[(200, Json("WebhookPage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/webhooks/{webhook}", "A webhook, without its secret.")
        .answers(&[(200, Json("Webhook"))])
        .problems(NO_WEBHOOK),
    operation(Patch, "/v1/webhooks/{webhook}", "Change a webhook: what is said changes, the rest stays.")
        .takes(Takes("WebhookChange"))
        .answers(&[(200, Json("Webhook"))])
        .problems(NO_WEBHOOK),
    operation(
        Delete,
        "/v1/webhooks/{webhook}",
        "Remove a webhook; what waits for it fails. The answer is what it was.",
    )
    .takes(Empty)
    .answers(&[(200, Json("Webhook"))])
    .problems(NO_WEBHOOK),
    operation(Post, "/v1/webhooks/{webhook}:enable", "Send what waits for a webhook, and what happens from now on.")
        .takes(Empty)
        .answers(&[(200, Json("Webhook"))])
        .problems(NO_WEBHOOK),
    operation(Post, "/v1/webhooks/{webhook}:disable", "Send nothing to a webhook; what waits is kept for seven days.")
        .takes(Empty)
        .answers(&[(200, Json("Webhook"))])
        .problems(NO_WEBHOOK),
    operation(
        Post,
        "/v1/webhooks/{webhook}:rotate-secret",
        "Give a webhook a new secret, which is in this answer alone.",
    )
    .takes(Optional("Rotation"))
    .answers(&[(200, Json("Webhook"))])
    .problems(NO_WEBHOOK),
    operation(Post, "/v1/webhooks/{webhook}:test", "Try whether a webhook hears; the answer is the delivery.")
        .takes(Empty)
        .answers(&[(200, Json("Delivery"))])
        .problems(&[WEBHOOK_NOT_FOUND, WEBHOOK_DISABLED]),
    operation(
        Post,
        "/v1/webhooks/{webhook}:redeliver",
        "Send all once more that failed; the answer is the task that does it.",
    )
    .takes(Optional("Redelivery"))
    .answers(&[(200, Json("Task"))])
    .problems(NO_WEBHOOK),
    operation(Get, "/v1/webhooks/{webhook}/deliveries", "What was sent to a webhook, or is to be; newest first.")
        .query(DELIVERIES)
        .answers(&[(200, Json("DeliveryPage"))])
        .problems(&[WEBHOOK_NOT_FOUND, BAD_CURSOR]),
    operation(Get, "/v1/webhooks/{webhook}/deliveries/{delivery}", "A delivery.")
        .answers(&[(200, Json("Delivery"))])
        .problems(NO_DELIVERY),
    operation(
        Post,
        "/v1/webhooks/{webhook}/deliveries/{delivery}:redeliver",
        "Send one once more; the answer is the delivery that is on its way.",
    )
    .takes(Empty)
    .answers(&[(200, Json("Delivery"))])
    .problems(&[WEBHOOK_NOT_FOUND, DELIVERY_NOT_FOUND, INVALID_TRANSITION]),
    operation(
        Post,
        "/v1/keys",
        "Make a key; its secret is in this answer alone. From the first on, every call needs one.",
    )
    .takes(Takes("NewKey"))
    .answers(&[(201, Json("Key"))])
    .problems(&[NAME_TAKEN, LAST_MASTER_KEY, NOT_SUPPORTED]),
    operation(Get, "/v1/keys", "Keys, in the order in which they were made, without their secrets.")
        .query(KEYS)
        .answers(&[(200, Json("KeyPage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/keys/{key}", "A key, without its secret.").answers(&[(200, Json("Key"))]).problems(NO_KEY),
    operation(Delete, "/v1/keys/{key}", "Forget a key that was revoked; the answer is what it was.")
        .answers(&[(200, Json("Key"))])
        .problems(&[KEY_NOT_FOUND, KEY_IN_USE]),
    operation(Post, "/v1/keys/{key}:rotate", "Give a key a new secret, which is in this answer alone.")
        .takes(Optional("Rotation"))
        .answers(&[(200, Json("Key"))])
        .problems(&[KEY_NOT_FOUND, KEY_REVOKED]),
    operation(Post, "/v1/keys/{key}:revoke", "Have a key open nothing any more, on every server within a second.")
        .takes(Empty)
        .answers(&[(200, Json("Key"))])
        .problems(&[KEY_NOT_FOUND, LAST_MASTER_KEY]),
    operation(Get, "/v1/audit", "Who changed what people set up, and who was refused; newest first.")
        .query(AUDIT)
        .answers(&[(200, Json("AuditPage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/types", "Types that have tasks or that a worker serves.")
        .query(NAMES)
        .answers(&[(200, Json("TypePage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/types/{type}", "A type.").answers(&[(200, Json("Type"))]).problems(&[TYPE_NOT_FOUND]),
    operation(Get, "/v1/workers", "Workers that asked for work lately.")
        .query(NAMES)
        .answers(&[(200, Json("WorkerPage"))])
        .problems(&[BAD_CURSOR]),
    operation(Get, "/v1/stats", "Everything in numbers.").answers(&[(200, Json("Stats"))]),
];

const RERUN: &[Code] = &[TASK_NOT_FOUND, QUEUE_DRAINING];
