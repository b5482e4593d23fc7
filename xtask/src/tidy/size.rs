//! Files and functions stay short enough to be read at one sitting.

use crate::source::{Source, body, find_word, is_word, line_of};
use crate::violation::Violation;
use crate::workspace::Package;

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 60;

/// No file is longer than 600 lines.
pub(crate) fn check_files(package: &Package) -> Vec<Violation> {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        let message = format!("{lines} lines, more than {FILE_LINES}: split it by idea");
        (lines > FILE_LINES).then(|| Violation::of(&source.path, message))
    };
    package.sources.iter().filter_map(long).collect()
}

/// No function, head and body, is longer than 60 lines.
pub(crate) fn check_functions(package: &Package) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in &package.sources {
        for function in functions(&source.code) {
            if function.lines > FUNCTION_LINES {
                let Function { name, lines, line } = function;
                let message = format!(
                    "function {name} has {lines} lines, more than {FUNCTION_LINES}: split it"
                );
                violations.push(Violation::at(&source.path, line, message));
            }
        }
    }
    violations
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

fn functions(code: &str) -> impl Iterator<Item = Function<'_>> {
    find_word(code, "fn").filter_map(|start| {
        let name = code.get(start + "fn".len()..)?.trim_start();
        let name = name
            .get(..name.find(|character| !is_word(character))?)
            .filter(|name| !name.is_empty())?;
        let end = body(code, start)?.end;
        let line = line_of(code, start);
        Some(Function { name, line, lines: line_of(code, end) - line + 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    fn function(lines: usize) -> String {
        format!(
            "//! X.\nimpl X {{\n    async fn long(x: [u8; 2]) {{\n{}    }}\n}}\n",
            "        // {\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_file_of_601_lines_is_refused() {
        let long = "// x\n".repeat(601);
        let files = [("long.rs", long.as_str()), ("fits.rs", long.get(5..).unwrap())];
        let found = check_files(&package("podnet-kubenet", &files));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "crates/kubenet/src/long.rs: 601 lines, more than 600: split it by idea"
        );
    }

    #[test]
    fn a_function_of_61_lines_is_refused() {
        let (long, fits) = (function(61), function(60));
        let files = [("long.rs", long.as_str()), ("fits.rs", fits.as_str())];
        let found = check_functions(&package("podnet-kubenet", &files));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "crates/kubenet/src/long.rs:3: function long has 61 lines, more than 60: split it"
        );
    }

    #[test]
    fn function_types_and_heads_without_a_body_have_no_length() {
        let code = format!("type F = fn(u8);{}trait T {{ fn f(&self); }}", "\n".repeat(90));
        assert_eq!(functions(&code).count(), 0);
    }
}
