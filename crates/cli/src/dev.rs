//! `tasklane dev`: a server to try things with, for this machine only.

use std::fs;
use std::path::Path;

use clap::Args;
use tasklane_server::config::flags::{Data, FlagsOf};
use tasklane_server::config::listen::{INSECURE, LISTEN, Taken};
use tasklane_server::config::store::Store;
use tasklane_server::config::{self, log::Log};
use tasklane_server::{Config, Environment, Server, Settings, StartError, runtime, telemetry};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::DEFAULT_URL;

/// Run a server to try things with, for this machine only
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane dev
  tasklane dev --port 9000 --data-dir /tmp/try

If the port is taken, the next free one is. Tasks are kept in ./.tasklane from one start to the next.")]
pub(crate) struct Dev {
    /// Where to listen on this machine [default: 8000]
    #[arg(short, long, value_name = "N")]
    port: Option<u16>,
    #[command(flatten)]
    said: FlagsOf<Data>,
}

/// Where it listens unless told otherwise.
const PORT: u16 = 8000;

impl Dev {
    pub(crate) fn run(self, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
        let settings = self.settings(environment)?;
        telemetry::start(&Log::read(&settings, environment)?)?;
        let config = config(&settings)?;
        config::warn_unread(&settings, environment);
        let (wanted, store) = (config.listen.address.port(), config.store.clone());
        let runtime = runtime::server().map_err(Failure::from_io)?;
        let ended = runtime.block_on(async {
            let server = Server::start(config).await?;
            if let Store::Embedded { dir } = &store {
                keep_out_of_git(dir);
            }
            greet(output, wanted, &server, &store);
            server.run().await
        });
        // Reads that still go on have nobody left to answer.
        runtime.shutdown_background();
        ended?;
        Ok(Exit::Ok)
    }

    /// What files and environment say, but for where it listens.
    fn settings(self, environment: &Environment) -> Result<Settings, StartError> {
        let address = format!("127.0.0.1:{}", self.port.unwrap_or(PORT));
        Settings::load(&self.said.flags.with(&LISTEN, address).with(&INSECURE, "false"), environment)
    }
}

fn config(settings: &Settings) -> Result<Config, StartError> {
    let mut config = Config::read(settings)?;
    config.listen.taken = Taken::Next;
    Ok(config)
}

/// Data to try things with belongs in nobody's commit.
fn keep_out_of_git(dir: &Path) {
    let file = dir.join(".gitignore");
    if !file.exists() {
        // Only a kindness; nothing depends on it.
        let _ = fs::write(file, "*\n");
    }
}

fn greet(output: &Output, wanted: u16, server: &Server, store: &Store) {
    let address = server.address();
    if wanted != 0 && address.port() != wanted {
        let line = format!("port {wanted} is taken by another program; using {}", address.port());
        output.note(Tone::Careful, &line);
    }
    for line in greeting(&format!("http://{address}"), store) {
        output.note(Tone::Plain, &line);
    }
}

fn greeting(url: &str, store: &Store) -> Vec<String> {
    let mut lines = vec![
        format!("Tasklane serves {url}  (tasks are kept in {store})"),
        format!("  tasks    {url}/v1/tasks"),
        format!("  health   {url}/health"),
        format!("  metrics  {url}/metrics"),
        format!("  docs     {url}/docs"),
        "Try in another terminal:".to_owned(),
    ];
    if url != DEFAULT_URL {
        lines.push(format!("  export TASKLANE_URL={url}"));
    }
    lines.extend(
        [
            "  tasklane submit report_generation processing_time=3 pages=5 --wait",
            "  tasklane ls",
            "  tasklane queue ls",
            "Ctrl-C stops it.",
        ]
        .map(str::to_owned),
    );
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;
    use tasklane_server::config::listen::Exposure;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn three_commands_to_try_and_all_parse() {
        let lines = greeting(DEFAULT_URL, &embedded());
        let commands: Vec<_> = lines.iter().filter(|line| line.starts_with("  tasklane ")).collect();
        assert_eq!(commands.len(), 3);
        for command in commands {
            Arguments::try_parse_from(command.split_whitespace()).unwrap();
        }
    }

    fn embedded() -> Store {
        Store::Embedded { dir: ".tasklane".into() }
    }

    #[test]
    fn another_port_is_told_to_the_commands_too() {
        assert!(greeting("http://127.0.0.1:8001", &embedded()).iter().any(|line| line.contains("export TASKLANE_URL")));
        assert!(!greeting(DEFAULT_URL, &embedded()).iter().any(|line| line.contains("export")));
    }

    #[test]
    fn it_listens_here_only_whatever_the_environment_says() {
        let dev = Dev { port: Some(0), said: FlagsOf::default() };
        let environment = Environment::from([("TASKLANE_LISTEN", "0.0.0.0:80"), ("TASKLANE_INSECURE", "true")]);
        let config = config(&dev.settings(&environment).unwrap()).unwrap();
        assert!(config.listen.address.ip().is_loopback());
        assert_eq!((config.listen.exposure, config.listen.taken), (Exposure::Loopback, Taken::Next));
    }
}
