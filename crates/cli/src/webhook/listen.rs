//! `tasklane webhook listen`: forwards events to a program on this machine, as a server would send them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tasklane_core::ports::clock::Clock;
use tasklane_core::webhook::event::{EventName, Events};
use tasklane_core::webhook::secret::Secret;
use tasklane_core::webhook::signature;
use tasklane_server::clock::MachineClock;
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure};
use crate::follow;
use crate::interrupt;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::table::{Cell, Table};
use crate::task::read;

/// How long the program may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct Listen {
    /// Where to
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// Which events, such as task.failed; the ends of tasks unless said; may be given again
    #[arg(short, long = "event", value_name = "NAME")]
    events: Vec<String>,
    /// Only of tasks of this queue
    #[arg(short, long)]
    queue: Option<String>,
    /// Only of tasks of this type
    #[arg(short, long = "type", value_name = "TYPE")]
    task_type: Option<String>,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Sends to one program.
struct Sender<'a> {
    http: reqwest::Client,
    url: &'a str,
    secret: Secret,
}

impl Listen {
    pub(super) async fn run(&self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let ended = interrupt::or("stopped forwarding", self.forward(remote, output)).await;
        ended.map_err(|failure| failure.or_too_old("tell what happens"))
    }

    async fn forward(&self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let (wanted, secret) = (self.wanted()?, Secret::for_trials(&self.forward_to));
        output.note(
            Tone::Dim,
            &format!("forwarding to {}; the secret that signs is {}", self.forward_to, secret.reveal()),
        );
        let sender = Sender { http: reqwest::Client::new(), url: &self.forward_to, secret };
        let (heard, mut events) = mpsc::unbounded_channel();
        let query: Vec<_> = [("queue", &self.queue), ("type", &self.task_type)]
            .into_iter()
            .filter_map(|(name, it)| Some((name, it.clone()?)))
            .collect();
        let listening = follow::events(remote, &["events"], &query, |event| {
            if let Ok(name) = EventName::try_from(event.name.clone())
                && wanted.contains(name)
                && heard.send((name, event.data.clone())).is_err()
            {
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        });
        let sending = async {
            let mut left = self.count.unwrap_or(u64::MAX);
            while left > 0
                && let Some((name, data)) = events.recv().await
            {
                sender.tell(remote, output, name, &data).await?;
                left -= 1;
            }
            Ok::<(), Failure>(())
        };
        tokio::select! {
            ended = listening => ended?,
            ended = sending => ended?,
        }
        Ok(Exit::Ok)
    }

    fn wanted(&self) -> Result<Events, Failure> {
        if self.events.is_empty() {
            return Ok(Events::default());
        }
        let mut names = Vec::new();
        for word in &self.events {
            let asked = EventName::asked_by(word);
            if asked.is_empty() {
                let all: Vec<_> = EventName::all().map(EventName::as_str).collect();
                return Err(Failure::usage(format!("{word} is no event; there are {}", all.join(", "))));
            }
            names.extend(asked);
        }
        Ok(Events::of(names))
    }
}

impl Sender<'_> {
    /// Sends an event, once, and shows what was answered.
    async fn tell(&self, remote: &Remote, output: &Output, name: EventName, event: &str) -> Result<(), Failure> {
        let event: Map<String, Value> = read(event.as_bytes())?;
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (task, to, attempt) = (text("task"), text("to"), event.get("attempt").map(Value::to_string));
        let body = body(name, event, remote.call(Call::get(["tasks", &task])).await.ok()).to_string();
        let id = format!("listen_{task}_{to}_{}", attempt.unwrap_or_default());
        let second = signature::second(MachineClock::start().wall());
        let signed = signature::sign([&self.secret].into_iter(), &id, second, body.as_bytes());
        let began = Instant::now();
        let sent = self
            .http
            .post(self.url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header(signature::ID, &id)
            .header(signature::TIMESTAMP, second)
            .header(signature::SIGNATURE, signed)
            .body(body)
            .send()
            .await;
        let (tone, told) = match &sent {
            Ok(answer) if answer.status().is_success() => (Tone::Good, answer.status().as_u16().to_string()),
            Ok(answer) => (Tone::Bad, answer.status().as_u16().to_string()),
            Err(_) => (Tone::Bad, "no answer".to_owned()),
        };
        let mut table = Table::plain();
        let took = format!("{} ms", began.elapsed().as_millis());
        table.row([Cell::from(name.as_str()), Cell::from(&task), Cell::new(tone, told), took.into()]);
        output.table(&table)
    }
}

/// What a server sends ([`tasklane_core::webhook::body`]), put together from the event and the task as it is by now.
fn body(name: EventName, event: Map<String, Value>, task: Option<Vec<u8>>) -> Value {
    let timestamp = event.get("at").cloned().unwrap_or_default();
    let mut data = event;
    let task: Map<String, Value> = task.and_then(|it| serde_json::from_slice(&it).ok()).unwrap_or_default();
    let is_there = |value: &&Value| value.as_object().is_none_or(|it| !it.is_empty());
    for key in ["labels", "result"] {
        let wanted = key != "result" || data.get("to").is_some_and(|it| it == "succeeded");
        if let Some(value) = task.get(key).filter(is_there).filter(|_| wanted) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(failure) = task.get("failure") {
        let told = json!({ "kind": failure["kind"], "message": failure["message"], "retryable": failure["retryable"] });
        data.insert("failure".to_owned(), told);
    }
    json!({ "type": name.as_str(), "timestamp": timestamp, "data": data })
}
