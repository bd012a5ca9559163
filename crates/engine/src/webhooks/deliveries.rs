//! Deliveries are looked at, sent again, and made to try an endpoint.

use std::sync::Arc;

use tasklane_core::accept::{Deadlines, NewTask, Start, UniquePolicy};
use tasklane_core::bulk::{Action, Bulk, Mode};
use tasklane_core::error::StoreError;
use tasklane_core::gate::Limit;
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::{TaskFilter, TaskPage};
use tasklane_core::state::State;
use tasklane_core::task::{Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::EndpointId;
use tasklane_core::webhook::outbox::test_delivery;
use tasklane_core::webhook::{ENDPOINT_LABEL, MESSAGE_LABEL, QUEUE, timetable};

use super::WebhookError;
use crate::calls::Submitted;
use crate::handle::Engine;

/// Which deliveries of an endpoint are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// In this state.
    pub state: Option<State>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
}

impl DeliveryQuery {
    fn filter(self, id: EndpointId) -> TaskFilter {
        TaskFilter {
            queue: Some(QUEUE.into()),
            state: self.state,
            labels: vec![(ENDPOINT_LABEL.into(), id.0.to_string().into())],
            created_after: self.since,
            created_before: self.until,
            ..TaskFilter::default()
        }
    }
}

impl Engine {
    /// A page of what was sent to an endpoint, or is to be: newest first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn deliveries(
        &self,
        id: EndpointId,
        query: DeliveryQuery,
        below: Option<TaskId>,
        most: usize,
    ) -> Result<TaskPage, StoreError> {
        self.list(query.filter(id), below, most).await
    }

    /// A delivery to an endpoint.
    ///
    /// # Errors
    /// [`WebhookError::NoDelivery`], or the store did not answer.
    pub async fn delivery(&self, endpoint: EndpointId, id: TaskId) -> Result<Task, WebhookError> {
        let found = self.tasks(vec![id]).await?.pop().flatten();
        let of_endpoint = endpoint.0.to_string();
        let is_its = |task: &Task| {
            let facts = &task.facts;
            *facts.lane.queue == *QUEUE && facts.spec.labels.get(ENDPOINT_LABEL).is_some_and(|it| **it == *of_endpoint)
        };
        found.filter(is_its).ok_or(WebhookError::NoDelivery)
    }

    /// Sends a delivery once more: one that failed begins its attempts anew, one that waits for the next is sent now, and what
    /// arrived is sent again, under the id by which its receiver knows it. Answers with the delivery that is on its way.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn redeliver(&self, endpoint: EndpointId, id: TaskId) -> Result<Task, WebhookError> {
        let task = self.delivery(endpoint, id).await?;
        match task.facts.state {
            State::Failed | State::Cancelled | State::Expired => Ok(self.hand(id, Hand::Retry).await?),
            State::Scheduled | State::Retrying => Ok(self.hand(id, Hand::Reschedule(Start::Now)).await?),
            State::Succeeded => {
                let again = self.again(&task);
                let id = again.id;
                self.submit_one(again).await?;
                self.delivery(endpoint, id).await
            }
            State::Queued | State::Blocked | State::Running | State::Waiting => Ok(task),
        }
    }

    /// Has all of them sent once more that failed, by a task of the system's own.
    ///
    /// # Errors
    /// It was not accepted.
    pub async fn redeliver_failed(
        &self,
        endpoint: EndpointId,
        query: DeliveryQuery,
        tenant: Option<&str>,
    ) -> Result<Submitted, WebhookError> {
        let filter = DeliveryQuery { state: Some(State::Failed), ..query }.filter(endpoint);
        Ok(self.submit_bulk(&Bulk { filter, action: Action::Retry, mode: Mode::Apply }, tenant).await?)
    }

    /// Tries whether an endpoint hears. Answers with the delivery.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn try_endpoint(&self, id: EndpointId) -> Result<Task, WebhookError> {
        let hook = self.endpoint(id).await?.ok_or(WebhookError::NotFound)?;
        if hook.endpoint.disabled.is_some() {
            return Err(WebhookError::Disabled);
        }
        let task = test_delivery(self.draw_id(), id, &hook.endpoint, self.now());
        let own = task.id;
        self.submit_one(task).await?;
        self.delivery(id, own).await
    }

    fn again(&self, task: &Task) -> NewTask {
        let facts = &task.facts;
        let mut spec = (*facts.spec).clone();
        let first = spec.labels.get(MESSAGE_LABEL).cloned().unwrap_or_else(|| facts.id.to_string().into());
        spec.labels.insert(MESSAGE_LABEL.into(), first);
        spec = Spec { rerun_of: Some(facts.id), deadline: Some(self.now().plus(timetable::KEPT)), ..spec };
        NewTask {
            id: self.draw_id(),
            lane: Arc::clone(&facts.lane),
            scope: Arc::clone(&facts.scope),
            payload: task.payload.clone(),
            start: Start::Now,
            priority: task.priority,
            limits: Limit::as_they_are(&facts.gates),
            spec: Arc::new(spec),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        }
    }
}
