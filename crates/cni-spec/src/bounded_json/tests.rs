//! The bounds on JSON from outside.

use proptest::prelude::*;

use super::*;

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn depth_is_bounded() {
    assert!(parse("x", nested(MAX_DEPTH).as_bytes(), 1000).is_ok());
    let error = parse("x", nested(MAX_DEPTH + 1).as_bytes(), 1000).unwrap_err();
    assert_eq!(error.code, ErrorCode::DECODING_FAILURE);
    assert_eq!(error.msg, "cannot decode x: it is nested deeper than 64");
}

#[test]
fn brackets_in_strings_do_not_count() {
    let text = format!(r#"["\"{}\\", "{}"]"#, "[".repeat(100), "{".repeat(100));
    assert!(parse("x", text.as_bytes(), 1000).is_ok());
}

#[test]
fn size_is_bounded() {
    assert!(parse("x", b"[1, 2]", 6).is_ok());
    assert!(parse("x", b"[1, 2]", 5).is_err());
}

#[test]
fn what_is_no_json_is_refused() {
    for bad in [&b""[..], b"{", b"{} {}", b"\xff", b"]]]]"] {
        let error = parse("x", bad, 1000).unwrap_err();
        assert_eq!(error.code, ErrorCode::DECODING_FAILURE);
    }
}

fn depth(value: &Value) -> usize {
    let deepest = |items: &mut dyn Iterator<Item = &Value>| 1 + items.map(depth).max().unwrap_or(0);
    match value {
        Value::Array(items) => deepest(&mut items.iter()),
        Value::Object(map) => deepest(&mut map.values()),
        _ => 0,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = "[\\[\\]{}\"\\\\a]{0,6}".prop_map(Value::from);
    leaf.prop_recursive(5, 30, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from);
        let map = proptest::collection::btree_map("[\\[{\"\\\\]{0,3}", inner, 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![list, map]
    })
}

proptest! {
    #[test]
    fn the_scan_counts_as_a_parser_does(value in any_json()) {
        let text = value.to_string();
        let depth = depth(&value);
        prop_assert!(!depth_exceeds(text.as_bytes(), depth));
        if depth > 0 {
            prop_assert!(depth_exceeds(text.as_bytes(), depth - 1));
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = parse("x", &bytes, 1000);
    }
}
