//! What happens in one place only: processes, namespaces, the environment, printing, I/O, shared state.

use crate::source::{Source, find_word, is_word, line_of};
use crate::violation::Violation;
use crate::workspace::Package;

/// Something that only these packages do, and the names by which the code shows it.
struct Place {
    what: &'static str,
    packages: &'static [&'static str],
    names: &'static [&'static str],
}

/// Tests and examples may do all of this, and so may the packages that only serve development.
const PLACES: &[Place] = &[
    Place {
        what: "start processes",
        // netutil: the older iptables has no netlink, only programs that may change its rules.
        packages: &["podnet-cni-invoke", "podnet-exec-plugin", "podnet-netutil"],
        names: &["process::Command"],
    },
    Place {
        what: "enter namespaces",
        packages: &["podnet-netutil"],
        names: &[
            "setns",
            "unshare",
            "unshare_unsafe",
            "move_into_link_name_space",
            "move_into_thread_name_spaces",
        ],
    },
    Place {
        what: "read the environment",
        packages: &["podnet-cni-skel", "podnet-cni-programs", "podnet-cli", "podnet-testkit"],
        names: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::set_var",
            "env::args",
            "env::args_os",
            "env::current_dir",
            "env::home_dir",
            "env::temp_dir",
        ],
    },
    Place {
        what: "print",
        packages: &["podnet-cni-skel", "podnet-cni-programs", "podnet-cli"],
        names: &["print!", "println!", "eprint!", "eprintln!", "io::stdout", "io::stderr"],
    },
];

/// Crates without I/O, and the names that would show it.
const PURE: &[&str] = &["podnet-cni-spec", "podnet-plugin-api"];
const IO: &[&str] =
    &["fs::", "std::fs", "std::process", "TcpStream", "TcpListener", "UdpSocket", "tokio::net"];

/// The types behind which a `static` changes.
const MUTABLE: &[&str] =
    &["mut", "Mutex", "RwLock", "Once", "OnceLock", "LazyLock", "Cell", "RefCell", "OnceCell"];

/// Processes, namespaces, the environment and printing keep to their crates; the pure crates do no I/O.
pub(crate) fn check_places(package: &Package) -> Vec<Violation> {
    let name = package.name.as_str();
    if package.serves_development() {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for source in package.sources.iter().filter(|source| !source.is_example()) {
        let code = flattened(&source.production());
        for place in PLACES.iter().filter(|place| !place.packages.contains(&name)) {
            let message = format!("only {} may {}", place.packages.join(", "), place.what);
            violations.extend(find(source, &code, place.names, &message));
        }
        if PURE.contains(&name) {
            violations.extend(find(source, &code, IO, &format!("{name} does no I/O")));
        }
    }
    violations
}

/// No library keeps state that outlives the values passed to it.
pub(crate) fn check_globals(package: &Package) -> Vec<Violation> {
    if !package.is_library() {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for source in &package.sources {
        let code = source.production();
        for offset in find_word(&code, "static").filter(|offset| is_mutable(&code, *offset)) {
            let message = "no global mutable state: make it a field of a value that is passed in";
            violations.push(Violation::at(&source.path, line_of(&code, offset), message));
        }
    }
    violations
}

/// Whether the `static` at this offset opens an item, no lifetime, whose type can change.
fn is_mutable(code: &str, offset: usize) -> bool {
    let (before, after) = code.split_at(offset);
    let head = after.get(..after.find('=').unwrap_or(after.len())).unwrap_or_default();
    let changes = MUTABLE.iter().any(|name| find_word(head, name).next().is_some())
        || head.contains("Atomic");
    !before.ends_with('\'') && changes
}

fn find(source: &Source, code: &str, names: &[&str], message: &str) -> Vec<Violation> {
    let hits = names.iter().flat_map(|name| code.match_indices(name));
    let whole = hits.filter(|(offset, name)| {
        let before = code.get(..*offset).and_then(|text| text.chars().next_back());
        let after = code.get(offset + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && (name.ends_with(':') || !after.is_some_and(is_word))
    });
    let mut lines: Vec<usize> = whole.map(|(offset, _)| line_of(code, offset)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| Violation::at(&source.path, line, message)).collect()
}

/// The code with `a::{b, c::{d}}` written out behind the closing brace as `a::b a::c::d`, so that a grouped import is
/// found by the name of what it imports; lines stay where they are.
fn flattened(code: &str) -> String {
    let mut flat = code.to_owned();
    for start in find_word(code, "use") {
        let Some(length) = code.get(start..).and_then(|tail| tail.find(';')) else {
            continue;
        };
        let statement = code.get(start + "use".len()..start + length).unwrap_or_default();
        let names = imported("", statement).join(" ");
        let blank: String = statement.chars().filter(|character| *character == '\n').collect();
        flat = flat.replacen(statement, &format!(" {names}{blank}"), 1);
    }
    flat
}

/// The full names that a `use` tree imports.
fn imported(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => vec![format!("{prefix}{tree}")],
        Some((head, inside)) => {
            let inside = inside.strip_suffix('}').unwrap_or(inside);
            let prefix = format!("{prefix}{}", head.trim());
            branches(inside).into_iter().flat_map(|branch| imported(&prefix, branch)).collect()
        }
    }
}

/// The parts of a group: split at the commas that stand in no inner group.
fn branches(inside: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let split = inside.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    });
    split.filter(|branch| !branch.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::example::package;

    fn lines(package_name: &str, text: &str) -> Vec<usize> {
        let package = package(package_name, &[("lib.rs", text), ("tests.rs", text)]);
        let found = check_places(&package).into_iter().chain(check_globals(&package));
        found.map(|found| found.line).collect()
    }

    #[test]
    fn what_belongs_to_another_crate_is_refused() {
        let cases = [
            ("podnet-kubenet", "use std::process::Command;"),
            ("podnet-kubenet", "use tokio::{net, process::{Child, Command}};"),
            ("podnet-kubenet", "let child = std::process::Command::new(program);"),
            ("podnet-cni-invoke", "rustix::thread::unshare(flags)"),
            ("podnet-kubenet", "let home = env::var_os(key);"),
            ("podnet-kubenet", "use std::env::{self, var};"),
            ("podnet-netutil", "use std::{env::args, fs};"),
            ("podnet-netutil", "println!()"),
            ("podnet-netutil", "writeln!(io::stderr())"),
            ("podnet-cni-spec", "std::fs::read(path)"),
            ("podnet-plugin-api", "use tokio::net::UdpSocket;"),
        ];
        for (name, text) in cases {
            assert_eq!(lines(name, text), [1], "{name}: {text}");
        }
    }

    #[test]
    fn what_belongs_here_or_only_looks_alike_is_allowed() {
        let cases = [
            ("podnet-cni-invoke", "use tokio::process::{Child, Command};"),
            ("podnet-netutil", "rustix::thread::unshare(flags)"),
            ("podnet-cli", "println!(); env::args(); clap::Command::new(name)"),
            (
                "podnet-kubenet",
                "use std::process::ExitCode; // println!(\nlet a = \"env::var\"; env!(\"X\")",
            ),
            ("podnet-kubenet", "#[cfg(test)]\nmod tests {\n use std::process::Command;\n}"),
            ("podnet-kubenet", "self.request.environment(); unshared(); std::fs::read(path)"),
            ("podnet-tests", "use std::process::Command;"),
        ];
        for (name, text) in cases {
            assert_eq!(lines(name, text), Vec::<usize>::new(), "{name}: {text}");
        }
    }

    #[test]
    fn an_example_shows_what_a_program_does() {
        let text = "use std::process::Command;\nprintln!(\"{:?}\", std::env::args());";
        let package = package("podnet-cni-plugin", &[("examples/minirun.rs", text)]);
        assert_eq!(check_places(&package), []);
    }

    #[test]
    fn global_mutable_state_is_refused() {
        let text = "static A: AtomicU32 = x;\nstatic mut B: u8 = x;\nstatic C: &str = x;\nfn f(x: &'static Mutex) {}\n\
                    static D: std::sync::LazyLock<u8> = x;\n";
        assert_eq!(lines("podnet-netutil", text), [1, 2, 5]);
    }

    #[test]
    fn grouped_imports_keep_later_lines_where_they_are() {
        let text = "use std::{\n    fs,\n    process::{Command, ExitCode},\n};\nprintln!()";
        assert_eq!(lines("podnet-kubenet", text), [1, 5]);
    }
}
