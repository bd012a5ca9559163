//! The worker that stories kill and freeze: `story-worker URL NAME LEDGER GATE [MODE [LEASE]]`. Its handler writes what it
//! does into a ledger outside the system. A first attempt whose payload says `"hold": true` waits until the file GATE is
//! there, with `"effects": true` writing again and again that it works, and ending when it is told to stop. One that says
//! `"seconds"` works so long. MODE is a Python worker's. It serves the queue STORY_QUEUE, or all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tasklane_client::{Client, Error, HandlerError, TaskContext};
use tasklane_testkit::Ledger;

const USAGE: &str = "story-worker URL NAME LEDGER GATE [MODE [LEASE]]";
const LOOK: Duration = Duration::from_millis(20);
/// Tasks at a time, unless STORY_SLOTS says otherwise.
const SLOTS: usize = 4;

#[derive(Deserialize)]
struct Work {
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    effects: bool,
    #[serde(default)]
    seconds: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect(USAGE);
    let (url, name, ledger, gate) = (word(), word(), word(), word());
    // Long enough for a renewal on a busy machine, short enough for a story.
    let lease = words.nth(1).unwrap_or_else(|| "2s".to_owned());
    let lease = lease.strip_suffix('s').and_then(|it| it.parse().ok()).map(Duration::from_secs).expect(USAGE);
    let inside = Arc::new((name.clone(), Ledger::open(Path::new(&ledger)), PathBuf::from(gate)));
    let handle = move |context: TaskContext, work: Work| {
        let inside = Arc::clone(&inside);
        async move { run(&inside.0, &inside.1, &inside.2, &context, &work).await }
    };
    let client = Client::builder().url(url).build()?;
    let slots = std::env::var("STORY_SLOTS").ok().and_then(|it| it.parse().ok()).unwrap_or(SLOTS);
    let mut worker = client.worker().name(&name).slots(slots).lease(lease).handle("story", handle);
    if let Ok(queue) = std::env::var("STORY_QUEUE") {
        worker = worker.queue(&queue);
    }
    worker.run().await?;
    Ok(())
}

async fn run(
    name: &str,
    ledger: &Ledger,
    gate: &Path,
    context: &TaskContext,
    work: &Work,
) -> Result<String, HandlerError> {
    let (id, attempt) = (context.id(), context.attempt());
    ledger.write(&format!("started {id} {attempt} {name}"));
    tokio::time::sleep(Duration::from_secs_f64(work.seconds)).await;
    while work.hold && attempt == 1 && !gate.exists() {
        if work.effects {
            ledger.write(&format!("effect {id} {attempt} {name}"));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = context.cancelled(), if work.effects => return Err(HandlerError::cancelled()),
        }
    }
    ledger.write(&format!("ended {id} {attempt} {name}"));
    Ok(format!("attempt {attempt} by {name}"))
}
