//! The terminal: how wide it is, and a picture that is drawn anew in its place.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// How wide and high a terminal is where it does not say.
const USUAL: (usize, usize) = (80, 24);

/// Columns and rows of the terminal behind `stream`.
pub(crate) fn size(stream: impl rustix::fd::AsFd) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(it) if it.ws_col > 0 && it.ws_row > 0 => (it.ws_col.into(), it.ws_row.into()),
        _ => USUAL,
    }
}

/// `text` cut to `width` columns, with a mark where something is missing. Colours are left whole.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let (mut shown, mut columns, mut colour) = (String::new(), 0, false);
    for it in text.chars() {
        match (colour, it) {
            (true, 'm') => colour = false,
            (true, _) => {}
            (false, '\x1b') => colour = true,
            (false, _) if columns + 1 >= width && columns + 1 < visible_width(text) => {
                let ends = if text.contains('\x1b') { "…\x1b[0m" } else { "…" };
                return shown + ends;
            }
            (false, _) => columns += 1,
        }
        shown.push(it);
    }
    shown
}

fn visible_width(text: &str) -> usize {
    let mut colour = false;
    let shown = text.chars().filter(|it| match (colour, it) {
        (true, 'm') => {
            colour = false;
            false
        }
        (true, _) => false,
        (false, '\x1b') => {
            colour = true;
            false
        }
        _ => true,
    });
    shown.count()
}

/// A picture on a screen of its own; dropped, the terminal is what it was.
pub(crate) struct Screen;

impl Screen {
    /// Takes the terminal over, if there is one.
    pub(crate) fn take() -> Option<Self> {
        let terminal = io::stdout().is_terminal();
        terminal.then(|| write("\x1b[?1049h\x1b[?25l").map(|()| Self))?.ok()
    }

    /// Draws the lines from the top, cut to what there is room for.
    pub(crate) fn draw(&self, lines: &[String]) -> Result<(), Failure> {
        let (width, height) = size(io::stdout());
        let mut text = String::from("\x1b[H");
        for line in lines.iter().take(height.saturating_sub(1)) {
            text += &format!("{}\x1b[K\r\n", cut(line, width));
        }
        write(&(text + "\x1b[J")).map_err(Failure::from_io)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = write("\x1b[?25h\x1b[?1049l");
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("\x1b[32mabc\x1b[0mdef", 4), "\x1b[32mabc\x1b[0m…\x1b[0m");
        assert_eq!(cut("\x1b[32mabc\x1b[0m", 3), "\x1b[32mabc\x1b[0m");
    }
}
