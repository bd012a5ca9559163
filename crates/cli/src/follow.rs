//! Following a stream of events: over cut connections, until somebody has seen enough.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::stream::Event;
use crate::table::{Cell, Table};
use crate::told::Told;
use crate::wait::{self, Ended, Patience};

/// How often a server that went away is asked again, and how many times in a row: a restart is no reason to give up.
const AGAIN: Duration = Duration::from_secs(1);
const AGAINS: u32 = 30;
/// The name of the last event of a task's own stream.
const END: &str = "end";

/// Reads the stream at `path` below `/v1` and hands every event to `take` until that has seen enough or nothing more will
/// come. A connection that ends otherwise is opened anew behind the last event: a server that stops closes it.
pub(crate) async fn events(
    remote: &Remote,
    path: &[&str],
    query: &[(&str, String)],
    mut take: impl FnMut(&Event) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let (mut last, mut away) = (None::<String>, 0);
    loop {
        let call = Call::get(path.iter().copied()).header("last-event-id", last.clone());
        let call = query.iter().fold(call, |call, (name, value)| call.query(name, Some(value)));
        let mut heard = |event: &Event| {
            away = 0;
            last = event.id.clone().or(last.take());
            take(event)
        };
        match one(remote, call, &mut heard).await {
            Ok(ControlFlow::Break(())) => return Ok(()),
            Err(failure) if failure.exit != Exit::Away => return Err(failure),
            Err(failure) if away >= AGAINS => return Err(failure),
            Ok(ControlFlow::Continue(())) | Err(_) => {
                away += 1;
                sleep(AGAIN).await;
            }
        }
    }
}

/// One connection of a stream; whether nothing more will come.
async fn one(
    remote: &Remote,
    call: Call<'_>,
    take: &mut impl FnMut(&Event) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<()>, Failure> {
    let Some(mut stream) = remote.stream(call).await? else { return Ok(ControlFlow::Break(())) };
    while let Some(event) = stream.next().await? {
        if take(&event)?.is_break() || event.name == END {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
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
    let path = ["tasks", id, "events"];
    events(remote, &path, &[], |event| {
        if let Some(cells) = Told::of(event).and_then(|it| it.cells()) {
            output.note(Tone::Plain, &line(output, cells));
        }
        Ok(ControlFlow::Continue(()))
    })
    .await
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
