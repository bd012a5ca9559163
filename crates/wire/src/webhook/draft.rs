//! A webhook as a caller writes it: all of it where it is set up, some of it where it is changed.

use std::collections::BTreeMap;

use tasklane_core::webhook::endpoint::{Format, MAX_RUNNING, Order};
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

    /// What is asked of a webhook of which `order` was asked, with what is said here.
    pub fn change(self, order: &Order) -> Order {
        let was = order.clone();
        Order {
            url: self.url.unwrap_or(was.url),
            description: self.description.unwrap_or(was.description),
            events: self.events.unwrap_or(was.events),
            filter: self.filter.unwrap_or(was.filter),
            headers: self.headers.unwrap_or(was.headers),
            format: self.format.unwrap_or(was.format),
            max_running: self.max_running.unwrap_or(was.max_running),
        }
    }
}
