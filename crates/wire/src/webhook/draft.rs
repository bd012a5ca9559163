//! A webhook as a caller writes it: all of it where it is set up, some of it where it is changed.

use std::collections::BTreeMap;

use tasklane_core::webhook::endpoint::{Format, HIDDEN, MAX_RUNNING, Order};
use tasklane_core::webhook::event::{Events, Filter};
use tasklane_core::webhook::secret::Secret;

use crate::read::{Findings, Path};

/// What is said of a webhook; what is `None` is left as it is, or to its default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebhookDraft {
    /// Where to.
    pub url: Option<Box<str>>,
    /// What for.
    pub description: Option<Box<str>>,
    /// Of what it is told.
    pub events: Option<Events>,
    /// Of which tasks.
    pub filter: Option<Filter>,
    /// Headers of every call.
    pub headers: Option<BTreeMap<Box<str>, Box<str>>>,
    /// How bodies are written.
    pub format: Option<Format>,
    /// How many deliveries may be on their way at once.
    pub max_running: Option<u32>,
    /// Whose it is; said where it is set up alone.
    pub tenant: Option<Box<str>>,
    /// What signs; said where it is set up alone.
    pub secret: Option<Secret>,
}

impl WebhookDraft {
    /// What is asked of a webhook that is set up; what is missing is noted.
    pub fn order(self, findings: &mut Findings) -> Option<Order> {
        let at = Path::ROOT.key("url");
        if self.url.is_none() && !findings.name(&at) {
            findings.missing(&at);
        }
        self.check_hidden(None, findings);
        let url = self.url.clone()?;
        let order = Order {
            url,
            description: "".into(),
            events: Events::default(),
            filter: Filter::default(),
            headers: BTreeMap::new(),
            format: Format::default(),
            max_running: MAX_RUNNING,
        };
        Some(self.change(&order)).filter(|_| findings.is_empty())
    }

    /// Whether every header's value that is not shown is that of a header that was there before; what is not is noted.
    pub fn check_hidden(&self, was: Option<&Order>, findings: &mut Findings) {
        let is_there = |name: &str| was.is_some_and(|it| it.headers.contains_key(name));
        for (name, value) in self.headers.iter().flatten() {
            if **value == *HIDDEN && !is_there(name) {
                let at = Path::ROOT.key("headers");
                findings.invalid(&at.key(name), "this stands for a value that is not shown; give the value");
            }
        }
    }

    /// What is asked of a webhook of which `order` was asked, with what is said here. A header's value as it is shown stays what
    /// it was.
    pub fn change(self, order: &Order) -> Order {
        let was = order.clone();
        Order {
            url: self.url.unwrap_or(was.url),
            description: self.description.unwrap_or(was.description),
            events: self.events.unwrap_or(was.events),
            filter: self.filter.unwrap_or(was.filter),
            headers: self.headers.map(|it| revealed(it, &was.headers)).unwrap_or(was.headers),
            format: self.format.unwrap_or(was.format),
            max_running: self.max_running.unwrap_or(was.max_running),
        }
    }
}

type Headers = BTreeMap<Box<str>, Box<str>>;

/// These, with what is not shown as it was; one that was not there is none.
fn revealed(said: Headers, was: &Headers) -> Headers {
    let value = |name: &str, said: Box<str>| if *said == *HIDDEN { was.get(name).cloned() } else { Some(said) };
    said.into_iter().filter_map(|(name, said)| Some((name.clone(), value(&name, said)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: [(&str, &str); 2]) -> Option<Headers> {
        Some(pairs.map(|(name, value)| (name.into(), value.into())).into())
    }

    #[test]
    fn what_was_shown_may_be_sent_back() {
        let draft = |headers| WebhookDraft { url: Some("https://x".into()), headers, ..WebhookDraft::default() };
        let was = draft(headers([("a", "1"), ("b", "2")])).order(&mut Findings::default()).unwrap();
        let changed = draft(headers([("a", HIDDEN), ("b", "3")])).change(&was);
        assert_eq!(Some(changed.headers), headers([("a", "1"), ("b", "3")]));
        let mut findings = Findings::default();
        assert_eq!(draft(headers([("a", HIDDEN), ("b", "3")])).order(&mut findings), None);
        assert_eq!(findings.into_errors()[0].path, "/headers/a");
    }
}
