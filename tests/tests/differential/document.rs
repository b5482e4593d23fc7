//! docs/differences.md: its rows, each with the observables in which it shows.

use std::fs;

use podnet_tests::named::workspace;

/// A row: its id and the patterns of the differences that it justifies.
#[derive(Debug)]
pub(crate) struct Row {
    id: String,
    patterns: Vec<String>,
}

impl Row {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn justifies(&self, difference: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, difference))
    }

    /// `| D-01 | theirs | ours | why | observables |`, the last ones between backquotes.
    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, theirs, ours, why, observables] = cells.as_slice() else { return None };
        let id = id.strip_prefix("D-").map(|_| (*id).to_owned())?;
        assert!([theirs, ours, why].iter().all(|cell| !cell.is_empty()), "{id} has an empty cell");
        let patterns: Vec<String> =
            observables.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!patterns.is_empty(), "{id} names no observable");
        Some(Self { id, patterns })
    }
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let text = fs::read_to_string(workspace().join("docs/differences.md")).unwrap();
    let rows: Vec<Row> = text.lines().filter_map(Row::parse).collect();
    let lines = text.lines().filter(|line| line.starts_with("| D-")).count();
    assert_eq!(rows.len(), lines, "a row does not have five cells");
    rows
}

/// Whether the text is the pattern, in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn a_star_stands_for_anything() {
    let cases = [
        ("a.b: 1 -> 2", "a.b: 1 -> 2", true),
        ("a.*: 1 -> 2", "a.b.c: 1 -> 2", true),
        ("*.b: *", "a.b: 1 -> 2", true),
        ("*.b", "a.b: 1 -> 2", false),
        ("a", "a.b", false),
        ("*a*b", "xaxab", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
