//! Two records beside each other: what is different, and which row of the document says so.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::document::Row;

/// One difference, as `path: theirs -> ours`.
pub(crate) type Difference = String;

const NOTHING: &str = "nothing";

/// Every leaf that is not the same in both.
pub(crate) fn differences(theirs: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", theirs, ours, &mut found);
    found
}

fn walk(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<Difference>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (theirs, ours) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let side = |object: &serde_json::Map<String, Value>| {
                    object.get(key).cloned().unwrap_or_else(|| Value::from(NOTHING))
                };
                walk(&below(key), &side(one), &side(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for index in 0..one.len().max(other.len()) {
                let side = |list: &[Value]| {
                    list.get(index).cloned().unwrap_or_else(|| Value::from(NOTHING))
                };
                walk(&below(&index.to_string()), &side(one), &side(other), found);
            }
        }
        _ if theirs == ours => {}
        _ => found.push(format!("{path}: {} -> {}", text(theirs), text(ours))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The differences that none of these rows justifies, and the rows that justify one.
pub(crate) fn judge<'a>(
    differences: Vec<Difference>,
    rows: &[&'a Row],
) -> (Vec<Difference>, BTreeSet<&'a str>) {
    let mut seen = BTreeSet::new();
    let mut left = Vec::new();
    for difference in differences {
        let matching: Vec<_> = rows.iter().filter(|row| row.justifies(&difference)).collect();
        if matching.is_empty() {
            left.push(difference);
        }
        seen.extend(matching.into_iter().map(|row| row.id()));
    }
    (left, seen)
}

#[test]
fn every_leaf_that_differs_is_told_with_its_path() {
    let theirs = serde_json::json!({ "a": [1, 2], "b": { "c": "x" }, "d": null });
    let ours = serde_json::json!({ "a": [1], "b": { "c": "y" }, "d": null, "e": {} });
    let found = differences(&theirs, &ours);
    assert_eq!(found, ["a.1: 2 -> nothing", "b.c: x -> y", "e: nothing -> {}"]);
}
