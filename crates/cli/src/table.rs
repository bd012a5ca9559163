//! Columns for people. A cell's control characters are shown, not obeyed: names come from anybody.

use crate::output::{Paint, Tone};

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// What it shows.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same, filled up with blanks to this many columns.
    pub(crate) fn wide(self, columns: usize) -> Self {
        Self { text: format!("{:<columns$}", self.text), ..self }
    }

    /// Text with a meaning.
    pub(crate) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: visible(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// `text` without the power to move a cursor or change a colour.
pub(crate) fn visible(text: &str) -> String {
    text.chars().flat_map(|it| if it.is_control() { it.escape_default().collect() } else { vec![it] }).collect()
}

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| Cell::new(Tone::Dim, title)).collect()] }
    }

    /// A table of names and values, without a head.
    pub(crate) fn plain() -> Self {
        Self { rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, columns aligned, two blanks between them, none at the end.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let widths = self.widths();
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&paint.apply(cell.tone, &cell.text));
                if place + 1 < row.len() {
                    let gap = width - cell.text.chars().count() + 2;
                    line.push_str(&" ".repeat(gap));
                }
            }
            line
        };
        self.rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.text.chars().count())
        };
        (0..columns).map(|column| width(column).max().unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row([Cell::new(Tone::Good, "é"), "queued".into()]);
        table.row(["longer".into(), "running".into()]);
        assert_eq!(table.lines(Paint::Text), ["NAME    STATE", "é       queued", "longer  running"]);
        assert!(table.lines(Paint::Colours)[1].contains("\x1b[32mé\x1b[0m       "));
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(visible("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
