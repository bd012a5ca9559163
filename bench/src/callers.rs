//! Submitters that share one `tasklane-client`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tasklane_client::{Client, NewTask};
use tokio::time::sleep;

use crate::Failure;
use crate::load::join;
use crate::machine::{monotonic_ns, seconds_since};
use crate::payload::TASK_TYPE;
use crate::work::Mail;

/// A task whose payload says that its submit began at `t`, or 0.
pub fn new_task(t: i64) -> NewTask {
    NewTask::new(TASK_TYPE, &Mail::at(t))
}

/// `callers` callers submit for `seconds`, each awaiting its task before its next; answers with how many were accepted.
pub async fn singles(client: &Client, callers: usize, seconds: f64) -> Result<usize, Failure> {
    let sent = Rc::new(Cell::new(0));
    let began = monotonic_ns();
    let lanes = (0..callers).map(|_| {
        let (client, sent) = (client.clone(), Rc::clone(&sent));
        async move {
            while seconds_since(began) < seconds {
                client.submit(new_task(0)).await?;
                sent.set(sent.get() + 1);
            }
            Ok(())
        }
    });
    join(lanes.collect()).await?;
    Ok(sent.get())
}

/// Submits `tasks` tasks, `batch` a call, `in_flight` calls at once.
pub async fn fill(client: &Client, tasks: usize, batch: usize, in_flight: usize) -> Result<(), Failure> {
    let left = Rc::new(Cell::new(tasks));
    let lanes = (0..in_flight).map(|_| {
        let (client, left) = (client.clone(), Rc::clone(&left));
        async move {
            while left.get() > 0 {
                let size = batch.min(left.get());
                left.set(left.get() - size);
                client.submit_batch((0..size).map(|_| new_task(0)).collect()).await?;
            }
            Ok(())
        }
    });
    join(lanes.collect()).await
}

/// Submits `tasks` tasks one after the other, 10 to 20 ms between them, each with the time its submit began.
pub async fn paced(client: &Client, tasks: usize) -> Result<(), Failure> {
    for n in 0..tasks as u64 {
        // Spread evenly by the golden ratio; nothing here has to be unpredictable.
        let share = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        sleep(Duration::from_micros(10_000 + share * 10_000 / (1 << 32))).await;
        client.submit(new_task(monotonic_ns())).await?;
    }
    Ok(())
}
