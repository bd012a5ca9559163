//! The one room that prints: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::table::Table;

/// What data looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The server's own JSON.
    Json,
    /// One JSON value a line.
    Ndjson,
}

/// Whether colours were forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Where a terminal shows them.
    Auto,
    /// Nowhere.
    Never,
}

/// What a piece of text means; colour never says it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// Under way.
    Busy,
    /// Worth a look.
    Careful,
    /// Less important.
    Dim,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Busy => "36",
            Self::Careful => "33",
            Self::Dim => "2",
        }
    }
}

/// Whether a stream shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// It does.
    Colours,
    /// It shows text only.
    Text,
}

impl Paint {
    /// `text` in `tone`.
    pub(crate) fn apply(self, tone: Tone, text: &str) -> String {
        match (self, tone) {
            (Self::Text, _) | (_, Tone::Plain) => text.to_owned(),
            (Self::Colours, tone) => format!("\x1b[{}m{text}\x1b[0m", tone.code()),
        }
    }
}

/// Where a command's words go.
#[derive(Debug)]
pub(crate) struct Output {
    /// What data looks like.
    pub(crate) format: Format,
    /// How standard output is painted.
    pub(crate) paint: Paint,
    notes: Paint,
    /// Whether a person watches standard error.
    pub(crate) watched: bool,
}

impl Output {
    /// For this process.
    pub(crate) fn new(format: Format, colour: Colour) -> Self {
        let paint = |terminal| if terminal && colour == Colour::Auto { Paint::Colours } else { Paint::Text };
        let watched = io::stderr().is_terminal();
        Self { format, paint: paint(io::stdout().is_terminal()), notes: paint(watched), watched }
    }

    /// A line of data.
    pub(crate) fn data(&self, line: &str) -> Result<(), Failure> {
        self.bytes(line.as_bytes())
    }

    /// A line of data that is passed on as it came.
    pub(crate) fn bytes(&self, line: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).map_err(Failure::from_io)
    }

    /// JSON values: as lines, or joined by the caller's `document`.
    pub(crate) fn items(&self, items: &[Box<RawValue>], document: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Ndjson => items.iter().try_for_each(|item| self.data(item.get())),
            Format::Json | Format::Table => self.data(&document()),
        }
    }

    /// A table.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Failure> {
        table.lines(self.paint).iter().try_for_each(|line| self.data(line))
    }

    /// A line for the person; it is no fault if nobody reads it.
    pub(crate) fn note(&self, tone: Tone, line: &str) {
        let mut err = io::stderr().lock();
        drop(writeln!(err, "{}", self.notes.apply(tone, line)));
    }

    /// A line that the next one replaces; only where a person watches.
    pub(crate) fn status(&self, line: &str) {
        if self.watched {
            let mut err = io::stderr().lock();
            drop(write!(err, "\r\x1b[2K{line}").and_then(|()| err.flush()));
        }
    }

    /// Says what went wrong.
    pub(crate) fn failure(&self, failure: &Failure) {
        let Some(cause) = &failure.cause else { return };
        if failure.exit == Exit::Interrupted {
            return self.note(Tone::Plain, cause);
        }
        let code = failure.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        self.note(Tone::Plain, &format!("{} {cause}{code}", self.notes.apply(Tone::Bad, "error:")));
        for detail in &failure.details {
            self.note(Tone::Plain, &format!("  {detail}"));
        }
        for (name, text) in [("fix:", &failure.remedy), ("request:", &failure.request)] {
            if let Some(text) = text {
                self.note(Tone::Plain, &format!("  {} {text}", self.notes.apply(Tone::Dim, name)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_painted_only_where_colours_are_shown() {
        assert_eq!(Paint::Text.apply(Tone::Bad, "x"), "x");
        assert_eq!(Paint::Colours.apply(Tone::Plain, "x"), "x");
        assert_eq!(Paint::Colours.apply(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
