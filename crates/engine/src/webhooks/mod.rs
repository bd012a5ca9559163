//! Webhooks: endpoints are set up and changed, deliveries are looked at and sent again, and the sink is told what it must know.

mod deliveries;
mod endpoints;
mod set;

use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Order};
use tasklane_core::webhook::secret::Secret;
use thiserror::Error;
use uuid::Uuid;

pub use self::deliveries::DeliveryQuery;
pub(crate) use self::endpoints::Endpoints;
use crate::calls::{HandCallError, SubmitError};

/// An endpoint as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Which.
    pub id: EndpointId,
    /// What it is.
    pub endpoint: Arc<Endpoint>,
}

/// An endpoint to be set up.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Whose it is; `None`: it is told of everybody's tasks.
    pub tenant: Option<Box<str>>,
    /// What is asked of it.
    pub order: Order,
    /// What signs; without one it is drawn.
    pub secret: Option<Secret>,
}

/// Which endpoints a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointQuery {
    /// Of this tenant; `None` is all.
    pub tenant: Option<Box<str>>,
    /// Those after this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub most: usize,
}

/// Why an endpoint was not set up or changed, or a delivery not sent again.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// There is none of that id.
    #[error("there is no such webhook")]
    NotFound,
    /// There is no such delivery.
    #[error("there is no such delivery")]
    NoDelivery,
    /// There are as many as a server tells of events.
    #[error("there are {0} webhooks already, the most there can be")]
    TooMany(usize),
    /// There are as many as one tenant may have, or as many that are told of everybody's tasks as there may be.
    #[error("there are {0} webhooks of the same tenant, or of none, already, the most there can be")]
    TooManyOfOne(usize),
    /// It is disabled.
    #[error("this webhook is disabled; enable it first")]
    Disabled,
    /// It was changed again and again meanwhile.
    #[error("somebody else changes this webhook all the while; try again")]
    Busy,
    /// A delivery was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A delivery was not sent again.
    #[error(transparent)]
    Hand(#[from] HandCallError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
