//! Webhooks: as they are asked for, as they are read, and what was sent to them.

mod draft;
mod read;
mod shape;

pub use draft::WebhookDraft;
pub use read::{OVERLAP, callback, read_redelivery, read_rotation};
pub use shape::{DeliveryShape, DisabledShape, WebhookShape};

use tasklane_core::webhook::outbox::Callback;

use crate::json::Object;

/// Appends a callback, as clients do.
pub fn write_callback(out: &mut Vec<u8>, callback: &Callback) {
    let mut object = Object::begin(out);
    object.string("url", &callback.url);
    let events: Vec<_> = callback.events.iter().map(|it| it.as_str()).collect();
    object.raw("events", serde_json::to_string(&events).unwrap_or_default().as_bytes());
    if let Some(secret) = &callback.secret {
        object.string("secret", &secret.reveal());
    }
    object.end();
}
