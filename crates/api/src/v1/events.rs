//! GET `/v1/events`: what happens to any task, as it happens.

use tasklane_core::event::{Cursor, EventFilter, OfTypes};
use tasklane_core::state::State;
use tasklane_wire::event;
use tasklane_wire::name::{is_name, is_type};
use tasklane_wire::read::Mistake;

use crate::answer::Answer;
use crate::call::Call;
use crate::query::Query;
use crate::stream::{Stream, last_event};

/// What an event's name begins with.
const PREFIX: &str = "task.";

pub(crate) async fn events(call: Call) -> Answer {
    let mut query = call.query();
    let mut filter = filter(&mut query);
    let after = after(&mut query);
    query.finish()?;
    filter.tenant = call.tenant_of(filter.tenant)?;
    let stream = call.engine().subscribe(filter, last_event(&call.headers).or(after)).await?;
    Ok(Stream::Events(Box::new(stream)).answer(Vec::new(), call.ended()))
}

/// Where the query says to go on.
pub(super) fn after(query: &mut Query) -> Option<Cursor> {
    query.read("after", "the id of an event of this server", event::decode)
}

fn filter(query: &mut Query) -> EventFilter {
    let name = |it: &str| is_name(it).then(|| Box::from(it));
    for (key, _) in query.take_prefixed("label.") {
        let message = "events are not chosen by label by this version of the server; take all and look at the task";
        query.findings().push_as(Mistake::NotSupported, format!("?label.{key}"), message);
    }
    let states = query.read("state", "states, with commas between them", |it| list(it, State::from_word));
    let of_event = |it: &str| match it.strip_prefix(PREFIX) {
        Some(state) => State::from_word(state).map(Some),
        None => (it == event::TYPE_CRASHING).then_some(None),
    };
    let events =
        query.read("event", "names such as task.succeeded and type.crashing, with commas between them", |it| {
            list(it, of_event)
        });
    let asks_for_types = events.as_ref().is_some_and(|it: &Vec<Option<State>>| it.contains(&None));
    let events = events.map(|it| it.into_iter().flatten().collect());
    if states.is_some() && events.is_some() {
        query.wrong("event", "says the same as `state`; give one of both");
    }
    EventFilter {
        queue: query.read("queue", "a queue's name", name),
        task_type: query.read("type", "a type", |it| is_type(it).then(|| it.into())),
        tenant: query.read("tenant", "a tenant's name", name),
        to: states.or(events).unwrap_or_default(),
        of_types: if asks_for_types { OfTypes::Wanted } else { OfTypes::WithAll },
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|it| read(it.trim())).collect()
}
