//! `tasklane schedule`: rules that make tasks at times.

mod add;
mod show;
mod times;

use clap::{Args, Subcommand};
use tasklane_core::ports::clock::Clock;
use tasklane_server::clock::MachineClock;
use tasklane_wire::schedule::{PreviewShape, RunShape, ScheduleShape};

use self::add::{Add, Set};
use self::times::Times;
use crate::failure::{Exit, Failure};
use crate::listing;
use crate::named::Named;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::task::{Task, read};

/// Have tasks made at times: by a cron pattern, again and again, or once
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List schedules
    #[command(after_help = "\
Examples:
  tasklane schedule ls
  tasklane schedule ls -o ndjson | jq .next_at")]
    Ls,
    /// Show a schedule and its next slots
    #[command(after_help = "\
Examples:
  tasklane schedule show nightly
  tasklane schedule show nightly -o yaml")]
    Show(Named),
    /// Set a schedule up
    #[command(after_help = "\
Examples:
  tasklane schedule add nightly --cron '0 3 * * *' --timezone Europe/Berlin report.generate day={slot.date}
  tasklane schedule add poll --every 30s --overlap skip feed.read
  tasklane schedule add party --at 2030-01-01T00:00:00Z mail.send -f mail.json

A pattern has five fields (minute hour day month weekday), six with seconds first, or is @hourly, @daily, @weekly, @monthly
or @yearly. In the texts of the payload {slot}, {slot.local}, {slot.date}, {slot.time} and {slot.unix} stand for the time of
the slot. Try a pattern first: tasklane schedule preview --cron '...'")]
    Add(Box<Add>),
    /// Change a schedule; what is not said stays
    #[command(after_help = "\
Examples:
  tasklane schedule set nightly --cron '30 4 * * MON-FRI'
  tasklane schedule set poll --overlap queue_one --missed none
  tasklane schedule set poll --ends-at none --name feeds")]
    Set(Box<Set>),
    /// Tell the next slots of a schedule, or of one that is not set up
    #[command(after_help = "\
Examples:
  tasklane schedule preview nightly --count 5
  tasklane schedule preview --cron '30 2 * * *' --timezone America/New_York")]
    Preview(Preview),
    /// Tell what the last slots came to, with their tasks
    #[command(after_help = "\
Examples:
  tasklane schedule runs nightly
  tasklane schedule runs nightly -o ndjson | jq 'select(.outcome != \"made\")'")]
    Runs(Named),
    /// Make a schedule's task now, beside its slots
    #[command(after_help = "\
Examples:
  tasklane schedule run nightly
  tasklane result --wait $(tasklane schedule run nightly)")]
    Run(Named),
    /// Have nothing come of a schedule's slots
    #[command(after_help = "\
Examples:
  tasklane schedule pause nightly")]
    Pause(Named),
    /// Go on with a schedule; what came meanwhile was not missed
    #[command(after_help = "\
Examples:
  tasklane schedule resume nightly")]
    Resume(Named),
    /// Remove a schedule; its tasks stay
    #[command(after_help = "\
Examples:
  tasklane schedule rm nightly")]
    Rm(Named),
}

#[derive(Debug, Args)]
struct Preview {
    /// Its name, or its id; nothing where the times are said here
    #[arg(value_name = "NAME", required_unless_present_any = ["cron", "every", "at"], conflicts_with_all = ["cron", "every", "at"])]
    schedule: Option<String>,
    /// Whose, where several tenants have one of this name
    #[arg(long = "of", value_name = "TENANT")]
    of_tenant: Option<String>,
    #[command(flatten)]
    times: Times,
    /// How many slots
    #[arg(long, value_name = "N", default_value = "10")]
    count: u32,
}

/// The id of a schedule.
async fn id(named: &Named, remote: &Remote) -> Result<String, Failure> {
    named.id(remote, "schedules", "schedule").await
}

async fn act(named: &Named, remote: &Remote, verb: &str) -> Result<Vec<u8>, Failure> {
    let id = id(named, remote).await?;
    remote.call(Call::post(["schedules", &format!("{id}:{verb}")])).await
}

impl Schedule {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let now = MachineClock::start().wall();
        let body = match &self.action {
            Action::Ls => {
                let nothing = "no schedules; set one up: tasklane schedule add --help";
                let table = |schedules: Vec<ScheduleShape>| show::table(&schedules, now);
                return listing::show(remote, output, "schedules", nothing, table).await;
            }
            Action::Show(it) => return show(it, remote, output).await,
            Action::Preview(it) => return preview(it, remote, output).await,
            Action::Runs(it) => return runs(it, remote, output).await,
            Action::Run(it) => return run(it, remote, output).await,
            Action::Add(it) => remote.call(Call::post(["schedules"]).json(it.request()?)).await?,
            Action::Set(it) => {
                let id = id(&it.schedule, remote).await?;
                remote.call(Call::patch(["schedules", &id]).json(it.request()?)).await?
            }
            Action::Pause(it) => act(it, remote, "pause").await?,
            Action::Resume(it) => act(it, remote, "resume").await?,
            Action::Rm(it) => {
                let id = id(it, remote).await?;
                let body = remote.call(Call::delete(["schedules", &id])).await?;
                if !output.is_for_people() {
                    output.document(&body)?;
                }
                output.note(Tone::Dim, &format!("{} is removed; its tasks stay", it.which));
                return Ok(Exit::Ok);
            }
        };
        if output.is_for_people() {
            output.table(&show::table(&[read(&body)?], now))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

async fn show(named: &Named, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let id = id(named, remote).await?;
    let body = remote.call(Call::get(["schedules", &id])).await?;
    if !output.is_for_people() {
        output.document(&body)?;
        return Ok(Exit::Ok);
    }
    let next = remote.call(Call::get(["schedules", &id, "preview"]).query("count", Some(3))).await?;
    show::one(&read(&body)?, &read::<PreviewShape>(&next)?, MachineClock::start().wall(), output)?;
    Ok(Exit::Ok)
}

async fn preview(preview: &Preview, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let count = Some(preview.count);
    let body = match &preview.schedule {
        None => {
            let times = serde_json::to_vec(&preview.times.members())
                .map_err(|it| Failure::new(Exit::Failed, it.to_string()))?;
            let call = Call::post(["schedules:preview"]).query("count", count).json(times);
            remote.call(call).await.map_err(|failure| failure.or_too_old("tell of slots"))?
        }
        Some(schedule) => {
            let named = Named { which: schedule.clone(), of_tenant: preview.of_tenant.clone() };
            let id = id(&named, remote).await?;
            remote.call(Call::get(["schedules", &id, "preview"]).query("count", count)).await?
        }
    };
    if output.is_for_people() {
        output.table(&show::slots(&read(&body)?, MachineClock::start().wall()))?;
    } else {
        output.document(&body)?;
    }
    Ok(Exit::Ok)
}

async fn runs(named: &Named, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let id = id(named, remote).await?;
    let nothing = "no slot has come yet";
    let table = |runs: Vec<RunShape>| show::runs(&runs);
    listing::show_at(remote, output, (&["schedules", &id, "runs"], None), nothing, table).await
}

async fn run(named: &Named, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let body = act(named, remote, "run").await?;
    if output.is_for_people() {
        output.data(&Task::read(&body)?.id)?;
    } else {
        output.document(&body)?;
    }
    Ok(Exit::Ok)
}
