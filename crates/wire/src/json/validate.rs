//! The one validator: RFC 8259, and besides it what storage and other languages could not keep: numbers beyond a double,
//! nesting beyond [`DEPTH`], escapes of half a surrogate pair. One pass, no recursion, no allocation.

use std::fmt;

use thiserror::Error;

use super::scan;

/// Deepest nesting of arrays and objects in one payload or result.
pub const DEPTH: usize = 128;

/// Why bytes are not JSON that Tasklane takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// The place of the first byte that is wrong, from 0.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The text ends where something must follow.
    End,
    /// A byte that cannot stand there.
    Unexpected,
    /// Something follows the value.
    Trailing,
    /// Not UTF-8.
    Utf8,
    /// A control character that must be escaped.
    Control,
    /// An escape that JSON does not have.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// A number that no double can hold.
    Range,
    /// Arrays and objects nested deeper than allowed.
    Depth,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the JSON ends too early",
            Self::Unexpected => "unexpected character",
            Self::Trailing => "unexpected character after the end of the JSON value",
            Self::Utf8 => "not UTF-8",
            Self::Control => "a control character in a string must be escaped",
            Self::Escape => "not an escape that JSON has",
            Self::Surrogate => "half of a surrogate pair is not a character",
            Self::Range => "the number is out of range",
            Self::Depth => "nested deeper than 128 levels",
        })
    }
}

/// Validates one JSON value and answers with it as text. `envelope` is how many levels of `bytes` do not count against
/// [`DEPTH`], because they hold payloads and are none (at most [`DEPTH`]).
///
/// # Errors
/// The first byte that is wrong.
pub fn validate(bytes: &[u8], envelope: usize) -> Result<&str, JsonError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Validator::new(bytes, envelope).run().map(|()| text),
        Err(error) => {
            let offset = error.valid_up_to();
            // What is wrong before the first bad byte comes first; a text that merely stops there is not.
            let before = Validator::new(&bytes[..offset], envelope).run().err();
            let before = before.filter(|it| it.offset < offset && it.reason != Reason::End);
            Err(before.unwrap_or(JsonError { offset, reason: Reason::Utf8 }))
        }
    }
}

/// Validates newline-delimited JSON and answers with each line's value as text; empty lines are skipped.
///
/// # Errors
/// The first byte that is wrong, counted from the start of `bytes`; nothing follows it.
pub fn validate_lines(bytes: &[u8], envelope: usize) -> impl Iterator<Item = Result<&str, JsonError>> {
    let mut start = 0;
    let mut failed = false;
    bytes.split(|it| *it == b'\n').filter_map(move |line| {
        let first = start;
        start += line.len() + 1;
        if failed || line.iter().all(|it| matches!(it, b' ' | b'\t' | b'\r')) {
            return None;
        }
        let value = validate(line, envelope).map_err(|error| JsonError { offset: first + error.offset, ..error });
        failed = value.is_err();
        Some(value)
    })
}

struct Validator<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    most: usize,
    /// One bit a level, the innermost lowest: set for an object. `outer` takes what falls off the top of `inner`.
    inner: u128,
    outer: u128,
}

type Checked = Result<(), JsonError>;

impl<'a> Validator<'a> {
    fn new(bytes: &'a [u8], envelope: usize) -> Self {
        Self { bytes, at: 0, depth: 0, most: DEPTH + envelope.min(DEPTH), inner: 0, outer: 0 }
    }

    fn run(mut self) -> Checked {
        loop {
            self.value()?;
            if self.ends()? {
                return Ok(());
            }
        }
    }

    /// A scalar, an empty container, or the beginning of containers up to and with their first scalar.
    #[inline]
    fn value(&mut self) -> Checked {
        loop {
            match self.next_byte()? {
                b'"' => return self.string(),
                b'{' => {
                    self.open(1)?;
                    if self.next_byte()? == b'}' {
                        self.close();
                        return Ok(());
                    }
                    self.key()?;
                }
                b'[' => {
                    self.open(0)?;
                    if self.next_byte()? == b']' {
                        self.close();
                        return Ok(());
                    }
                }
                b'-' | b'0'..=b'9' => return self.number(),
                b't' => return self.word(b"true"),
                b'f' => return self.word(b"false"),
                b'n' => return self.word(b"null"),
                _ => return self.wrong(Reason::Unexpected),
            }
        }
    }

    /// What follows a value: the ends of containers, then a comma, or the end of the text.
    #[inline]
    fn ends(&mut self) -> Result<bool, JsonError> {
        while self.depth > 0 {
            let object = self.inner & 1 == 1;
            match self.next_byte()? {
                b',' => {
                    self.at += 1;
                    if object {
                        self.next_byte()?;
                        self.key()?;
                    }
                    return Ok(false);
                }
                b'}' if object => self.close(),
                b']' if !object => self.close(),
                _ => return self.wrong(Reason::Unexpected).map(|()| false),
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() { self.wrong(Reason::Trailing).map(|()| true) } else { Ok(true) }
    }

    /// A key and its colon; `at` stands on what should be its quote.
    #[inline]
    fn key(&mut self) -> Checked {
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.wrong(Reason::Unexpected);
        }
        self.string()?;
        if self.next_byte()? != b':' {
            return self.wrong(Reason::Unexpected);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Checked {
        self.at += 1;
        loop {
            self.at = scan::special(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.wrong(Reason::Control),
                None => return self.wrong(Reason::End),
            }
        }
    }

    fn escape(&mut self) -> Checked {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                return Ok(());
            }
            Some(b'u') => {}
            Some(_) => return self.wrong(Reason::Escape),
            None => return self.wrong_at(self.bytes.len(), Reason::End),
        }
        let unit = self.unit(start)?;
        self.at += 6;
        match unit {
            0xd800..=0xdbff if self.bytes.get(self.at..self.at + 2) != Some(br"\u") => {
                self.wrong_at(start, Reason::Surrogate)
            }
            0xd800..=0xdbff => match self.unit(self.at)? {
                0xdc00..=0xdfff => {
                    self.at += 6;
                    Ok(())
                }
                _ => self.wrong_at(start, Reason::Surrogate),
            },
            0xdc00..=0xdfff => self.wrong_at(start, Reason::Surrogate),
            _ => Ok(()),
        }
    }

    /// The four hexadecimal digits of the `\u` at `start`.
    fn unit(&self, start: usize) -> Result<u32, JsonError> {
        let mut unit = 0;
        for place in start + 2..start + 6 {
            let Some(byte) = self.bytes.get(place) else {
                return Err(JsonError { offset: self.bytes.len(), reason: Reason::End });
            };
            let digit = char::from(*byte).to_digit(16);
            unit = unit << 4 | digit.ok_or(JsonError { offset: place, reason: Reason::Escape })?;
        }
        Ok(unit)
    }

    #[inline]
    fn number(&mut self) -> Checked {
        let start = self.at;
        if self.bytes[start] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        let whole = self.at - start;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // A double reaches to 1.8e308: fewer digits before the point are finite without looking.
        if exponent || whole > 308 { self.finite(start) } else { Ok(()) }
    }

    fn finite(&self, start: usize) -> Checked {
        let text = std::str::from_utf8(&self.bytes[start..self.at]).ok();
        match text.and_then(|it| it.parse::<f64>().ok()) {
            Some(number) if number.is_finite() => Ok(()),
            _ => self.wrong_at(start, Reason::Range),
        }
    }

    #[inline]
    fn digits(&mut self) -> Checked {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.wrong(Reason::Unexpected) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Checked {
        for expected in word {
            if self.bytes.get(self.at) != Some(expected) {
                return self.wrong(Reason::Unexpected);
            }
            self.at += 1;
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, object: u128) -> Checked {
        if self.depth == self.most {
            return self.wrong(Reason::Depth);
        }
        self.at += 1;
        self.depth += 1;
        self.outer = self.outer << 1 | self.inner >> 127;
        self.inner = self.inner << 1 | object;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.inner = self.inner >> 1 | self.outer << 127;
        self.outer >>= 1;
    }

    /// The next byte that is no white space; `at` stands on it.
    #[inline]
    fn next_byte(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.bytes.get(self.at).copied().ok_or(JsonError { offset: self.at, reason: Reason::End })
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[cold]
    fn wrong(&self, reason: Reason) -> Checked {
        let reason = if self.at >= self.bytes.len() { Reason::End } else { reason };
        self.wrong_at(self.at.min(self.bytes.len()), reason)
    }

    #[cold]
    fn wrong_at(&self, offset: usize, reason: Reason) -> Checked {
        Err(JsonError { offset, reason })
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
