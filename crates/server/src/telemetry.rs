//! The log goes to standard error: pretty where a person reads it, JSON where a program does.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::log::{Colour, Format, Log};

/// Starts the log of this process. A second call changes nothing.
pub fn start(log: Log) {
    let terminal = stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal { Format::Pretty } else { Format::Json });
    let lines = fmt().with_writer(stderr).with_max_level(LevelFilter::from_level(log.level)).with_target(false);
    // The first subscriber wins; a test that started one already keeps it.
    let _started = match format {
        Format::Pretty => lines.compact().with_ansi(terminal && log.colour == Colour::Allowed).try_init(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}
