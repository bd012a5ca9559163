//! `tasklane webhook`: where events are sent.

mod add;
mod listen;
mod show;

use clap::{Args, Subcommand};
use serde::Serialize;
use tasklane_core::ports::clock::Clock;
use tasklane_server::clock::MachineClock;
use tasklane_wire::webhook::{DeliveryShape, WebhookShape};

use self::add::{Add, Set};
use self::listen::Listen;
use crate::failure::{Exit, Failure};
use crate::listing;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, json, task_id};
use crate::task::{Task, read};

/// Have events sent to a URL, signed by Standard Webhooks, and see what became of them
#[derive(Debug, Args)]
pub(crate) struct Webhook {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List webhooks
    #[command(after_help = "\
Examples:
  tasklane webhook ls
  tasklane webhook ls -o ndjson | jq 'select(.failing_since != null) | .url'")]
    Ls,
    /// Set a webhook up and print the secret that signs, this once
    #[command(after_help = "\
Examples:
  tasklane webhook add https://example.org/hook
  tasklane webhook add https://example.org/hook --event task.failed --queue mail --description 'who is on call'
  tasklane webhook add https://example.org/hook --event 'task.*' --cloudevents --header 'Authorization: Bearer abc'

Events are task.queued, task.running, task.retrying, task.succeeded, task.failed, task.cancelled, task.expired,
task.scheduled and webhook.disabled; task.* is all of tasks. The ends of tasks are told unless others are named.")]
    Add(Box<Add>),
    /// Change a webhook; what is not said stays. --queue, --type and --label together are one thing
    #[command(after_help = "\
Examples:
  tasklane webhook set example.org --to https://example.org/other
  tasklane webhook set example.org --event task.failed --event task.expired")]
    Set(Box<Set>),
    /// Show a webhook
    #[command(after_help = "\
Examples:
  tasklane webhook show example.org")]
    Show(Which),
    /// Send a test event
    #[command(after_help = "\
Examples:
  tasklane webhook test example.org")]
    Test(Which),
    /// Show what was sent to a webhook, newest first
    #[command(after_help = "\
Examples:
  tasklane webhook deliveries example.org
  tasklane webhook deliveries example.org --state failed -o ndjson | jq .error")]
    Deliveries(Deliveries),
    /// Send one delivery once more, or all that failed
    #[command(after_help = "\
Examples:
  tasklane webhook redeliver example.org 0198f2a4-0000-7000-8000-000000000001
  tasklane webhook redeliver example.org --failed --since 2030-01-01T00:00:00Z")]
    Redeliver(Redeliver),
    /// Give a webhook a new secret and print it, this once; the one before signs beside it for a day more
    #[command(after_help = "\
Examples:
  tasklane webhook rotate-secret example.org
  tasklane webhook rotate-secret example.org --overlap 7d")]
    RotateSecret(Rotate),
    /// Have what waits for a webhook sent, and what happens from now on
    #[command(after_help = "\
Examples:
  tasklane webhook enable example.org")]
    Enable(Which),
    /// Have nothing sent to a webhook; what waits is kept for seven days
    #[command(after_help = "\
Examples:
  tasklane webhook disable example.org")]
    Disable(Which),
    /// Remove a webhook; what waits for it fails
    #[command(after_help = "\
Examples:
  tasklane webhook rm example.org")]
    Rm(Which),
    /// Forward events to a program on this machine while this runs, signed as a webhook's are
    #[command(after_help = "\
Examples:
  tasklane webhook listen --forward-to http://localhost:3000/hook
  tasklane webhook listen --forward-to http://localhost:3000/hook --event task.failed --queue mail

For trying a receiver out: nothing is set up on the server, and what happens while this does not run is not forwarded. The
secret that signs is the same each time for the same URL.")]
    Listen(Listen),
}

/// A webhook by its id or a part of its URL.
#[derive(Debug, Args)]
struct Which {
    /// Its id, or a part of its URL
    #[arg(value_name = "WEBHOOK")]
    which: String,
}

#[derive(Debug, Args)]
struct Deliveries {
    #[command(flatten)]
    webhook: Which,
    /// Only those in this state, such as failed
    #[arg(long)]
    state: Option<String>,
}

#[derive(Debug, Args)]
struct Redeliver {
    #[command(flatten)]
    webhook: Which,
    /// Which delivery
    #[arg(value_name = "DELIVERY", value_parser = task_id, required_unless_present = "failed")]
    delivery: Option<String>,
    /// All that failed
    #[arg(long, conflicts_with = "delivery")]
    failed: bool,
    /// Of these those made then or later
    #[arg(long, value_name = "TIME", requires = "failed")]
    since: Option<String>,
    /// Of these those made before
    #[arg(long, value_name = "TIME", requires = "failed")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    webhook: Which,
    /// For how long the secret before signs beside the new one
    #[arg(long, value_name = "DURATION")]
    overlap: Option<String>,
}

#[derive(Serialize)]
struct Overlap<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<&'a str>,
}

#[derive(Serialize)]
struct Range<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
}

impl Which {
    /// The id: what is none is a part of the URL of one webhook.
    async fn id(&self, remote: &Remote) -> Result<String, Failure> {
        if let Ok(id) = task_id(&self.which) {
            return Ok(id);
        }
        let all: Vec<WebhookShape> = listing::shapes(&listing::gather(remote, "webhooks").await?)?;
        let found: Vec<_> = all.iter().filter(|it| it.url.contains(&self.which)).collect();
        match &found[..] {
            [it] => Ok(it.id.0.to_string()),
            [] => Err(Failure::new(Exit::NotFound, format!("no webhook's URL holds {}", self.which))
                .remedy("tasklane webhook ls")),
            _ => Err(Failure::usage(format!(
                "the URLs of {} webhooks hold {}; say more of it, or the id",
                found.len(),
                self.which
            ))),
        }
    }
}

async fn act(which: &Which, remote: &Remote, verb: &str) -> Result<Vec<u8>, Failure> {
    let id = which.id(remote).await?;
    remote.call(Call::post(["webhooks", &format!("{id}:{verb}")])).await
}

impl Webhook {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let now = MachineClock::start().wall();
        let body = match &self.action {
            Action::Ls => {
                let nothing = "no webhooks; set one up: tasklane webhook add --help";
                let table = |webhooks: Vec<WebhookShape>| show::table(&webhooks, now);
                return listing::show(remote, output, "webhooks", nothing, table).await;
            }
            Action::Add(it) => {
                let made = remote.call(Call::post(["webhooks"]).json(it.request()?)).await;
                return secret(&made.map_err(|failure| failure.or_too_old("send webhooks"))?, output);
            }
            Action::RotateSecret(it) => {
                let json = json(&Overlap { overlap: it.overlap.as_deref() })?;
                let path = format!("{}:rotate-secret", it.webhook.id(remote).await?);
                return secret(&remote.call(Call::post(["webhooks", &path]).json(json)).await?, output);
            }
            Action::Test(it) => return told(&act(it, remote, "test").await?, output),
            Action::Deliveries(it) => return deliveries(it, remote, output).await,
            Action::Redeliver(it) => return redeliver(it, remote, output).await,
            Action::Listen(it) => return it.run(remote, output).await,
            Action::Set(it) => {
                let id = it.webhook.id(remote).await?;
                remote.call(Call::patch(["webhooks", &id]).json(it.request()?)).await?
            }
            Action::Show(it) => remote.call(Call::get(["webhooks", &it.id(remote).await?])).await?,
            Action::Enable(it) => act(it, remote, "enable").await?,
            Action::Disable(it) => act(it, remote, "disable").await?,
            Action::Rm(it) => remote.call(Call::delete(["webhooks", &it.id(remote).await?])).await?,
        };
        if output.is_for_people() {
            output.table(&show::table(&[read(&body)?], now))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

async fn deliveries(asked: &Deliveries, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let id = asked.webhook.id(remote).await?;
    let now = MachineClock::start().wall();
    let wish = asked.state.as_deref().map(|state| ("state", state));
    let nothing = "nothing was sent yet; try it: tasklane webhook test";
    let table = |all: Vec<DeliveryShape>| show::deliveries(&all, now);
    listing::show_at(remote, output, (&["webhooks", &id, "deliveries"], wish), nothing, table).await
}

async fn redeliver(asked: &Redeliver, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let id = asked.webhook.id(remote).await?;
    let Some(delivery) = &asked.delivery else {
        let range = json(&Range { since: asked.since.as_deref(), until: asked.until.as_deref() })?;
        let body = remote.call(Call::post(["webhooks", &format!("{id}:redeliver")]).json(range)).await?;
        if output.is_for_people() {
            output.data(&Task::read(&body)?.id)?;
            output.note(Tone::Dim, "this task sends them once more; tasklane watch shows how far it is");
        } else {
            output.document(&body)?;
        }
        return Ok(Exit::Ok);
    };
    let path = format!("{delivery}:redeliver");
    told(&remote.call(Call::post(["webhooks", &id, "deliveries", &path])).await?, output)
}

/// A delivery.
fn told(body: &[u8], output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        output.table(&show::deliveries(&[read(body)?], MachineClock::start().wall()))?;
    } else {
        output.document(body)?;
    }
    Ok(Exit::Ok)
}

/// The secret alone is data: it can be taken into a variable.
fn secret(body: &[u8], output: &Output) -> Result<Exit, Failure> {
    if !output.is_for_people() {
        output.document(body)?;
        return Ok(Exit::Ok);
    }
    let webhook: WebhookShape = read(body)?;
    output.data(webhook.secret.as_deref().unwrap_or_default())?;
    let note = format!("this signs what is sent to {} (webhook {}); it is not shown again", webhook.url, webhook.id.0);
    output.note(Tone::Dim, &note);
    Ok(Exit::Ok)
}
