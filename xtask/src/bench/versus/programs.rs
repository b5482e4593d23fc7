//! The programs that are compared, and what can be measured without a host: their starts, and their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::call::{Attachment, Program};
use super::chain::Chain;
use super::setting::{BANDWIDTH, KUBENET, PORTMAP, Setting};
use super::who::Who;
use crate::bench::programs::{BRIDGE_TYPE, CNI_VERSION, HOST_LOCAL, Installed, LOOPBACK};
use crate::bench::rounds::turn;

/// A call of which nobody is attached.
const NOBODY: Attachment<'_> = Attachment { id: "none", netns: "", host_port: 0 };

/// All of them.
pub(super) struct Programs {
    pub(super) go: Option<Installed>,
    pub(super) podnet: Installed,
    /// A program that does nothing.
    pub(super) empty: PathBuf,
}

/// Who attaches, and how its chain is made for a host's folder of stores.
pub(super) type Contender<'a> = (Who, &'a Installed, fn(&Installed, Setting, &Path) -> Chain);

impl Programs {
    /// Those that attach by `loopback` and `bridge`.
    pub(super) fn bridges(&self) -> Vec<Contender<'_>> {
        let each = [(Who::Go, self.go.as_ref()), (Who::PodnetCni, Some(&self.podnet))];
        let each = each.into_iter().filter_map(|(who, installed)| Some((who, installed?)));
        each.map(|(who, installed)| (who, installed, Chain::bridge as _)).collect()
    }

    /// Those that publish host ports and limit as well.
    pub(super) fn wholes(&self) -> Vec<Contender<'_>> {
        let kubenet = (Who::Kubenet, &self.podnet, Chain::kubenet as _);
        let each = self.bridges().into_iter();
        each.map(|(who, installed, _)| (who, installed, Chain::whole as _))
            .chain([kubenet])
            .collect()
    }

    /// How long each takes to start, to say its versions and to end, so many times.
    pub(super) fn starts(&self, times: usize) -> Result<BTreeMap<Who, Vec<Duration>>> {
        eprintln!("bench: starting programs {times} times each");
        let present = |who| Some((who, self.program(who)?));
        let mut programs: Vec<_> = Who::ALL.into_iter().filter_map(present).enumerate().collect();
        let (count, config) = (programs.len(), json!({ "cniVersion": CNI_VERSION }));
        let mut took: BTreeMap<Who, Vec<Duration>> = BTreeMap::new();
        for round in 0..=times {
            programs.sort_unstable_by_key(|(number, _)| turn(*number, round, count));
            for (_, (who, program)) in &programs {
                let ended = program.call("VERSION", NOBODY, &config).make()?;
                // The first one reads the file from the disk.
                if round > 0 {
                    took.entry(*who).or_default().push(ended.took);
                }
            }
        }
        Ok(took)
    }

    /// The most memory of the program that does nothing, in bytes; none where this machine cannot tell.
    pub(super) fn empty_peak(&self) -> Result<Option<u64>> {
        let empty = Program { path: self.empty.clone(), arguments: Vec::new() };
        Ok(empty.call("ADD", NOBODY, &Value::Null).make_and_weigh()?.peak)
    }

    /// The sizes of the files that make the whole chain, in bytes.
    pub(super) fn sizes(&self) -> Result<BTreeMap<Who, u64>> {
        let of = |installed: &Installed, kind| size(&Program::of(installed, kind).path);
        let mut sizes = BTreeMap::from([(Who::Empty, size(&self.empty)?)]);
        sizes.insert(Who::PodnetCni, of(&self.podnet, BRIDGE_TYPE)?);
        sizes.insert(Who::Kubenet, of(&self.podnet, KUBENET)?);
        if let Some(go) = &self.go {
            let types = [LOOPBACK, BRIDGE_TYPE, HOST_LOCAL, PORTMAP, BANDWIDTH];
            let all: Result<u64> = types.iter().map(|kind| of(go, kind)).sum();
            sizes.insert(Who::Go, all?);
        }
        Ok(sizes)
    }

    /// The program that is started to see how long a start takes.
    fn program(&self, who: Who) -> Option<Program> {
        match who {
            Who::Go => self.go.as_ref().map(|go| Program::of(go, BRIDGE_TYPE)),
            Who::PodnetCni => Some(Program::of(&self.podnet, BRIDGE_TYPE)),
            Who::Kubenet => Some(Program::of(&self.podnet, KUBENET)),
            Who::Empty => Some(Program { path: self.empty.clone(), arguments: Vec::new() }),
        }
    }
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path);
    Ok(metadata.with_context(|| format!("cannot find {}", path.display()))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_go_programs_ours_are_compared_with_each_other() {
        let podnet = Installed::MultiCall("/nowhere/podnet-cni".into());
        let programs = Programs { go: None, podnet, empty: "/bin/true".into() };
        let who =
            |contenders: Vec<Contender<'_>>| contenders.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(who(programs.bridges()), [Who::PodnetCni]);
        assert_eq!(who(programs.wholes()), [Who::PodnetCni, Who::Kubenet]);
        assert!(programs.sizes().unwrap_err().to_string().ends_with("/nowhere/podnet-cni"));
    }
}
