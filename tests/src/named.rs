//! The tests that documents name, `podnet_cni_spec::name::tests::x`, looked for in the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the workspace").to_owned()
}

/// The tests that the rows of a text's tables name, each between backquotes.
#[must_use]
pub fn named_in(text: &str) -> Vec<&str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted.filter(|word| word.starts_with("podnet") && word.contains("::")).collect()
}

/// Whether a function of this name is marked as a test, in the module that its path says.
///
/// The first part is the crate; for a test in a crate's `tests` folder the next one is the test program.
#[must_use]
pub fn exists(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    let [package, modules @ .., test] = parts.as_slice() else { return false };
    let package = package.trim_start_matches("podnet_").replace('_', "-");
    let folder =
        workspace().join(if package == "tests" { package } else { format!("crates/{package}") });
    ["src", "tests"].iter().any(|kind| is_in(&folder.join(kind), modules, test))
}

/// The module is a file, or is written inside the file of one above it.
fn is_in(root: &Path, modules: &[&str], test: &str) -> bool {
    (1..=modules.len()).rev().any(|depth| {
        let (above, inside) = modules.split_at(depth);
        let mut file = above.iter().fold(root.to_owned(), |path, module| path.join(module));
        file.set_extension("rs");
        fs::read_to_string(file).is_ok_and(|source| {
            let written = |module: &&str| source.contains(&format!("mod {module} {{"));
            inside.iter().all(written) && has_test(&source, test)
        })
    })
}

fn has_test(source: &str, test: &str) -> bool {
    let head = format!("fn {test}(");
    let mut marked = false;
    for line in source.lines().map(str::trim_start) {
        if line.trim_start_matches("async ").starts_with(&head) {
            return marked;
        }
        marked = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    }
    false
}
