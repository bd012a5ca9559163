//! Following a stream of events: over cut connections, until somebody has seen enough.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::stream::Event;
use crate::table::{Cell, Table};
use crate::task::Task;
use crate::told::Told;
use crate::wait::{self, Ended, Patience};

/// How often a server that went away is asked again, and how many times in a row: a restart is no reason to give up.
const AGAIN: Duration = Duration::from_secs(1);
const AGAINS: u32 = 30;
/// How long the last log lines may come after the end of a task.
const REST: Duration = Duration::from_millis(500);

/// Reads the stream at `path` below `/v1` and hands every event to `take` until that has seen enough or the stream ends
/// by itself. A cut connection is opened anew behind the last event.
pub(crate) async fn events(
    remote: &Remote,
    path: &[&str],
    query: &[(&str, &str)],
    mut take: impl FnMut(&Event) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let (mut last, mut away) = (None::<String>, 0);
    loop {
        let call = Call::get(path.iter().copied()).header("last-event-id", last.clone());
        let call = query.iter().fold(call, |call, (name, value)| call.query(name, Some(*value)));
        let ended = match remote.stream(call).await {
            Err(failure) => Err(failure),
            Ok(mut stream) => loop {
                match stream.next().await {
                    Ok(Some(event)) => {
                        away = 0;
                        last = event.id.clone().or(last);
                        if take(&event)?.is_break() {
                            return Ok(());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(failure) => break Err(failure),
                }
            },
        };
        match ended {
            Ok(()) => return Ok(()),
            Err(failure) if failure.exit == Exit::Away && away < AGAINS => {
                away += 1;
                sleep(AGAIN).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Waits until the task is final and tells meanwhile what happens to it, on standard error.
pub(crate) async fn ended(remote: &Remote, output: &Output, id: &str, patience: Patience) -> Result<Ended, Failure> {
    let following = until_final(remote, output, id);
    let followed = match patience {
        Patience::Endless => following.await,
        // The wait below says that the time is over.
        Patience::For(most) => timeout(most, following).await.unwrap_or(Ok(())),
    };
    match followed {
        Ok(()) => {}
        Err(failure) if failure.exit == Exit::NotFound || failure.exit == Exit::Usage => {
            output.note(Tone::Dim, "this server does not stream events; waiting for the end");
            return wait::ended(remote, output, id, patience).await;
        }
        Err(failure) => return Err(failure),
    }
    let patience = if matches!(patience, Patience::Endless) { patience } else { Patience::For(Duration::ZERO) };
    wait::ended(remote, output, id, patience).await
}

async fn until_final(remote: &Remote, output: &Output, id: &str) -> Result<(), Failure> {
    // A task that is final already may have nothing more to tell.
    let over = Task::read(&remote.call(Call::get(["tasks", id])).await?)?.is_final();
    let mut last = None;
    let path = ["tasks", id, "events"];
    let told = events(remote, &path, &[], |event| {
        let told = Told::of(event).unwrap_or_default();
        if let Some(cells) = told.cells() {
            output.note(Tone::Plain, &line(output, cells));
        }
        last = told.ended().map(str::to_owned).or(last.take());
        Ok(if last.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    if over { timeout(REST, told).await.unwrap_or(Ok(())) } else { told.await }
}

/// The cells as one line.
fn line(output: &Output, cells: Vec<Cell>) -> String {
    let mut table = Table::plain();
    table.row(cells);
    table.lines(output.notes()).pop().unwrap_or_default()
}

/// The cells as a line of data.
pub(crate) fn print(output: &Output, cells: Vec<Cell>) -> Result<(), Failure> {
    let mut table = Table::plain();
    table.row(cells);
    output.table(&table)
}
