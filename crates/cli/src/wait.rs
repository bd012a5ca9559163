//! Waiting for a task to end.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::bar;
use crate::failure::{Exit, Failure};
use crate::interrupt;
use crate::moment;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::task::{Task, state_cell};

/// How long the server holds one question; a person who watches is told about progress in between.
const HELD: Duration = Duration::from_secs(30);
const HELD_WATCHED: Duration = Duration::from_secs(1);
/// How often a server that went away is asked again, and how many times in a row: a restart is no reason to give up.
const AGAIN: Duration = Duration::from_secs(1);
const AGAINS: u32 = 30;

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it ends.
    Endless,
    /// So long.
    For(Duration),
}

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::Endless),
            text => moment::duration(text).map(Self::For),
        }
    }
}

/// A task that ended, as the server showed it.
pub(crate) struct Ended {
    /// The answer's bytes.
    pub(crate) body: Vec<u8>,
    /// What they say.
    pub(crate) task: Task,
}

/// Waits until the task is final.
pub(crate) async fn ended(remote: &Remote, output: &Output, id: &str, patience: Patience) -> Result<Ended, Failure> {
    let waiting = async {
        match patience {
            Patience::Endless => until_final(remote, output, id).await,
            Patience::For(most) => match timeout(most, until_final(remote, output, id)).await {
                Ok(ended) => ended,
                Err(_) => Err(Failure::new(Exit::Timeout, format!("task {id} did not finish in time; it goes on"))
                    .remedy(format!("wait longer: tasklane result {id} --wait"))),
            },
        }
    };
    let goes_on = format!("stopped waiting; task {id} goes on (tasklane result {id} --wait)");
    let ended = interrupt::or(&goes_on, waiting).await;
    output.status("");
    ended
}

async fn until_final(remote: &Remote, output: &Output, id: &str) -> Result<Ended, Failure> {
    let held = if output.watched { HELD_WATCHED } else { HELD };
    let (began, mut away) = (Instant::now(), 0);
    loop {
        match remote.call(Call::get(["tasks", id]).wait(held)).await {
            Ok(body) => {
                away = 0;
                let task = Task::read(&body)?;
                if task.is_final() {
                    return Ok(Ended { body, task });
                }
                output.status(&bar::line(&task, began.elapsed()));
            }
            Err(failure) if failure.exit == Exit::Away && away < AGAINS => {
                away += 1;
                output.status("the server does not answer; trying again");
                sleep(AGAIN).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The result on standard output, or why there is none.
pub(crate) fn show(output: &Output, ended: &Ended) -> Result<Exit, Failure> {
    let task = &ended.task;
    if !output.is_for_people() {
        output.document(&ended.body)?;
    } else if let Some(result) = &task.result {
        output.data(result.get())?;
    }
    if task.state == "succeeded" {
        return Ok(Exit::Ok);
    }
    let why = task.failure.as_ref().map(|it| format!(": {} ({})", crate::table::visible(&it.message), it.kind));
    output.note(Tone::Bad, &format!("{} {}{}", state_cell(&task.state).text(), task.id, why.unwrap_or_default()));
    if task.state != "succeeded" && output.watched {
        output.note(Tone::Dim, &format!("  try again: tasklane retry {}", task.id));
    }
    Ok(Exit::TaskFailed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patience_is_endless_unless_a_time_is_named() {
        assert_eq!("".parse::<Patience>().unwrap(), Patience::Endless);
        assert_eq!("1m30s".parse::<Patience>().unwrap(), Patience::For(Duration::from_secs(90)));
        assert!("soon".parse::<Patience>().is_err());
    }
}
