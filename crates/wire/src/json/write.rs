//! Writes JSON straight into bytes: answers of a thousand tasks are made without a tree in between.

use tasklane_core::task::TaskId;

use super::scan;

/// An object being written. Keys must need no escapes, but for [`Object::any_key`].
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    next: u8,
}

impl<'o> Object<'o> {
    /// Begins an object.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, next: b'{' }
    }

    /// Writes a key; what is appended to the answer is its value.
    #[inline]
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(&[self.next, b'"']);
        self.next = b',';
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a key that may need escapes.
    pub fn any_key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.push(self.next);
        self.next = b',';
        string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// A member that is JSON already.
    #[inline]
    pub fn raw(&mut self, key: &str, json: &[u8]) {
        self.key(key).extend_from_slice(json);
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, key: &str, text: &str) {
        string(self.key(key), text);
    }

    /// A string that needs no escapes, such as a word or a time.
    #[inline]
    pub fn word(&mut self, key: &str, word: &str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }

    /// An id.
    #[inline]
    pub fn id(&mut self, key: &str, task: TaskId) {
        id(self.key(key), task);
    }

    /// A whole number.
    #[inline]
    pub fn integer(&mut self, key: &str, number: impl Into<i64>) {
        integer(self.key(key), number.into());
    }

    /// A truth value.
    #[inline]
    pub fn bool(&mut self, key: &str, value: bool) {
        self.raw(key, if value { b"true" } else { b"false" });
    }

    /// Ends the object.
    #[inline]
    pub fn end(self) {
        if self.next == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

/// An array being written.
#[derive(Debug)]
pub struct Array<'o> {
    out: &'o mut Vec<u8>,
    next: u8,
}

impl<'o> Array<'o> {
    /// Begins an array.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, next: b'[' }
    }

    /// What is appended to the answer is the next item.
    #[inline]
    pub fn item(&mut self) -> &mut Vec<u8> {
        self.out.push(self.next);
        self.next = b',';
        self.out
    }

    /// Ends the array.
    #[inline]
    pub fn end(self) {
        if self.next == b'[' {
            self.out.push(b'[');
        }
        self.out.push(b']');
    }
}

/// Appends a string with the escapes it needs.
pub fn string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut start = 0;
    loop {
        let end = scan::special(bytes, start);
        out.extend_from_slice(&bytes[start..end]);
        let Some(&byte) = bytes.get(end) else { break };
        escape(out, byte);
        start = end + 1;
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends an id in quotes.
#[inline]
pub fn id(out: &mut Vec<u8>, task: TaskId) {
    let mut text = [b'"'; 38];
    let mut buffer = uuid::Uuid::encode_buffer();
    text[1..37].copy_from_slice(task.0.hyphenated().encode_lower(&mut buffer).as_bytes());
    out.extend_from_slice(&text);
}

/// Appends a whole number.
pub fn integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number; one that JSON cannot write becomes `null`.
pub fn number(out: &mut Vec<u8>, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_objects_and_arrays() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.string("a", "x\"\u{1}");
        object.bool("b", false);
        let mut array = Array::begin(object.key("c"));
        integer(array.item(), -7);
        number(array.item(), 1.5);
        array.end();
        Array::begin(object.key("d")).end();
        Object::begin(object.key("e")).end();
        object.end();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"x\"\u0001","b":false,"c":[-7,1.5],"d":[],"e":{}}"#);
    }

    proptest! {
        #[test]
        fn strings_and_numbers_read_back(text: String, whole: i64, id_bits: u128) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            out.clear();
            integer(&mut out, whole);
            prop_assert_eq!(serde_json::from_slice::<i64>(&out).unwrap(), whole);
            out.clear();
            let task = TaskId(uuid::Uuid::from_u128(id_bits));
            id(&mut out, task);
            prop_assert_eq!(serde_json::from_slice::<TaskId>(&out).unwrap(), task);
        }
    }
}
