//! Every file says what it is, is named for an idea, and a crate's front page holds no logic.

use crate::source::{Source, find_word, line_of};
use crate::violation::Violation;
use crate::workspace::Package;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "data", "info", "manager"];

/// Every file opens with `//!`.
pub(crate) fn check_front_lines(package: &Package) -> Vec<Violation> {
    let silent = package.sources.iter().filter(|source| !source.text.starts_with("//! "));
    silent
        .map(|source| Violation::at(&source.path, 1, "open the file with `//!` and what it is for"))
        .collect()
}

/// No `mod.rs`, and no file or folder whose name says nothing.
pub(crate) fn check_names(package: &Package) -> Vec<Violation> {
    let misnamed = |source: &Source| {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        let name = parts.find(|part| *part == "mod" || EMPTY_NAMES.contains(part))?;
        let message = match name {
            "mod" => "no mod.rs: `x.rs` stands beside its folder `x/`".to_owned(),
            name => format!("`{name}` says nothing: name it for the idea inside"),
        };
        Some(Violation::of(&source.path, message))
    };
    package.sources.iter().filter_map(misnamed).collect()
}

/// No function in a library's `lib.rs`.
pub(crate) fn check_front_pages(package: &Package) -> Vec<Violation> {
    let front_page = format!("{}/src/lib.rs", package.folder);
    let source = package.sources.iter().find(|source| source.path == front_page);
    let Some(source) = source.filter(|_| package.is_library()) else {
        return Vec::new();
    };
    let code = source.production();
    let message = "lib.rs is the front page and has no logic: move the function into a module";
    find_word(&code, "fn")
        .map(|offset| Violation::at(&source.path, line_of(&code, offset), message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    fn paths(violations: &[Violation]) -> Vec<&str> {
        violations
            .iter()
            .map(|found| found.path.trim_start_matches("crates/kubenet/src/"))
            .collect()
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_refused() {
        let files = [
            ("a.rs", "//! Says.\n"),
            ("b.rs", "use x;\n"),
            ("c.rs", "\n//! Late.\n"),
            ("d.rs", "//!\n"),
        ];
        assert_eq!(
            paths(&check_front_lines(&package("podnet-kubenet", &files))),
            ["b.rs", "c.rs", "d.rs"]
        );
    }

    #[test]
    fn mod_rs_and_empty_names_are_refused() {
        let files = ["pod.rs", "pod/mod.rs", "util.rs", "common/pod.rs", "plugin_manager.rs"]
            .map(|path| (path, ""));
        let found = check_names(&package("podnet-kubenet", &files));
        assert_eq!(paths(&found), ["pod/mod.rs", "util.rs", "common/pod.rs"]);
    }

    #[test]
    fn logic_on_the_front_page_is_refused() {
        let example = "//! Kubenet.\n//! ```\n//! fn f() {}\n//! ```\npub use pod::Pod;\n";
        assert_eq!(check_front_pages(&package("podnet-kubenet", &[("lib.rs", example)])), []);
        let logic = format!("{example}pub fn f() {{}}\n");
        let found = check_front_pages(&package(
            "podnet-kubenet",
            &[("lib.rs", &logic), ("pod.rs", "fn f() {}")],
        ));
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [6]);
    }
}
