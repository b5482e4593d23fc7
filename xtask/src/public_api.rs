//! The public API of every library crate as a text file under `xtask/public-api`, so that a change of it shows in
//! review.
//!
//! The listing is gathered from the source: what says `pub`, in the order of the files. The lint `unreachable_pub` sees
//! to it that what says `pub` is public.

mod listing;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::violation::Violation;
use crate::workspace::{Package, Workspace};

const FOLDER: &str = "xtask/public-api";

/// Compares what is there with what was blessed.
pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let compared = |package: &Package| {
        let path = file(package);
        let blessed = fs::read_to_string(workspace.root.join(&path)).unwrap_or_default();
        compare(&path, &blessed, &listing(package))
    };
    workspace.libraries().filter_map(compared).chain(strays(workspace)).collect()
}

/// Writes the present API of every library crate, and removes what belongs to none.
pub(crate) fn bless(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for stray in strays(workspace) {
        fs::remove_file(workspace.root.join(&stray.path))
            .with_context(|| format!("cannot remove {}", stray.path))?;
    }
    for package in workspace.libraries() {
        let path = file(package);
        fs::write(workspace.root.join(&path), listing(package))
            .with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

fn file(package: &Package) -> String {
    format!("{FOLDER}/{}.txt", package.name)
}

/// The API of one crate, file by file.
fn listing(package: &Package) -> String {
    let mut listing = String::new();
    for source in &package.sources {
        let items = listing::items(&source.production());
        if !items.is_empty() && source.path.starts_with(&format!("{}/src/", package.folder)) {
            listing.extend(["# ", &source.path, "\n", &items, "\n"]);
        }
    }
    listing
}

fn compare(path: &str, blessed: &str, present: &str) -> Option<Violation> {
    let mut pairs = blessed.lines().map(Some).chain(std::iter::repeat(None)).zip(present.lines());
    let first = pairs.position(|(blessed, present)| blessed != Some(present));
    let line = first.unwrap_or_else(|| present.lines().count());
    let word = |text: &str| {
        text.lines()
            .nth(line)
            .map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", line.trim()))
    };
    (blessed != present).then(|| {
        let change = format!("was {}, is {}", word(blessed), word(present));
        let message =
            format!("the public API has changed ({change}): cargo xtask public-api --bless");
        Violation::at(path, line + 1, message)
    })
}

/// Files of crates that are gone.
fn strays(workspace: &Workspace) -> Vec<Violation> {
    let known: Vec<PathBuf> =
        workspace.libraries().map(|package| workspace.root.join(file(package))).collect();
    let entries = fs::read_dir(workspace.root.join(FOLDER)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| !known.contains(path));
    let name =
        |path: PathBuf| path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
    paths
        .map(|path| {
            Violation::of(
                &name(path),
                "no library crate has this name: cargo xtask public-api --bless",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    #[test]
    fn a_listing_goes_file_by_file_and_leaves_tests_out() {
        let files = [
            ("name.rs", "pub struct Name;\n"),
            ("quiet.rs", "fn f() {}"),
            ("tests.rs", "pub fn t() {}"),
        ];
        let expected = "# crates/cni-spec/src/name.rs\npub struct Name\n\n";
        assert_eq!(listing(&package("podnet-cni-spec", &files)), expected);
    }

    #[test]
    fn a_changed_api_is_found_where_it_first_differs() {
        let cases = [
            ("a\nb\n", "a\nb\n", None),
            ("a\nb\n", "a\nc\n", Some((2, "was `b`, is `c`"))),
            ("a\n", "a\nb\n", Some((2, "was nothing, is `b`"))),
            ("a\nb\n", "a\n", Some((2, "was `b`, is nothing"))),
            ("", "a\n", Some((1, "was nothing, is `a`"))),
        ];
        for (blessed, present, expected) in cases {
            let found = compare("x.txt", blessed, present);
            assert_eq!(found.as_ref().map(|found| found.line), expected.map(|(line, _)| line));
            let message = found.map(|found| found.message).unwrap_or_default();
            assert!(
                message.contains(expected.map(|(_, text)| text).unwrap_or_default()),
                "{message}"
            );
        }
    }
}
