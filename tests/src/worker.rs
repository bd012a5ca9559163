//! The worker that stories kill and freeze: `story-worker URL NAME LEDGER GATE`. Its handler writes what it does into a
//! ledger outside the system. A first attempt whose payload says `"hold": true` waits until the file GATE is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tasklane_client::{Client, Error, HandlerError, TaskContext};
use tasklane_testkit::Ledger;

/// Long enough for a renewal on a busy machine, short enough for a story.
const LEASE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct Work {
    #[serde(default)]
    hold: bool,
    /// How long it takes besides.
    #[serde(default)]
    millis: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("story-worker URL NAME LEDGER GATE");
    let (url, name, ledger, gate) = (word(), word(), word(), word());
    let inside = Arc::new((name.clone(), Ledger::open(Path::new(&ledger)), PathBuf::from(gate)));
    let handle = move |context: TaskContext, work: Work| {
        let inside = Arc::clone(&inside);
        async move { run(&inside.0, &inside.1, &inside.2, &context, &work).await }
    };
    Client::builder().url(url).build()?.worker().name(&name).lease(LEASE).handle("story", handle).run().await?;
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
    while work.hold && attempt == 1 && !gate.exists() {
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(Duration::from_millis(work.millis)).await;
    ledger.write(&format!("ended {id} {attempt} {name}"));
    Ok(format!("attempt {attempt} by {name}"))
}
