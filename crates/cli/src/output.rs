//! The one room that prints: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::screen;
use crate::shape::{fields, json, yaml};
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
    /// YAML.
    Yaml,
    /// Ids alone, one a line.
    Id,
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
    format: Format,
    /// The members that are shown alone.
    fields: Vec<String>,
    /// How standard output is painted.
    pub(crate) paint: Paint,
    notes: Paint,
    /// Whether a person watches standard error.
    pub(crate) watched: bool,
}

impl Output {
    /// For this process.
    pub(crate) fn new(format: Format, fields: Vec<String>, colour: Colour) -> Self {
        let fields = if format == Format::Id { vec!["id".to_owned()] } else { fields };
        let paint = |terminal| if terminal && colour == Colour::Auto { Paint::Colours } else { Paint::Text };
        let watched = io::stderr().is_terminal();
        Self { format, fields, paint: paint(io::stdout().is_terminal()), notes: paint(watched), watched }
    }

    /// How standard error is painted.
    pub(crate) fn notes(&self) -> Paint {
        self.notes
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

    /// Whether data is shown as tables and sentences.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Table && self.fields.is_empty()
    }

    /// Whether data is shown as one document, with all that belongs to it.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml) && self.fields.is_empty()
    }

    /// A JSON value.
    pub(crate) fn document(&self, json: &[u8]) -> Result<(), Failure> {
        let text = std::str::from_utf8(json).unwrap_or_default();
        match self.format {
            _ if !self.fields.is_empty() => self.data(&fields::line(text, &self.fields)?),
            Format::Yaml => self.bytes(yaml::of(text)?.trim_end().as_bytes()),
            Format::Ndjson => self.data(&json::compact(text)),
            Format::Json | Format::Table | Format::Id => self.bytes(json),
        }
    }

    /// One JSON value of a series that has no end.
    pub(crate) fn item(&self, json: &str) -> Result<(), Failure> {
        match self.format {
            _ if !self.fields.is_empty() => self.document(json.as_bytes()),
            Format::Yaml => self.data("---").and_then(|()| self.document(json.as_bytes())),
            _ => self.data(&json::compact(json)),
        }
    }

    /// JSON values: one by one, or joined by the caller's `document`.
    pub(crate) fn items(&self, items: &[Box<RawValue>], document: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.is_whole() {
            return self.document(document().as_bytes());
        }
        items.iter().try_for_each(|item| self.document(item.get().as_bytes()))
    }

    /// Values of our own making: one by one, or as an array.
    pub(crate) fn values(&self, values: &[impl Serialize]) -> Result<(), Failure> {
        let failed = |error: serde_json::Error| Failure::new(Exit::Failed, error.to_string());
        let items =
            values.iter().map(serde_json::value::to_raw_value).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let document = serde_json::to_string(&items).map_err(failed)?;
        self.items(&items, || document)
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

    /// Asks a person; yes where nobody is there to be asked.
    pub(crate) fn confirms(&self, question: &str) -> bool {
        if !self.watched || !io::stdin().is_terminal() {
            return true;
        }
        let mut err = io::stderr().lock();
        drop(write!(err, "{question} [y/N] ").and_then(|()| err.flush()));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// A line that the next one replaces; only where a person watches.
    pub(crate) fn status(&self, line: &str) {
        if self.watched {
            let line = screen::cut(line, screen::size(io::stderr()).0);
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
