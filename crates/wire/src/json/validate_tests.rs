use proptest::prelude::*;

use super::*;

fn reason(bytes: &[u8]) -> Option<(usize, Reason)> {
    validate(bytes, 0).err().map(|it| (it.offset, it.reason))
}

#[test]
fn refuses_what_json_does_not_have_and_says_where() {
    let cases: &[(&[u8], usize, Reason)] = &[
        (b"", 0, Reason::End),
        (b"  ", 2, Reason::End),
        (b"{", 1, Reason::End),
        (b"[1,", 3, Reason::End),
        (b"[1,]", 3, Reason::Unexpected),
        (b"[,1]", 1, Reason::Unexpected),
        (b"[1}", 2, Reason::Unexpected),
        (b"{\"a\":1]", 6, Reason::Unexpected),
        (b"{\"a\" 1}", 5, Reason::Unexpected),
        (b"{a:1}", 1, Reason::Unexpected),
        (b"{\"a\":1,}", 7, Reason::Unexpected),
        (b"1 2", 2, Reason::Trailing),
        (b"01", 1, Reason::Trailing),
        (b"-", 1, Reason::End),
        (b"1.", 2, Reason::End),
        (b".5", 0, Reason::Unexpected),
        (b"+1", 0, Reason::Unexpected),
        (b"1e+", 3, Reason::End),
        (b"NaN", 0, Reason::Unexpected),
        (b"tru", 3, Reason::End),
        (b"trux", 3, Reason::Unexpected),
        (b"\xef\xbb\xbf1", 0, Reason::Unexpected),
        (b"'a'", 0, Reason::Unexpected),
        (b"\"a", 2, Reason::End),
        (b"\"a\n\"", 2, Reason::Control),
        (b"\"\\x\"", 1, Reason::Escape),
        (b"\"\\u12g4\"", 5, Reason::Escape),
        (b"\"\\", 2, Reason::End),
        (b"[\"\xff\"]", 2, Reason::Utf8),
        (b"[1}\"\xff\"]", 2, Reason::Unexpected),
        (b"\"\xed\xa0\x80\"", 1, Reason::Utf8),
    ];
    for (bytes, offset, why) in cases {
        assert_eq!(reason(bytes), Some((*offset, *why)), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn refuses_what_cannot_be_kept() {
    assert_eq!(reason(b"[1e400]"), Some((1, Reason::Range)));
    assert_eq!(reason(b"-1e309"), Some((0, Reason::Range)));
    assert_eq!(reason("9".repeat(309).as_bytes()), None.or(Some((0, Reason::Range))));
    assert_eq!(reason("9".repeat(308).as_bytes()), None);
    assert_eq!(reason(b"1e308"), None);
    assert_eq!(reason(b"1e-400"), None);
    for half in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#, r#""\udc00\ud800""#] {
        assert_eq!(reason(half.as_bytes()), Some((1, Reason::Surrogate)), "{half}");
    }
    assert_eq!(reason(br#""\ud83d\ude00""#), None);
    assert_eq!(reason(br#""\u0000""#), None);
}

#[test]
fn counts_levels_of_the_payload_alone() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(reason(nested(DEPTH).as_bytes()), None);
    assert_eq!(reason(nested(DEPTH + 1).as_bytes()), Some((DEPTH, Reason::Depth)));
    assert!(validate(nested(DEPTH + 3).as_bytes(), 3).is_ok());
    assert!(validate(nested(DEPTH + 4).as_bytes(), 3).is_err());
    assert_eq!(reason("[".repeat(1_000_000).as_bytes()), Some((DEPTH, Reason::Depth)));
}

#[test]
fn remembers_what_each_level_is() {
    let mixed = |depth: usize| (0..depth).map(|it| if it % 3 == 0 { "[" } else { "{\"a\":" }).collect::<String>();
    let closing = |depth: usize| (0..depth).rev().map(|it| if it % 3 == 0 { "]" } else { "}" }).collect::<String>();
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 256] {
        let text = format!("{}0{}", mixed(depth), closing(depth));
        assert!(validate(text.as_bytes(), DEPTH).is_ok(), "{depth}");
    }
}

#[test]
fn lines_stand_alone_and_offsets_count_from_the_start() {
    let texts: Vec<_> = validate_lines(b"1\r\n\n {} \n[2]\n", 0).map(Result::unwrap).collect();
    assert_eq!(texts, ["1\r", " {} ", "[2]"]);
    let last = validate_lines(b"1\n\n2 x\n3", 0).last().unwrap();
    assert_eq!(last, Err(JsonError { offset: 5, reason: Reason::Trailing }));
    assert_eq!(validate_lines(b"{\n}", 0).last().unwrap().unwrap_err().reason, Reason::End);
}

/// Text that is often nearly JSON.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"a\":".to_owned()),
        Just(" ".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        "\"[a-z\u{e9}\u{1F600}]{0,12}\"",
        r#""\\(u[0-9a-fA-F]{4}|[bfnrt"/x])""#,
        "-?[0-9]{1,3}",
        "-?(0|[1-9])(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,3})?",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
        ]
    })
}

fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    prop_assert_eq!(validate(bytes, 0).is_ok(), theirs.is_ok(), "{:?} {:?}", String::from_utf8_lossy(bytes), theirs);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_what_is_nearly_json(text in nearly_json()) {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn takes_what_serde_json_writes(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(validate(&text, 0).map(str::as_bytes), Ok(&text[..]));
    }

    #[test]
    fn agrees_with_serde_json_on_json_with_a_byte_changed(value in json(), place: prop::sample::Index, byte: u8) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let place = place.index(text.len());
        text[place] = byte;
        agrees(&text)?;
    }
}
