//! A program that does nothing: what every start costs, and no plugin can do without.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo;
use crate::dist::Way;

const SOURCE: &str = "fn main() { print!(\"{{}}\") }\n";

/// Builds it as our programs are released: a static file without symbols.
pub(super) fn build(way: &Way, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (source, program) = (folder.join("empty.rs"), folder.join("empty"));
    fs::write(&source, SOURCE).with_context(|| format!("cannot write {}", source.display()))?;
    let mut command = way.rustc();
    command.args(["-C", "opt-level=3", "-C", "lto=fat", "-C", "strip=symbols", "-o"]);
    cargo::succeed(command.arg(&program).arg(&source))?;
    Ok(program)
}
