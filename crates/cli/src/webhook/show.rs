//! Webhooks and deliveries as tables.

use tasklane_core::state::State;
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::event::{EventName, Events};
use tasklane_wire::time;
use tasklane_wire::webhook::{DeliveryShape, WebhookShape};

use crate::listing;
use crate::moment::relative;
use crate::output::Tone;
use crate::table::{Cell, Table};

pub(super) fn table(webhooks: &[WebhookShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "URL", "EVENTS", "OF", "TENANT", "STATE"]);
    for webhook in webhooks {
        table.row([
            Cell::from(&webhook.id.0.to_string()),
            Cell::from(&webhook.url),
            events(&webhook.events).into(),
            of(webhook).into(),
            webhook.tenant.as_deref().unwrap_or("-").into(),
            state(webhook, now),
        ]);
    }
    table
}

fn events(events: &Events) -> String {
    if *events == Events::default() {
        return "ends of tasks".to_owned();
    }
    if events.iter().count() == EventName::all().count() {
        return "*".to_owned();
    }
    listing::names(events.iter().map(EventName::as_str))
}

fn of(webhook: &WebhookShape) -> String {
    let filter = &webhook.filter;
    let named = [("queue", &filter.queue), ("type", &filter.task_type), ("tenant", &filter.tenant)];
    let named = named.into_iter().filter_map(|(name, it)| Some(format!("{name}={}", it.as_deref()?)));
    let all: Vec<_> = named.chain(filter.labels.iter().map(|(key, value)| format!("{key}={value}"))).collect();
    if all.is_empty() { "all".to_owned() } else { all.join(",") }
}

fn state(webhook: &WebhookShape, now: Timestamp) -> Cell {
    let at = |it: Timestamp| relative(&time::format(it), now);
    match (webhook.disabled, webhook.failing_since) {
        (Some(disabled), _) => {
            let why = disabled.why.as_str().replace('_', " ");
            Cell::new(Tone::Bad, format!("✗ disabled {} ({why})", at(disabled.at)))
        }
        (None, Some(since)) => Cell::new(Tone::Careful, format!("! fails since {}", at(since))),
        (None, None) => Cell::new(Tone::Good, "✓ enabled"),
    }
}

pub(super) fn deliveries(deliveries: &[DeliveryShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "EVENT", "TASK", "STATE", "ATTEMPT", "ANSWER", "MADE", "NEXT"]);
    let at = |it: Option<Timestamp>| it.map_or_else(|| "-".to_owned(), |it| relative(&time::format(it), now));
    for delivery in deliveries {
        table.row([
            Cell::from(&delivery.id.to_string()),
            Cell::from(&delivery.event),
            delivery.task.as_deref().unwrap_or("-").into(),
            Cell::new(tone(delivery.state), delivery.state.as_str()),
            delivery.attempt.to_string().into(),
            answer(delivery).into(),
            at(Some(delivery.created_at)).into(),
            at(delivery.next_at).into(),
        ]);
    }
    table
}

fn tone(state: State) -> Tone {
    match state {
        State::Succeeded => Tone::Good,
        State::Failed => Tone::Bad,
        State::Retrying => Tone::Careful,
        _ => Tone::Plain,
    }
}

fn answer(delivery: &DeliveryShape) -> String {
    match (delivery.status, &delivery.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.clone(),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;
    use crate::task::read;

    #[test]
    fn a_webhook_is_a_row_and_so_is_a_delivery() {
        let now = time::parse("2026-01-31T12:00:00Z").unwrap();
        let webhook = r#"{"id":"0192f0c1-2345-7abc-8def-0123456789ab","url":"https://a","events":["task.failed"],"filter":{"queue":"q"},
            "headers":{},"format":"standard","max_running":8,"created_at":"2026-01-01T00:00:00Z","failing_since":"2026-01-31T11:00:00Z"}"#;
        let lines = table(&[read(webhook.as_bytes()).unwrap()], now).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().skip(1).collect();
        assert_eq!(words, ["https://a", "task.failed", "queue=q", "-", "!", "fails", "since", "1h", "ago"]);
        let delivery = r#"{"id":"0192f0c1-2345-7abc-8def-0123456789ab","message":"m","event":"task.failed","state":"retrying","attempt":2,
            "status":500,"error":"x","next_at":"2026-01-31T12:05:00Z","created_at":"2026-01-31T11:00:00Z"}"#;
        let lines = deliveries(&[read(delivery.as_bytes()).unwrap()], now).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().skip(1).collect();
        assert_eq!(words, ["task.failed", "-", "retrying", "2", "500", "1h", "ago", "in", "5m"]);
    }
}
