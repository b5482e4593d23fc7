//! Nothing unfinished and nothing switched off is kept.

use crate::source::{Source, find_word, line_of};
use crate::violation::Violation;
use crate::workspace::Package;

const IN_CODE: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const IN_COMMENTS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];
const SWITCHED_OFF: &[&str] = &["```ignore", "```rust,ignore", "```compile_fail,ignore"];

/// No placeholder, no debugging aid, no ignored test.
pub(crate) fn check_code(package: &Package) -> Vec<Violation> {
    let check = |source: &Source| {
        let mut found = marked(source, &source.code, IN_CODE);
        let ignored = source.code.match_indices("#[ignore");
        let message = "an ignored test proves nothing: let it run, or skip aloud where a peer's program is missing";
        let violation =
            |offset| Violation::at(&source.path, line_of(&source.code, offset), message);
        found.extend(ignored.map(|(offset, _)| violation(offset)));
        found
    };
    package.sources.iter().flat_map(check).collect()
}

/// No note about work left over, no example that is not compiled.
pub(crate) fn check_comments(package: &Package) -> Vec<Violation> {
    let check = |source: &Source| {
        let mut found = marked(source, &source.comments, IN_COMMENTS);
        for (number, line) in source.comments.lines().enumerate() {
            if SWITCHED_OFF.iter().any(|fence| line.trim_end().ends_with(fence)) {
                let message =
                    "an ignored example proves nothing: let it compile, or call it `text`";
                found.push(Violation::at(&source.path, number + 1, message));
            }
        }
        found
    };
    package.sources.iter().flat_map(check).collect()
}

fn marked(source: &Source, text: &str, marks: &[&str]) -> Vec<Violation> {
    let mut found = Vec::new();
    for mark in marks {
        for offset in find_word(text, mark) {
            let message = format!("{mark} marks unfinished work: finish it, or file an issue");
            found.push(Violation::at(&source.path, line_of(text, offset), message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    fn lines(check: fn(&Package) -> Vec<Violation>, text: &str) -> Vec<usize> {
        check(&package("podnet-kubenet", &[("pod.rs", text)]))
            .iter()
            .map(|found| found.line)
            .collect()
    }

    #[test]
    fn unfinished_code_and_ignored_tests_are_refused() {
        let text = "todo!();\ndbg!(x);\nunimplemented!();\n#[ignore = \"slow\"]\n// todo!()\nlet s = \"dbg!\";\n";
        let mut found = lines(check_code, text);
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, 4]);
    }

    #[test]
    fn notes_about_work_left_over_and_ignored_examples_are_refused() {
        let text = "// FIXME: x\n/// XXX\nlet s = \"TODO\";\n/// ```ignore\n/// ```\n// XXXXXX\n";
        assert_eq!(lines(check_comments, text), [1, 2, 4]);
    }
}
