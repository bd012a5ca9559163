//! Reading queues and steering them.

use serde_json::json;
use tasklane_wire::gate::LimitsShape;
use tasklane_wire::queue::QueueShape;
use tasklane_wire::task::Page;

use crate::client::Client;
use crate::error::Error;
use crate::transport::{Call, segment};

impl Client {
    /// Every queue that ever had a task.
    ///
    /// # Errors
    /// As the server says.
    pub async fn queues(&self) -> Result<Vec<QueueShape>, Error> {
        let mut page: Page<QueueShape> = self.get("/v1/queues".into()).await?;
        let mut queues = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/queues?cursor={}", segment(&cursor))).await?;
            queues.append(&mut page.items);
        }
        Ok(queues)
    }

    /// One queue.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `queue_not_found` if it never had a task.
    pub async fn queue(&self, name: &str) -> Result<QueueShape, Error> {
        self.get(format!("/v1/queues/{}", segment(name))).await
    }

    /// Nothing of this queue is leased any more; submits are accepted.
    ///
    /// # Errors
    /// As [`Client::queue`].
    pub async fn pause(&self, queue: &str) -> Result<QueueShape, Error> {
        self.act(format!("/v1/queues/{}:pause", segment(queue))).await
    }

    /// The queue gives and takes again.
    ///
    /// # Errors
    /// As [`Client::queue`].
    pub async fn resume(&self, queue: &str) -> Result<QueueShape, Error> {
        self.act(format!("/v1/queues/{}:resume", segment(queue))).await
    }

    /// The queue takes no new tasks; what it has runs.
    ///
    /// # Errors
    /// As [`Client::queue`].
    pub async fn drain(&self, queue: &str) -> Result<QueueShape, Error> {
        self.act(format!("/v1/queues/{}:drain", segment(queue))).await
    }

    /// Of this queue no more run or start than this; `None` takes its limits away, unless the configuration has some. A
    /// queue that is not there yet is made.
    ///
    /// # Errors
    /// As the server says.
    pub async fn set_queue_limits(&self, queue: &str, limits: Option<LimitsShape>) -> Result<QueueShape, Error> {
        let body = json!({ "limits": limits }).to_string();
        self.transport.send(Call::put(format!("/v1/queues/{}", segment(queue)), body)).await?.json()
    }
}
