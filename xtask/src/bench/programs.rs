//! CNI programs, the Go ones and ours, called as a runtime calls them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use ipnetwork::IpNetwork;
use podnet_kubenet::{BRIDGE, NETWORK};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::{Cni, Outcome, programs};
use serde_json::{Value, json};

use super::contender::{Step, Timed};
use super::field::{MTU, POD_CIDR};
use crate::peers;

/// The newest version that all of the programs know.
pub(super) const CNI_VERSION: &str = "1.0.0";
/// The programs that an attachment takes; the bridge is called, and calls the last one in turn.
pub(super) const LOOPBACK: &str = "loopback";
pub(super) const BRIDGE_TYPE: &str = "bridge";
pub(super) const HOST_LOCAL: &str = "host-local";

/// Programs that are on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Installed {
    /// A folder with one program for each type.
    Each(PathBuf),
    /// One program that is every type.
    MultiCall(PathBuf),
}

impl Installed {
    /// The Go programs, where a package or a node has put all three.
    pub(super) fn go() -> Option<Self> {
        let found = [LOOPBACK, HOST_LOCAL, BRIDGE_TYPE].map(|name| programs::peer(name, "bench"));
        let folders = found.map(|path| path.and_then(|path| path.parent().map(Path::to_owned)));
        match folders {
            [Some(one), Some(other), Some(third)] if one == other && other == third => {
                Some(Self::Each(one))
            }
            _ => None,
        }
    }

    /// Ours, where it was built.
    pub(super) fn podnet(program: &Path) -> Option<Self> {
        program.exists().then(|| Self::MultiCall(program.to_owned()))
    }

    /// The program of a type, and the arguments by which it is that one.
    pub(super) fn program(&self, plugin: &str) -> (PathBuf, Vec<String>) {
        match self {
            Self::Each(folder) => (folder.join(plugin), Vec::new()),
            Self::MultiCall(program) => (program.clone(), vec![plugin.to_owned()]),
        }
    }

    /// What its bridge plugin says of itself when a person starts it.
    pub(super) fn version(&self) -> Result<String> {
        let (program, arguments) = self.program(BRIDGE_TYPE);
        let mut command = Command::new(&program);
        let output = command.args(arguments).env_clear().stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {}", program.display()))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let said = first_line(&said);
        // Debian's programs do not know their version; the package does.
        let said = self.package().unwrap_or_else(|| said.to_owned());
        Ok(format!("{said} ({})", program.display()))
    }

    /// The package and the version that the programs are of, as far as that is known.
    fn package(&self) -> Option<String> {
        match self {
            Self::Each(folder) => peers::release(folder),
            Self::MultiCall(_) => None,
        }
    }

    fn cni<'a>(&self, host: &'a TestHost, plugin: &str, config: Value) -> Cni<'a> {
        let (program, arguments) = self.program(plugin);
        let path = program.parent().unwrap_or(&program).to_owned();
        Cni { host, program, arguments, path, config }
    }
}

/// A copy of a program in `folder`, as installing makes one, which is what is to be measured: a linker writes its file piece
/// by piece, the kernel then has it in memory by the page, and its every start takes a tenth of a millisecond longer.
pub(super) fn install(program: &Path, folder: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program has a name")?;
    let installed = folder.join(name);
    let copied = fs::create_dir_all(folder)
        .and_then(|()| fs::read(program))
        .and_then(|bytes| {
            let _ = fs::remove_file(&installed);
            fs::write(&installed, bytes)
        })
        .and_then(|()| fs::set_permissions(&installed, fs::Permissions::from_mode(0o755)));
    copied
        .with_context(|| format!("cannot install {} in {}", program.display(), folder.display()))?;
    Ok(installed)
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("says nothing")
}

/// The programs by which one host's pods are attached.
pub(super) struct Programs<'a> {
    loopback: Cni<'a>,
    bridge: Cni<'a>,
}

impl<'a> Programs<'a> {
    /// These programs with the configurations that kubenet would give them.
    pub(super) fn new(host: &'a TestHost, installed: &Installed) -> Self {
        let loopback = json!({ "cniVersion": CNI_VERSION, "name": "lo", "type": LOOPBACK });
        Self {
            loopback: installed.cni(host, LOOPBACK, loopback),
            bridge: installed.cni(host, BRIDGE_TYPE, bridge(&host.networks_dir())),
        }
    }

    /// One operation: two programs one after the other, of which the second starts a third.
    pub(super) fn timed(&self, step: Step, pod: &Pod) -> Result<Timed> {
        let verb = if step == Step::SetUp { "ADD" } else { "DEL" };
        let begun = Instant::now();
        succeed(self.loopback.call(verb, pod.name(), pod.path()), LOOPBACK, verb, pod)?;
        let result = self.bridge.call(verb, pod.name(), pod.path());
        let took = begun.elapsed();
        let result = succeed(result, BRIDGE_TYPE, verb, pod)?;
        let address = if step == Step::SetUp { Some(address(&result)?) } else { None };
        Ok(Timed { took, address })
    }

    /// One operation on each of these pods, all at once.
    pub(super) fn at_once(&self, step: Step, pods: &[Pod]) -> Vec<Result<Timed>> {
        std::thread::scope(|scope| {
            let start = |pod| scope.spawn(move || self.timed(step, pod));
            let threads: Vec<_> = pods.iter().map(start).collect();
            let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.map(|done| done.map_err(|_| anyhow!("a call panicked"))?).collect()
        })
    }

    /// Starts the bridge program, asks for its versions and waits for its end.
    pub(super) fn start(&self) -> Result<Duration> {
        let begun = Instant::now();
        let outcome = self.bridge.call("VERSION", "none", Path::new(""));
        let took = begun.elapsed();
        let versions = outcome.output.get("supportedVersions").is_some();
        ensure!(versions, "VERSION gave {}", outcome.output);
        Ok(took)
    }
}

fn succeed(outcome: Outcome, plugin: &str, verb: &str, pod: &Pod) -> Result<Value> {
    let Outcome { status, output } = outcome;
    ensure!(status == 0, "{plugin} {verb} of {} ended with {status}: {output}", pod.name());
    Ok(output)
}

/// The configuration of kubenet, in a version with which all of the programs answer alike.
fn bridge(networks_dir: &Path) -> Value {
    json!({
        "cniVersion": CNI_VERSION,
        "name": NETWORK,
        "type": BRIDGE_TYPE,
        "bridge": BRIDGE,
        "mtu": MTU,
        "isGateway": true,
        "hairpinMode": true,
        "ipam": {
            "type": HOST_LOCAL,
            "dataDir": networks_dir,
            "subnet": POD_CIDR,
            "routes": [{ "dst": "0.0.0.0/0" }],
        },
    })
}

/// The address in the result of an ADD.
fn address(result: &Value) -> Result<IpAddr> {
    addresses(result)?.first().copied().with_context(|| format!("no address in {result}"))
}

/// All addresses in the result of an ADD.
pub(super) fn addresses(result: &Value) -> Result<Vec<IpAddr>> {
    let ips = result.get("ips").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let texts = ips.iter().filter_map(|ip| ip.get("address").and_then(Value::as_str));
    let networks = texts
        .map(|text| text.parse::<IpNetwork>().with_context(|| format!("{text} is no address")));
    networks.map(|network| Ok(network?.ip())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_by_the_first_thing_it_says() {
        assert_eq!(
            first_line("\n CNI bridge plugin v1\nversions: 1.0.0\n"),
            "CNI bridge plugin v1"
        );
        assert_eq!(first_line("\n"), "says nothing");
    }

    #[test]
    fn one_program_for_all_is_told_which_it_is() {
        let each = Installed::Each("/usr/lib/cni".into()).program("bridge");
        assert_eq!(each, ("/usr/lib/cni/bridge".into(), vec![]));
        let multi_call = Installed::MultiCall("/target/podnet-cni".into()).program("bridge");
        assert_eq!(multi_call, ("/target/podnet-cni".into(), vec!["bridge".to_owned()]));
    }

    #[test]
    fn what_was_not_built_is_missing() {
        assert_eq!(Installed::podnet(Path::new("/nowhere/podnet-cni")), None);
    }

    #[test]
    fn a_result_without_an_address_is_an_error() {
        let address = |text| address(&serde_json::from_str(text).unwrap()).ok();
        let result = r#"{"ips": [{"address": "10.244.0.2/20"}]}"#;
        assert_eq!(address(result), Some("10.244.0.2".parse().unwrap()));
        assert_eq!(address(r#"{"ips": []}"#), None);
        assert_eq!(address("null"), None);
    }
}
