//! A walker over text that the validator passed: it looks at what is asked for and steps over the rest. It never panics,
//! but on other text its answers mean nothing.

use std::borrow::Cow;

use super::scan;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One value in validated text.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    text: &'a str,
}

impl<'a> Value<'a> {
    /// The value that validated `text` is.
    pub fn new(text: &'a str) -> Self {
        Self { text: text.trim_matches([' ', '\t', '\r', '\n']) }
    }

    /// The value's own text, without white space around it.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The string, borrowed unless it has escapes; `None` if it is none.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        if inside.contains('\\') { serde_json::from_str(self.text).ok().map(Cow::Owned) } else { Some(inside.into()) }
    }

    /// The number, if it is written as a whole one and fits.
    pub fn integer(self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// The number.
    pub fn number(self) -> Option<f64> {
        if self.kind() == Kind::Number { self.text.parse().ok() } else { None }
    }

    /// The truth value.
    pub fn bool(self) -> Option<bool> {
        self.text.parse().ok()
    }

    /// The members of an object, in order, doubles included; `None` if it is none.
    pub fn members(self) -> Option<Members<'a>> {
        (self.kind() == Kind::Object).then_some(Members(Walker { text: self.text, at: 1 }))
    }

    /// The items of an array, in order; `None` if it is none.
    pub fn items(self) -> Option<Items<'a>> {
        (self.kind() == Kind::Array).then_some(Items(Walker { text: self.text, at: 1 }))
    }
}

/// Members of an object: (key, value).
#[derive(Debug, Clone)]
pub struct Members<'a>(Walker<'a>);

/// Items of an array.
#[derive(Debug, Clone)]
pub struct Items<'a>(Walker<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next_value()?.string()?;
        Some((key, self.0.next_value()?))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_value()
    }
}

#[derive(Debug, Clone)]
struct Walker<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walker<'a> {
    /// The next value of this level; separators before it are stepped over.
    #[inline]
    fn next_value(&mut self) -> Option<Value<'a>> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = bytes.get(self.at) {
            self.at += 1;
        }
        let start = self.at;
        self.at = match bytes.get(start)? {
            b'"' => scan::after_string(bytes, start),
            b'{' | b'[' => after_container(bytes, start),
            b'}' | b']' => return None,
            _ => after_scalar(bytes, start),
        };
        self.text.get(start..self.at).map(|text| Value { text })
    }
}

fn after_container(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = scan::after_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

#[inline]
fn after_scalar(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_members_and_items() {
        let text = r#" { "a" : [1, {"b":"]}\"" }, "x"] , "c\u0041":-1.5e3,"d":true, "e":null,"f":{} } "#;
        crate::json::validate(text.as_bytes(), 0).unwrap();
        let members: Vec<_> = Value::new(text).members().unwrap().collect();
        let shown: Vec<_> = members.iter().map(|(key, value)| (&**key, value.text())).collect();
        let items = r#"[1, {"b":"]}\"" }, "x"]"#;
        assert_eq!(shown, [("a", items), ("cA", "-1.5e3"), ("d", "true"), ("e", "null"), ("f", "{}")]);
        let items: Vec<_> = members[0].1.items().unwrap().map(Value::text).collect();
        assert_eq!(items, ["1", r#"{"b":"]}\"" }"#, r#""x""#]);
        assert_eq!(members[1].1.number(), Some(-1500.0));
        assert_eq!(Value::new("[]").items().unwrap().count(), 0);
    }

    #[test]
    fn kinds_are_not_mixed_up() {
        assert_eq!(Value::new("1.0").integer(), None);
        assert_eq!(Value::new("\"1\"").integer(), None);
        assert_eq!(Value::new("\"true\"").bool(), None);
        assert_eq!(Value::new("1").string(), None);
        assert!(Value::new("[]").members().is_none());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String) {
            let value = Value::new(&text);
            value.members().into_iter().flatten().for_each(drop);
            value.items().into_iter().flatten().for_each(drop);
            let _ = (value.string(), value.integer(), value.number());
        }
    }
}
