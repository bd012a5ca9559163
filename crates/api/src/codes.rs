//! What each code means and what to do about it: the one table behind `/docs/errors/<code>`, `tasklane explain` and
//! `docs/reference/codes.md`.

use crate::error::{CODES, Code};

/// A code with what there is to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// The code, its status and title.
    pub code: Code,
    /// How one comes by it.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Code, cause, remedy.
const CAUSES: &[(&str, &str, &str)] = &[
    ("incomplete_body", "The connection ended before the body did.", "Send it again, whole. Nothing was done."),
    (
        "malformed_json",
        "The body is not JSON as it is taken here: a syntax error, a number that is out of range, more than 128 levels, \
         bytes that are not UTF-8, or half of a surrogate pair. The detail names the byte.",
        "Mend what stands at that byte.",
    ),
    (
        "unauthorized",
        "The server has keys, and the request carries none that opens anything: it is missing, was mistyped, was revoked, or has \
         expired.",
        "Send `Authorization: Bearer KEY` or `X-API-Key: KEY`; the command line reads TASKLANE_API_KEY. Whoever runs the server \
         makes keys: `tasklane key create`.",
    ),
    (
        "forbidden",
        "The key that was sent grants less: another scope is needed, another tenant was meant, or what was asked for concerns all \
         tenants.",
        "Take another key. `tasklane key ls` tells what each grants; OpenAPI names what each call needs.",
    ),
    (
        "origin_not_allowed",
        "A browser's page of another origin made the request.",
        "Call the server from a program, or from a page it serves itself.",
    ),
    (
        "delivery_not_found",
        "No delivery to this webhook has this id, or it was kept long enough.",
        "`tasklane webhook deliveries ID` lists them.",
    ),
    (
        "gate_not_found",
        "Nobody said anything of a gate of this name, and no task named it. A gate of a key is one of a tenant.",
        "See `tasklane gate ls` for those there are.",
    ),
    (
        "key_not_found",
        "There is no key with this id. Where the key that was sent is of a tenant, there is none of that tenant.",
        "See `tasklane key ls` for those there are.",
    ),
    (
        "not_found",
        "No route of this version has that path.",
        "See the API reference; a newer route needs a newer server.",
    ),
    (
        "queue_not_found",
        "The queue never had a task: a queue exists from its first task.",
        "See `tasklane queue ls` for those there are.",
    ),
    (
        "schedule_not_found",
        "There is no schedule with this id. It may have been removed; its tasks stay.",
        "See `tasklane schedule ls` for those there are.",
    ),
    (
        "task_not_found",
        "There is no task with this id. It may have been deleted, or kept as long as final tasks are kept.",
        "See `tasklane ls` for those there are.",
    ),
    (
        "type_not_found",
        "No task is of this type, and no worker heard of lately serves it.",
        "See `tasklane type ls` for those there are.",
    ),
    ("webhook_not_found", "No webhook has this id, or it is another tenant's.", "`tasklane webhook ls` lists them."),
    ("method_not_allowed", "The path is right, the method is not.", "Use one of the methods that `Allow` names."),
    (
        "body_timeout",
        "The body came too slowly: a caller must send at least 256 KiB a second, after the first 30 seconds.",
        "Send smaller batches, or send from nearer.",
    ),
    (
        "id_taken",
        "The id that was given belongs to another task already.",
        "Use another id, or none. The same request with the same id is answered with the task itself.",
    ),
    (
        "invalid_transition",
        "The task is in a state that does not allow it, such as cancelling one that is final. The detail names the state.",
        "See `tasklane get ID` for where it stands. What is final can be retried or rerun.",
    ),
    ("key_in_use", "Only a key that was revoked is removed.", "`tasklane key revoke NAME` first."),
    (
        "key_revoked",
        "The key was revoked, and that is for good.",
        "Make another one: `tasklane key create NAME --scope ...`.",
    ),
    (
        "last_master_key",
        "It is about the only key with the scope admin and without a tenant: the first key must be one, so that somebody can make \
         others, and the last one cannot be revoked.",
        "Make (another) key with the scope admin and without a tenant, or set TASKLANE_ADMIN_KEY.",
    ),
    (
        "name_taken",
        "Another one of the same tenant has this name.",
        "Take another name, or change the one that has it.",
    ),
    (
        "queue_draining",
        "The queue was told to take nothing new.",
        "`tasklane queue resume NAME`, or submit to another queue.",
    ),
    (
        "set_by_config",
        "It is set up by a configuration file, and the next start of a server would undo what was asked for.",
        "Change the file and start the server anew. A schedule can be paused and run by hand all the same.",
    ),
    (
        "task_not_finished",
        "The result of a task was asked for before its end.",
        "Wait for it: `?wait=30s`, or `tasklane result ID --wait`.",
    ),
    (
        "unique_held",
        "Another unfinished task holds the unique key, and the submit said to be refused then. The detail names the task.",
        "Wait for its end, or submit with the policy `return` or `replace`.",
    ),
    (
        "webhook_disabled",
        "The webhook was disabled: by hand, because it answered 410, or because nothing reached it for days.",
        "See to its receiver, then `tasklane webhook enable ID`: what waited is sent.",
    ),
    (
        "payload_too_large",
        "A payload, or the whole body, is larger than the server takes; `errors` names which.",
        "Keep large data elsewhere and send where it is. A payload may have 1 MiB, a batch 32 MiB.",
    ),
    ("too_many_tasks", "A batch holds more than 10 000 tasks.", "Send several batches."),
    (
        "unsupported_media_type",
        "The body is of a type that this route does not read.",
        "Send `Content-Type: application/json`; batches also take `application/x-ndjson`.",
    ),
    (
        "host_not_allowed",
        "The request names a host that this server is not known by. A server without keys answers to loopback names only, \
         so that no page in a browser can reach it under a name of its own.",
        "Call it as 127.0.0.1 or localhost.",
    ),
    ("bad_cursor", "The cursor is none that a page of this list ended with.", "Begin without one."),
    (
        "idempotency_mismatch",
        "The idempotency key was used within a day for a request with another body.",
        "Use a new key for a new task.",
    ),
    (
        "invalid",
        "Members of the request are not as they must be; `errors` names every one.",
        "Mend them and send it again. Nothing was done.",
    ),
    (
        "not_supported",
        "The request asks for something that this version of the server cannot do; `errors` names it.",
        "Leave it out, or use a newer server.",
    ),
    (
        "task_failed",
        "The task ended without a result; `failure` tells its kind and message.",
        "See `tasklane get ID`; once the cause is mended: `tasklane retry ID`.",
    ),
    (
        "rate_limited",
        "The key that was sent, or the address where none is used, may call only so often, and did.",
        "Wait as long as Retry-After says; or make a key with a higher rate, or raise `limits.calls`.",
    ),
    (
        "too_many_bad_keys",
        "From this address came more bad keys than it may send in a minute. Good ones are let in all the same.",
        "Find the program that sends a wrong key, and wait as long as Retry-After says.",
    ),
    (
        "too_many_calls",
        "As many calls of this key, or of this address where none is used, are under way as may be. Calls that wait count, too.",
        "Wait for the end of one; or raise `limits.calls_at_once`.",
    ),
    (
        "too_many_gates",
        "Tasks name so many different keys in their limits that the server keeps no more combinations of queue, type, tenant \
         and keys: 200 000. One is forgotten some time after the last task that has it is no longer kept.",
        "Name fewer keys; or keep final tasks for a shorter time.",
    ),
    (
        "too_many_lanes",
        "There are more pairs of queue and type than the server keeps.",
        "Put what varies into labels or the payload. Names that nothing uses any more are swept within a minute.",
    ),
    (
        "too_many_streams",
        "More event and log streams are open than the server keeps.",
        "Close those nobody reads, or come again after the time in `Retry-After`.",
    ),
    (
        "too_many_webhooks",
        "There are as many webhooks as a server tells of events (1000), or as many of one tenant, or of none, as there may be (16).",
        "Remove some, or let one be told of more; for what one task alone is to tell, use its `callback`.",
    ),
    (
        "internal",
        "Something inside the server broke.",
        "Its log tells what, under the request id of the answer. Please report it.",
    ),
    (
        "store_damaged",
        "What is stored cannot be what was written.",
        "`tasklane db check` on the server says where; put a backup in place with `tasklane db restore FILE`.",
    ),
    ("not_ready", "The server starts or stops, or its store does not answer.", "Try again after `Retry-After`."),
    (
        "store_away",
        "The store does not answer.",
        "Try again after `Retry-After`; if it lasts, see the server's log and disk.",
    ),
    (
        "too_busy",
        "The server reads as many large bodies at once as it may.",
        "Try again after `Retry-After`, or send smaller bodies.",
    ),
    (
        "disk_full",
        "The disk below the data is full. What was accepted stays, and is finished.",
        "Free some space on the server; then send it again.",
    ),
];

/// What there is to say about `code`.
pub fn explain(code: &str) -> Option<Explanation> {
    all().find(|it| it.code.code == code)
}

/// Every code, in the order of statuses.
pub fn all() -> impl Iterator<Item = Explanation> {
    CODES.iter().map(|&code| {
        let found = CAUSES.iter().find(|it| it.0 == code.code);
        let (cause, remedy) = found.map_or(("", ""), |it| (it.1, it.2));
        Explanation { code, cause, remedy }
    })
}

/// The page `docs/reference/codes.md`.
pub fn page() -> String {
    let mut page = String::from(
        "<!-- Made by `tasklane reference codes`. The table stands in crates/api/src/codes.rs. -->\n# Codes of problems\n\n\
         A request that was not done is answered with a problem (RFC 9457, `application/problem+json`). Its `code` never\n\
         changes its meaning; programs go by it. `tasklane explain CODE` tells the same without a server, and so does the\n\
         page that the problem's `type` names.\n\n",
    );
    for Explanation { code, cause, remedy } in all() {
        page += &format!("## {}\n\n{} · HTTP {}\n\n{cause}\n\n{remedy}\n\n", code.code, code.title, code.status);
    }
    page
}

/// The page that a problem's `type` names, as HTML.
pub fn html(it: &Explanation) -> String {
    let Explanation { code, cause, remedy } = it;
    let (title, cause, remedy) = (text(code.title), text(cause), text(remedy));
    let (code, status) = (code.code, code.status);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{code} · Tasklane</title>\n\
         <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:3em auto;padding:0 1em;color-scheme:light dark}}</style>\n\
         <h1>{title}</h1>\n<p><code>{code}</code> · HTTP {status}</p>\n<h2>Cause</h2>\n<p>{cause}</p>\n\
         <h2>What to do</h2>\n<p>{remedy}</p>\n"
    )
}

/// Text as HTML, with what stands in backticks as code.
fn text(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_code_has_a_cause_and_a_remedy_and_every_cause_a_code() {
        for Explanation { code, cause, remedy } in all() {
            assert!(!cause.is_empty() && !remedy.is_empty(), "{} needs a line in CAUSES", code.code);
        }
        for (code, ..) in CAUSES {
            assert!(CODES.iter().any(|it| it.code == *code), "{code} is no code");
        }
        assert_eq!(CAUSES.len(), CODES.len());
    }

    #[test]
    fn a_page_is_text_and_code() {
        let page = html(&explain("unique_held").unwrap());
        assert!(page.contains("<code>unique_held</code>") && page.contains("<code>return</code>"), "{page}");
        assert_eq!(text("a < `b & c`"), "a &lt; <code>b &amp; c</code>");
    }
}
