//! Which attachment is meant: the command line, then the environment, then cnitool's defaults.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow};
use podnet_cni_plugin::{CapabilityArgs, Network, RuntimeConf};
use podnet_cni_spec::{CniArgs, ContainerId, InterfaceName};
use sha2::{Digest as _, Sha512};

use super::arguments::Attachment;
use super::environment::Environment;
use crate::failure::Failure;

/// How much of the digest cnitool takes, in bytes.
const DIGEST_BYTES: usize = 10;

/// The attachment as a runtime describes it.
pub(super) fn describe(
    said: &Attachment,
    netns: Option<&Path>,
    environment: &Environment,
) -> Result<RuntimeConf, Failure> {
    let id = match (&said.id, netns) {
        (Some(id), _) => id.clone(),
        (None, Some(netns)) => cnitool_id(netns).map_err(Failure::usage)?,
        (None, None) => return Err(Failure::usage(anyhow!("give --id or --netns"))),
    };
    let capabilities = environment.capability_args.clone().into_iter();
    let capabilities = capabilities.chain(said.capabilities.iter().cloned());
    let conf = RuntimeConf::new(id, interface(said.ifname.as_ref(), environment)?)
        .with_args(args(said, environment).map_err(Failure::usage)?)
        .with_capability_args(capabilities.collect::<CapabilityArgs>());
    match netns {
        Some(netns) => Ok(conf.with_netns(absolute(netns).map_err(Failure::usage)?)),
        None => Ok(conf),
    }
}

/// The interface's name where none is given for an attachment.
pub(super) fn interface(
    said: Option<&InterfaceName>,
    environment: &Environment,
) -> Result<InterfaceName, Failure> {
    let chosen = said.or(environment.interface.as_ref()).cloned();
    Ok(chosen.map_or_else(|| InterfaceName::new("eth0"), Ok).map_err(anyhow::Error::from)?)
}

fn args(said: &Attachment, environment: &Environment) -> anyhow::Result<CniArgs> {
    let mut args = environment.args.clone();
    for (key, value) in &said.args {
        args.insert(key, value)?;
    }
    Ok(args)
}

/// Capability arguments that no plugin would get are most likely misspelled.
pub(super) fn warn_of_undeclared(network: &Network, conf: &RuntimeConf) {
    let declared = network.capabilities();
    let given = conf.capability_args.as_map().keys();
    for name in given.filter(|name| !declared.contains(name.as_str())) {
        let network = &network.list().name;
        tracing::warn!(
            "no plugin of network {network} declares the capability {name}: its argument reaches none"
        );
    }
}

/// The container id that cnitool derives from the path of a namespace.
fn cnitool_id(netns: &Path) -> anyhow::Result<ContainerId> {
    let path = cleaned(&absolute(netns)?);
    let digest = Sha512::digest(path.as_os_str().as_encoded_bytes());
    let mut id = "cnitool-".to_owned();
    for byte in digest.iter().take(DIGEST_BYTES) {
        write!(id, "{byte:02x}")?;
    }
    Ok(ContainerId::new(id)?)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).context("cannot use the path of the namespace")
}

/// Without `.` and `..`, whatever links there may be: as Go's `filepath.Clean`.
fn cleaned(absolute: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(cleaned.pop()),
            Component::CurDir => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Attachment {
        Attachment { id: None, ifname: None, capabilities: Vec::new(), args: Vec::new() }
    }

    #[test]
    fn without_an_id_it_is_cnitools() {
        // printf %s /var/run/netns/testing | sha512sum | cut -c -20
        let expected = "cnitool-77383ca0a0715733ca6f";
        for path in ["/var/run/netns/testing", "/var/run/./netns//x/../testing/"] {
            let conf = describe(&said(), Some(path.as_ref()), &Environment::default()).unwrap();
            assert_eq!(conf.attachment.container_id.as_str(), expected);
            assert_eq!(conf.attachment.interface.as_str(), "eth0");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let environment = Environment {
            interface: Some("net1".parse().unwrap()),
            args: CniArgs::parse("A=1;B=2").unwrap(),
            capability_args: [("mac".to_owned(), 1.into()), ("ips".to_owned(), 2.into())]
                .into_iter()
                .collect(),
            ..Environment::default()
        };
        let conf = describe(&said(), Some("/x".as_ref()), &environment).unwrap();
        assert_eq!(conf.attachment.interface.as_str(), "net1");

        let said = Attachment {
            id: Some("web".parse().unwrap()),
            ifname: Some("net2".parse().unwrap()),
            capabilities: vec![("mac".to_owned(), 3.into())],
            args: vec![("B".to_owned(), "4".to_owned())],
        };
        let conf = describe(&said, None, &environment).unwrap();
        assert_eq!(conf.attachment.interface.as_str(), "net2");
        assert_eq!(conf.attachment.args.to_string(), "A=1;B=4");
        assert_eq!(conf.capability_args.get("mac"), Some(&3.into()));
        assert_eq!(conf.capability_args.get("ips"), Some(&2.into()));
        assert_eq!(conf.attachment.netns, None);
    }
}
