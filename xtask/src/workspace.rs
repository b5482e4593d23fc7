//! The workspace as the checks see it: packages, what they depend on, their files.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo;
use crate::source::Source;

/// The workspace, read once.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Its members, by name.
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// Its name, such as `podnet-kubenet`.
    pub(crate) name: String,
    /// Its folder, relative to the workspace.
    pub(crate) folder: String,
    /// The text of its `Cargo.toml`.
    pub(crate) manifest: String,
    /// What it depends on, members and others.
    pub(crate) dependencies: Vec<Dependency>,
    /// Its Rust files, by path.
    pub(crate) sources: Vec<Source>,
}

/// One line of a dependency table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// Whether only tests and examples need it.
    pub(crate) for_tests: bool,
    /// The features asked for.
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// Reads the workspace that the current folder belongs to.
    pub(crate) fn open() -> Result<Self> {
        let metadata = metadata(&env::current_dir()?)?;
        let root = PathBuf::from(text(&metadata, "workspace_root"));
        let target = PathBuf::from(text(&metadata, "target_directory"));
        let mut packages = Vec::new();
        for value in list(&metadata, "packages") {
            packages.push(Package::read(&root, value)?);
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root, target, packages })
    }

    /// The crates that others link: members below `crates/` with a `lib.rs`.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_library())
    }
}

impl Package {
    fn read(root: &Path, metadata: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(metadata, "manifest_path"));
        let folder = manifest.parent().unwrap_or(root);
        let mut sources = Vec::new();
        collect_sources(root, folder, &mut sources)?;
        Ok(Self {
            name: text(metadata, "name").to_owned(),
            folder: relative(root, folder),
            manifest: read(&manifest)?,
            dependencies: list(metadata, "dependencies").iter().map(Dependency::parse).collect(),
            sources,
        })
    }

    /// Whether it only serves development: nobody links or installs it, so the layers do not bind it.
    pub(crate) fn serves_development(&self) -> bool {
        ["podnet-tests", "xtask"].contains(&self.name.as_str())
    }

    /// Whether others link it.
    pub(crate) fn is_library(&self) -> bool {
        let front_page = format!("{}/src/lib.rs", self.folder);
        self.folder.starts_with("crates/")
            && self.sources.iter().any(|source| source.path == front_page)
    }
}

impl Dependency {
    fn parse(value: &Value) -> Self {
        let features = list(value, "features").iter().filter_map(Value::as_str);
        Self {
            name: text(value, "name").to_owned(),
            for_tests: text(value, "kind") == "dev",
            features: features.map(str::to_owned).collect(),
        }
    }
}

/// Cargo's description of the workspace. Needs no network: nothing is resolved.
fn metadata(folder: &Path) -> Result<Value> {
    let mut command = cargo::command(folder, &["metadata", "--no-deps", "--format-version", "1"]);
    let output =
        command.output().with_context(|| format!("cannot start {}", cargo::quoted(&command)))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}`: {}", cargo::quoted(&command), stderr.trim());
    serde_json::from_slice(&output.stdout).context("cannot read the answer of cargo metadata")
}

fn collect_sources(root: &Path, folder: &Path, into: &mut Vec<Source>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name() != Some(OsStr::new("target")) {
            collect_sources(root, &path, into)?;
        } else if path.extension() == Some(OsStr::new("rs")) {
            into.push(Source::new(relative(root, &path), read(&path)?));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod example {
    //! Packages for the tests of the checks.

    use super::*;

    /// A package below `crates/` with these files in `src/`.
    pub(crate) fn package(name: &str, files: &[(&str, &str)]) -> Package {
        let folder = format!("crates/{}", name.trim_start_matches("podnet-"));
        let source = |(path, text): &(&str, &str)| {
            Source::new(format!("{folder}/src/{path}"), (*text).to_owned())
        };
        Package {
            name: name.to_owned(),
            sources: files.iter().map(source).collect(),
            manifest: "[lints]\nworkspace = true\n".to_owned(),
            folder,
            ..Package::default()
        }
    }

    /// A dependency that is not only for tests.
    pub(crate) fn dependency(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), ..Dependency::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_read_with_its_packages_and_files() {
        let workspace = Workspace::open().unwrap();
        let xtask = workspace.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(xtask.folder, "xtask");
        assert!(xtask.dependencies.iter().any(|dependency| dependency.name == "clap"));
        assert!(xtask.sources.iter().any(|source| source.path == "xtask/src/workspace.rs"));
        assert!(!xtask.is_library());
        assert!(workspace.libraries().any(|package| package.name == "podnet-cni-spec"));
    }

    #[test]
    fn a_dependency_for_tests_is_told_from_one_for_all() {
        let parse = |text| Dependency::parse(&serde_json::from_str(text).unwrap());
        assert!(parse(r#"{"name": "proptest", "kind": "dev"}"#).for_tests);
        let tokio = parse(r#"{"name": "tokio", "kind": null, "features": ["rt"]}"#);
        assert!(!tokio.for_tests);
        assert_eq!(tokio.features, ["rt"]);
    }
}
