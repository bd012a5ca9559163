//! `tasklane key`: who may call.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tasklane_core::key::Scope as Granted;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;
use tasklane_wire::gate::RateShape;
use tasklane_wire::key::KeyShape;
use tasklane_wire::overview::LaneShape;
use tasklane_wire::{duration, time};

use crate::failure::{Exit, Failure};
use crate::limits;
use crate::listing;
use crate::moment::relative;
use crate::named::Named;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, json};
use crate::table::{Cell, Table};
use crate::task::read;

/// Say who may call: make, list, rotate and revoke keys
#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it, this once
    #[command(after_help = "\
Examples:
  tasklane key create operator --scope admin
  tasklane key create shop --scope submit --scope read --tenant acme
  tasklane key create mailer --scope work --lane mail:* --expires-at 2030-01-01T00:00:00Z
  TASKLANE_API_KEY=$(tasklane key create ci --scope submit --rate 100/1m)

From the first key on every call needs one, so the first must have the scope admin and no tenant. A key that is lost cannot be
shown again: rotate it.")]
    Create(Create),
    /// List keys
    #[command(after_help = "\
Examples:
  tasklane key ls
  tasklane key ls -o ndjson | jq 'select(.used_at == null) | .name'")]
    Ls,
    /// Show what a key grants
    #[command(after_help = "\
Examples:
  tasklane key show shop")]
    Show(Named),
    /// Give a key a new secret and print it, this once; the one before opens for a day more
    #[command(after_help = "\
Examples:
  tasklane key rotate shop
  tasklane key rotate shop --overlap 0s")]
    Rotate(Rotate),
    /// Have a key open nothing any more, on every server within a second
    #[command(after_help = "\
Examples:
  tasklane key revoke shop")]
    Revoke(Named),
    /// Forget a key that was revoked
    #[command(after_help = "\
Examples:
  tasklane key rm shop")]
    Rm(Named),
}

#[derive(Debug, Args)]
struct Create {
    /// Its name; no other one of the tenant has it
    #[arg(value_name = "NAME")]
    name: String,
    /// What its holder may do: submit, read, work, or admin, which is everything; may be given again
    #[arg(short, long = "scope", value_enum, value_name = "SCOPE", required = true, hide_possible_values = true)]
    scopes: Vec<Scope>,
    /// For whom: its holder sees and touches nothing else
    #[arg(long)]
    tenant: Option<String>,
    /// A person it is given to, for whoever reads the list
    #[arg(long)]
    user: Option<String>,
    /// A program it is given to, for whoever reads the list
    #[arg(long)]
    app: Option<String>,
    /// Work is leased of these alone: QUEUE:TYPE, where * is every one; may be given again
    #[arg(long = "lane", value_name = "QUEUE:TYPE", value_parser = lane)]
    lanes: Vec<LaneShape>,
    /// How often it may call, such as 100/1m
    #[arg(long, value_name = "N/TIME", value_parser = limits::rate)]
    rate: Option<RateShape>,
    /// It opens nothing from this moment on
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

/// What a key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    /// Hand tasks in, and act on them
    Submit,
    /// Look
    Read,
    /// Lease tasks and report on them
    Work,
    /// Everything
    Admin,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    key: Named,
    /// For how long the secret before opens, too
    #[arg(long, value_name = "DURATION")]
    overlap: Option<String>,
}

#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    scopes: &'a [Scope],
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    lanes: &'a [LaneShape],
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RateShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<&'a str>,
}

#[derive(Serialize)]
struct Overlap<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<&'a str>,
}

/// `QUEUE:TYPE`; the queue may hold colons, a type that does needs the queue before it.
fn lane(text: &str) -> Result<LaneShape, String> {
    let (queue, task_type) =
        text.split_once(':').ok_or_else(|| format!("{text:?} is no lane; write it like mail:* or *:mail.send"))?;
    Ok(LaneShape { queue: queue.to_owned(), types: vec![task_type.to_owned()] })
}

/// The id of a key.
async fn id(named: &Named, remote: &Remote) -> Result<String, Failure> {
    named.id(remote, "keys", "key").await
}

impl Key {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let now = MachineClock::start().wall();
        let body = match &self.action {
            Action::Ls => {
                let nothing =
                    "no keys: whoever reaches this server may do everything; make one: tasklane key create --help";
                return listing::show(remote, output, "keys", nothing, |keys: Vec<KeyShape>| table(&keys, now)).await;
            }
            Action::Create(it) => {
                let made = remote.call(Call::post(["keys"]).json(it.request()?)).await;
                return secret(&made.map_err(|failure| failure.or_too_old("make keys"))?, output);
            }
            Action::Rotate(it) => {
                let id = id(&it.key, remote).await?;
                let json = json(&Overlap { overlap: it.overlap.as_deref() })?;
                return secret(&remote.call(Call::post(["keys", &format!("{id}:rotate")]).json(json)).await?, output);
            }
            Action::Show(it) => remote.call(Call::get(["keys", &id(it, remote).await?])).await?,
            Action::Revoke(it) => {
                let id = id(it, remote).await?;
                remote.call(Call::post(["keys", &format!("{id}:revoke")])).await?
            }
            Action::Rm(it) => remote.call(Call::delete(["keys", &id(it, remote).await?])).await?,
        };
        if output.is_for_people() {
            output.table(&table(&[read(&body)?], now))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

impl Create {
    fn request(&self) -> Result<Vec<u8>, Failure> {
        json(&New {
            name: &self.name,
            scopes: &self.scopes,
            tenant: self.tenant.as_deref(),
            user: self.user.as_deref(),
            app: self.app.as_deref(),
            lanes: &self.lanes,
            rate: self.rate,
            expires_at: self.expires_at.as_deref(),
        })
    }
}

/// The secret alone is data: it can be taken into a variable.
fn secret(body: &[u8], output: &Output) -> Result<Exit, Failure> {
    if !output.is_for_people() {
        output.document(body)?;
        return Ok(Exit::Ok);
    }
    let key: KeyShape = read(body)?;
    output.data(key.key.as_deref().unwrap_or_default())?;
    output
        .note(Tone::Dim, &format!("this is the key {}; it is not shown again. Send it as TASKLANE_API_KEY", key.name));
    if let Some(until) = key.old_until {
        output.note(Tone::Dim, &format!("the one before opens until {}", time::format(until)));
    }
    Ok(Exit::Ok)
}

fn table(keys: &[KeyShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["NAME", "SCOPES", "TENANT", "FOR", "LANES", "RATE", "USED", "STATE"]);
    for key in keys {
        let scopes: Vec<_> = key.scopes.iter().map(|it: &Granted| it.as_str()).collect();
        let given: Vec<_> = [&key.user, &key.app].into_iter().flatten().map(String::as_str).collect();
        table.row([
            Cell::from(&key.name),
            scopes.join(",").into(),
            or_none(key.tenant.as_deref()),
            or_none(Some(&*given.join("/")).filter(|it| !it.is_empty())),
            lanes(&key.lanes).into(),
            key.rate.map_or_else(|| "-".to_owned(), |it| format!("{}/{}", it.count, duration::format(it.per))).into(),
            key.used_at.map_or_else(|| "never".to_owned(), |it| relative(&time::format(it), now)).into(),
            state(key, now),
        ]);
    }
    table
}

fn or_none(text: Option<&str>) -> Cell {
    text.unwrap_or("-").into()
}

fn lanes(lanes: &[LaneShape]) -> String {
    let each = lanes.iter().flat_map(|it| it.types.iter().map(move |task_type| format!("{}:{task_type}", it.queue)));
    let all: Vec<_> = each.collect();
    if all.is_empty() { "-".to_owned() } else { listing::names(all.iter().map(String::as_str)) }
}

fn state(key: &KeyShape, now: Timestamp) -> Cell {
    let at = |it: Timestamp| relative(&time::format(it), now);
    match (key.revoked_at, key.expires_at) {
        (Some(revoked), _) => Cell::new(Tone::Bad, format!("✗ revoked {}", at(revoked))),
        (None, Some(expired)) if expired <= now => Cell::new(Tone::Bad, format!("✗ expired {}", at(expired))),
        (None, Some(expires)) => Cell::new(Tone::Good, format!("✓ expires {}", at(expires))),
        (None, None) => Cell::new(Tone::Good, "✓ opens"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::output::Paint;

    #[test]
    fn options_become_members() {
        let words =
            ["tasklane", "key", "create", "n", "--scope", "work", "-s", "read", "--lane", "mail:*", "--rate", "5/1s"];
        let Command::Key(Key { action: Action::Create(it) }) = Arguments::try_parse_from(words).unwrap().command else {
            panic!()
        };
        let want = r#"{"name":"n","scopes":["work","read"],"lanes":[{"queue":"mail","types":["*"]}],"rate":{"count":5,"per":"1s"}}"#;
        assert_eq!(String::from_utf8(it.request().unwrap()).unwrap(), want);
        for wrong in [&["n"][..], &["n", "--scope", "root"], &["n", "--scope", "work", "--lane", "mail"]] {
            let words = ["tasklane", "key", "create"].iter().chain(wrong);
            assert!(Arguments::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_a_row() {
        let now = time::parse("2026-01-31T12:00:00Z").unwrap();
        let key = r#"{"id":"0192f0c1-2345-7abc-8def-0123456789ab","name":"shop","scopes":["submit","read"],"tenant":"acme",
            "created_at":"2026-01-01T00:00:00Z","used_at":"2026-01-31T11:00:00Z","expires_at":"2026-02-01T12:00:00Z"}"#;
        let lines = table(&[read(key.as_bytes()).unwrap()], now).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["shop", "submit,read", "acme", "-", "-", "-", "1h", "ago", "✓", "expires", "in", "1d"]);
    }
}
