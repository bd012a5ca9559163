//! Webhooks: where events are sent, and whether a message that came is to be believed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tasklane_core::task::TaskId;
use tasklane_core::webhook::endpoint::{EndpointId, Format};
use tasklane_core::webhook::secret::Secret;
use tasklane_core::webhook::signature::{self, SignatureError};
use tasklane_wire::duration;
use tasklane_wire::task::Page;
use tasklane_wire::webhook::{DeliveryShape, WebhookShape};

use crate::client::Client;
use crate::error::Error;
use crate::new_task::timestamp;
use crate::transport::{Call, segment};

/// What is said of a webhook: all of it where one is set up, some of it where one is changed.
///
/// ```
/// use tasklane_client::SetWebhook;
///
/// let failures = SetWebhook::new("https://example.org/hook").events(["task.failed", "task.expired"]).queue("mail");
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "a webhook is nothing until it is set up"]
pub struct SetWebhook {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Filter::is_empty")]
    filter: Filter,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    task_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SetWebhook {
    /// A webhook that is told of the ends of tasks there.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// What for.
    pub fn description(self, text: impl Into<String>) -> Self {
        Self { description: Some(text.into()), ..self }
    }

    /// Of what it is told: names such as `task.failed`, `task.*` or `*`.
    pub fn events(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { events: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// Of tasks of this queue alone.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.filter.queue = Some(queue.into());
        self
    }

    /// Of tasks of this type alone.
    pub fn task_type(mut self, task_type: impl Into<String>) -> Self {
        self.filter.task_type = Some(task_type.into());
        self
    }

    /// Of tasks with this label alone.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.filter.labels.insert(key.into(), value.into());
        self
    }

    /// A header of every call.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Bodies are those of CloudEvents 1.0.
    pub fn cloudevents(self) -> Self {
        Self { format: Some(Format::Cloudevents), ..self }
    }

    /// How many deliveries may be on their way at once.
    pub fn max_running(self, most: u32) -> Self {
        Self { max_running: Some(most), ..self }
    }

    /// Whose tasks it is told of; said where it is set up alone.
    pub fn tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    /// What signs, `whsec_` and base64; drawn unless given, and said where it is set up alone.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    fn json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| Error::Invalid(error.to_string()))
    }
}

impl Client {
    /// Sets a webhook up. Its secret is in the answer (`secret`), this once.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `invalid`, also for a URL that the server will not call.
    pub async fn make_webhook(&self, new: &SetWebhook) -> Result<WebhookShape, Error> {
        self.transport.send(Call::post("/v1/webhooks", new.json()?)).await?.json()
    }

    /// Every webhook, in the order in which they were set up, without their secrets.
    ///
    /// # Errors
    /// As the server says.
    pub async fn webhooks(&self) -> Result<Vec<WebhookShape>, Error> {
        let mut page: Page<WebhookShape> = self.get("/v1/webhooks".into()).await?;
        let mut webhooks = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/webhooks?cursor={}", segment(&cursor))).await?;
            webhooks.append(&mut page.items);
        }
        Ok(webhooks)
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `webhook_not_found`, here and below.
    pub async fn webhook(&self, id: EndpointId) -> Result<WebhookShape, Error> {
        self.get(path(id, "")).await
    }

    /// Changes what is said; the rest stays.
    ///
    /// # Errors
    /// As of [`Client::make_webhook`] and [`Client::webhook`].
    pub async fn change_webhook(&self, id: EndpointId, change: &SetWebhook) -> Result<WebhookShape, Error> {
        self.transport.send(Call::patch(path(id, ""), change.json()?)).await?.json()
    }

    /// Removes a webhook; what waits for it fails. The answer is what it was.
    ///
    /// # Errors
    /// As of [`Client::webhook`].
    pub async fn remove_webhook(&self, id: EndpointId) -> Result<WebhookShape, Error> {
        self.transport.send(Call::delete(path(id, ""))).await?.json()
    }

    /// Has what waits for a webhook sent, and what happens from now on.
    ///
    /// # Errors
    /// As of [`Client::webhook`].
    pub async fn enable_webhook(&self, id: EndpointId) -> Result<WebhookShape, Error> {
        self.transport.send(Call::act(path(id, ":enable"))).await?.json()
    }

    /// Has nothing sent to a webhook; what waits is kept for seven days.
    ///
    /// # Errors
    /// As of [`Client::webhook`].
    pub async fn disable_webhook(&self, id: EndpointId) -> Result<WebhookShape, Error> {
        self.transport.send(Call::act(path(id, ":disable"))).await?.json()
    }

    /// Gives a webhook a new secret, which is in the answer; the one before signs beside it for `overlap` more.
    ///
    /// # Errors
    /// As of [`Client::webhook`].
    pub async fn rotate_webhook_secret(&self, id: EndpointId, overlap: Duration) -> Result<WebhookShape, Error> {
        let body = format!("{{\"overlap\":\"{}\"}}", duration::format(overlap));
        self.transport.send(Call::post(path(id, ":rotate-secret"), body)).await?.json()
    }

    /// Tries whether a webhook hears. The answer is the delivery.
    ///
    /// # Errors
    /// As of [`Client::webhook`], and with code `webhook_disabled`.
    pub async fn test_webhook(&self, id: EndpointId) -> Result<DeliveryShape, Error> {
        self.transport.send(Call::act(path(id, ":test"))).await?.json()
    }

    /// The last deliveries to a webhook, newest first: a page of at most 200.
    ///
    /// # Errors
    /// As of [`Client::webhook`].
    pub async fn deliveries(&self, id: EndpointId) -> Result<Page<DeliveryShape>, Error> {
        self.get(path(id, "/deliveries?limit=200")).await
    }

    /// Sends a delivery once more, under the id by which its receiver knows it.
    ///
    /// # Errors
    /// As of [`Client::webhook`], and with code `delivery_not_found`.
    pub async fn redeliver(&self, id: EndpointId, delivery: TaskId) -> Result<DeliveryShape, Error> {
        self.transport.send(Call::act(path(id, &format!("/deliveries/{delivery}:redeliver")))).await?.json()
    }
}

fn path(id: EndpointId, rest: &str) -> String {
    format!("/v1/webhooks/{}{rest}", id.0)
}

/// Whether a message was sent by who knows `secret` (`whsec_…`), unchanged, and about now; `header` gives the value of a header of
/// the request, `body` are its bytes as they came. What is believed may still have been heard before: the header `webhook-id` is
/// the same whenever a message comes again.
///
/// ```
/// # let (secret, headers) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", std::collections::HashMap::<&str, String>::new());
/// let believed = tasklane_client::verify_webhook(secret, |name| headers.get(name).cloned(), b"{}");
/// assert!(believed.is_err());
/// ```
///
/// # Errors
/// Why it is not to be believed. A secret that is none signs nothing.
pub fn verify_webhook(
    secret: &str,
    header: impl Fn(&str) -> Option<String>,
    body: &[u8],
) -> Result<(), SignatureError> {
    let secret = Secret::parse(secret).map_err(|_| SignatureError::Wrong)?;
    let of = |name| header(name).ok_or(SignatureError::Malformed);
    let (id, sent, signed) = (of(signature::ID)?, of(signature::TIMESTAMP)?, of(signature::SIGNATURE)?);
    signature::verify(&secret, (&id, &sent, &signed), body, timestamp(SystemTime::now()))
}
