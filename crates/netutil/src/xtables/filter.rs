//! Chains of the filter table in the node's own iptables, whichever flavour that is.
//!
//! They are read by one run of `iptables-save` and changed by one of `iptables-restore`, whole or not at all, whatever
//! others do to the table meanwhile: of a chain that appeared or a rule that went between the two, the second run says so
//! and changes nothing.

mod words;

use std::collections::BTreeMap;
use std::fmt;

use ipnetwork::IpNetwork;

use super::{XtablesError, program};
use crate::sysctl::Family;

/// By which a table on nftables is told that has rules of others than iptables, which is no error of the program's.
const INCOMPATIBLE: &str = "is incompatible";

/// A rule as `iptables` takes and prints it, without the chain: `-s 10.1.0.2/32 -j ACCEPT`.
///
/// ```
/// use podnet_netutil::xtables::FilterRule;
///
/// let rule = FilterRule::new(["-m", "comment", "--comment", "of a pod", "-j", "ACCEPT"]);
/// assert_eq!(rule.to_string(), r#"-m comment --comment "of a pod" -j ACCEPT"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule(Vec<String>);

impl FilterRule {
    /// A rule of these words. It equals one that is listed with the same words, however those are quoted and addresses
    /// among them are written.
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        Self(words.into_iter().map(|word| canonical(word.as_ref())).collect())
    }

    /// Its comment, if it has one.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        let option = self.0.iter().position(|word| word == "--comment")?;
        self.0.get(option + 1).map(String::as_str)
    }
}

impl fmt::Display for FilterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<String> = self.0.iter().map(|word| words::quoted(word)).collect();
        f.write_str(&quoted.join(" "))
    }
}

fn canonical(word: &str) -> String {
    let address = word.contains('/').then(|| word.parse::<IpNetwork>().ok()).flatten();
    address.map_or_else(|| word.to_owned(), |address| address.to_string())
}

/// Some chains of a filter table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterTable {
    chains: BTreeMap<String, Vec<FilterRule>>,
}

impl FilterTable {
    /// Reads those of `chains` that are there, in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`XtablesError`].
    pub async fn read(family: Family, chains: &[&str]) -> Result<Self, XtablesError> {
        let program = match family {
            Family::V4 => "iptables-save",
            Family::V6 => "ip6tables-save",
        };
        let printed = program::run(program, &["-t", "filter"], "").await?;
        match printed.lines().find(|line| line.starts_with('#') && line.contains(INCOMPATIBLE)) {
            Some(line) => Err(XtablesError::Incompatible {
                program,
                words: line.trim_start_matches(['#', ' ']).to_owned(),
            }),
            None => Ok(Self::parse(&printed, chains)),
        }
    }

    fn parse(printed: &str, wanted: &[&str]) -> Self {
        let mut table = Self::default();
        for line in printed.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if wanted.contains(&name) {
                    table.chains.entry(name.to_owned()).or_default();
                }
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let (chain, rule) = rule.split_once(' ').unwrap_or((rule, ""));
                if wanted.contains(&chain) {
                    let rules = table.chains.entry(chain.to_owned()).or_default();
                    rules.push(FilterRule::new(words::split(rule)));
                }
            }
        }
        table
    }

    /// Whether the chain is there.
    #[must_use]
    pub fn has_chain(&self, chain: &str) -> bool {
        self.chains.contains_key(chain)
    }

    /// The rules of a chain in their order; none where there is no such chain.
    #[must_use]
    pub fn rules(&self, chain: &str) -> &[FilterRule] {
        self.chains.get(chain).map_or(&[], Vec::as_slice)
    }

    /// The first place, from 0, at which the chain has the rule.
    #[must_use]
    pub fn position(&self, chain: &str, rule: &FilterRule) -> Option<usize> {
        self.rules(chain).iter().position(|present| present == rule)
    }
}

/// Changes of a filter table that are made together.
///
/// Each one is visible to those after it, before any is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterEdit {
    table: FilterTable,
    commands: Vec<String>,
}

impl FilterEdit {
    /// No change yet of this table.
    #[must_use]
    pub fn new(table: FilterTable) -> Self {
        Self { table, commands: Vec::new() }
    }

    /// The table as it will be.
    #[must_use]
    pub fn table(&self) -> &FilterTable {
        &self.table
    }

    /// What is to be done, each as an argument list of `iptables`.
    #[must_use]
    pub fn commands(&self) -> &[String] {
        &self.commands
    }

    /// Makes a chain where there is none of that name.
    pub fn ensure_chain(&mut self, chain: &str) {
        if !self.table.has_chain(chain) {
            self.table.chains.insert(chain.to_owned(), Vec::new());
            self.commands.push(format!("-N {chain}"));
        }
    }

    /// Puts a rule before the one that is at `position`, from 0.
    pub fn insert(&mut self, chain: &str, position: usize, rule: FilterRule) {
        let rules = self.table.chains.entry(chain.to_owned()).or_default();
        let position = position.min(rules.len());
        self.commands.push(format!("-I {chain} {} {rule}", position + 1));
        rules.insert(position, rule);
    }

    /// Puts a rule behind all others of its chain.
    pub fn append(&mut self, chain: &str, rule: FilterRule) {
        self.commands.push(format!("-A {chain} {rule}"));
        self.table.chains.entry(chain.to_owned()).or_default().push(rule);
    }

    /// Removes a rule, as often as the chain has it.
    pub fn delete(&mut self, chain: &str, rule: &FilterRule) {
        let Some(rules) = self.table.chains.get_mut(chain) else { return };
        let before = rules.len();
        rules.retain(|present| present != rule);
        for _ in rules.len()..before {
            self.commands.push(format!("-D {chain} {rule}"));
        }
    }

    /// Makes the changes, all or none. Without any, no program is run.
    ///
    /// # Errors
    /// [`XtablesError::Refused`] also when the table is not any more what it was when it was read.
    pub async fn commit(&self, family: Family) -> Result<(), XtablesError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let program = match family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        // A chain is made by a command, because one that is declared is emptied where it exists.
        let input = format!("*filter\n{}\nCOMMIT\n", self.commands.join("\n"));
        let done = program::run(program, &["--noflush", "--wait=15"], &input).await;
        done.map(drop).map_err(|error| self.told(error))
    }

    /// The program names a line, which means nothing to anybody else.
    fn told(&self, error: XtablesError) -> XtablesError {
        match error {
            XtablesError::Refused { program, words, .. } => {
                XtablesError::Refused { program, arguments: self.commands.join("; "), words }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "# Generated by iptables-save v1.8.9 (nf_tables)\n*filter\n:FORWARD DROP [0:0]\n\
        :CNI-FORWARD - [0:0]\n:OTHER - [0:0]\n-A FORWARD -j OTHER\n\
        -A FORWARD -m comment --comment \"of a pod\" -j CNI-FORWARD\n-A OTHER -j RETURN\n-A OTHER\nCOMMIT\n";

    fn table() -> FilterTable {
        FilterTable::parse(SAVED, &["FORWARD", "CNI-FORWARD", "CNI-ADMIN"])
    }

    fn jump(chain: &str) -> FilterRule {
        FilterRule::new(["-j", chain])
    }

    #[test]
    fn wanted_chains_are_read_with_their_rules() {
        let table = table();
        assert!(table.has_chain("CNI-FORWARD") && !table.has_chain("CNI-ADMIN"));
        assert!(!table.has_chain("OTHER") && table.rules("OTHER").is_empty());
        let rule = FilterRule::new(["-m", "comment", "--comment", "of a pod", "-j", "CNI-FORWARD"]);
        assert_eq!(table.rules("FORWARD"), [jump("OTHER"), rule.clone()]);
        assert_eq!(table.position("FORWARD", &rule), Some(1));
        assert_eq!((rule.comment(), jump("OTHER").comment()), (Some("of a pod"), None));
        assert_eq!(table.position("CNI-FORWARD", &rule), None);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let rule = |address| FilterRule::new(["-s", address, "-j", "ACCEPT"]);
        assert_eq!(rule("fd00:0:0:0::2/128"), rule("FD00::2/128"));
        assert_ne!(rule("10.0.0.2/32"), rule("10.0.0.3/32"));
    }

    #[test]
    fn changes_are_written_in_order_and_seen_by_those_after() {
        let mut edit = FilterEdit::new(table());
        edit.ensure_chain("CNI-FORWARD");
        edit.ensure_chain("CNI-ADMIN");
        edit.ensure_chain("CNI-ADMIN");
        edit.insert("FORWARD", 1, jump("CNI-ADMIN"));
        edit.insert("CNI-FORWARD", 7, jump("CNI-ADMIN"));
        edit.append("CNI-FORWARD", jump("RETURN"));
        edit.append("CNI-FORWARD", jump("RETURN"));
        edit.delete("CNI-FORWARD", &jump("RETURN"));
        edit.delete("CNI-FORWARD", &jump("RETURN"));
        edit.delete("NOWHERE", &jump("RETURN"));
        let commands = [
            "-N CNI-ADMIN",
            "-I FORWARD 2 -j CNI-ADMIN",
            "-I CNI-FORWARD 1 -j CNI-ADMIN",
            "-A CNI-FORWARD -j RETURN",
            "-A CNI-FORWARD -j RETURN",
            "-D CNI-FORWARD -j RETURN",
            "-D CNI-FORWARD -j RETURN",
        ];
        assert_eq!(edit.commands(), commands);
        assert_eq!(edit.table().rules("CNI-FORWARD"), [jump("CNI-ADMIN")]);
        assert_eq!(edit.table().position("FORWARD", &jump("CNI-ADMIN")), Some(1));
    }
}
