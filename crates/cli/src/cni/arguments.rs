//! What can be written behind `podnet cni`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use podnet_cni_spec::{ContainerId, InterfaceName, PluginType};
use serde_json::Value;

/// Arguments of `podnet cni`.
#[derive(Debug, Args)]
#[command(after_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    /// The folder whose results/ remembers attachments, so that other runtimes can delete them and the other way
    /// round [default: /var/lib/cni, or --state-dir]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Node options")]
    pub(crate) cni_cache_dir: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) operation: Operation,
}

const ENVIRONMENT: &str = "\
Environment, as cnitool has it; an option wins:
  NETCONFPATH  the folder with network configurations (--cni-conf-dir)
  CNI_PATH     the folders with plugins, separated by colons (--cni-bin-dir)
  CNI_IFNAME   the interface's name (--ifname)
  CNI_ARGS     K=V;K=V (--arg)
  CAP_ARGS     a JSON object with an argument for each capability (--capability)";

#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Attach a network namespace to a network and print the result
    ///
    /// With --output json prints the result object in the version of the network's configuration. What fails half way
    /// is undone.
    Add(Add),

    /// Check that an attachment is as it was made
    ///
    /// Prints nothing. The configuration, arguments and result are those of the add, where they are cached.
    Check(Existing),

    /// Detach a network namespace
    ///
    /// Prints nothing. It is a success for one that was detached before, and needs neither the namespace nor, where
    /// the attachment is cached, the network's configuration.
    Del(Existing),

    /// Remove what belongs to none of the attachments to keep
    ///
    /// Deletes every cached attachment to the network that is not to be kept, whoever made it, and has the plugins
    /// remove what they hold besides. No attachment may be made or deleted meanwhile. With --output json prints
    /// {"network", "removed", "kept"}.
    Gc(Gc),

    /// Print whether a network can be attached to
    ///
    /// Asks its programs for their versions and, since CNI 1.1.0, its plugins. With --output json prints {"network",
    /// "file", "ready"}, with "message" and "code" where it is not ready. It then exits with 3.
    Status {
        /// The network's name, or a file; without it the first one that can be used
        network: Option<String>,
    },

    /// Print which versions of the specification plugins speak
    ///
    /// With --output json prints an array of {"type", "program", "supportedVersions"}, the program being null for what
    /// is built in, or {"type", "error"}.
    Version {
        /// The plugin's type; without it those that the networks use
        #[arg(value_name = "TYPE")]
        types: Vec<PluginType>,
    },

    /// List the networks and their cached attachments
    ///
    /// With --output json prints {"networks", "skipped", "attachments"}; the attachments are null where the cache
    /// cannot be read.
    List,
}

/// Arguments of `podnet cni add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The network's name, or a file with its configuration
    pub(crate) network: String,

    /// The path of the network namespace, such as /run/netns/web
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: PathBuf,

    #[command(flatten)]
    pub(crate) attachment: Attachment,
}

/// Arguments of `podnet cni check` and `podnet cni del`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("container").args(["id", "netns"]).required(true).multiple(true)))]
pub(crate) struct Existing {
    /// The network's name, or a file with its configuration
    pub(crate) network: String,

    /// The path of the network namespace; without it the one that is cached
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) attachment: Attachment,
}

/// Which attachment, and what the runtime says of it.
#[derive(Debug, Args)]
pub(crate) struct Attachment {
    /// The container's id; without it cnitool's, which follows from the path of the namespace
    #[arg(long)]
    pub(crate) id: Option<ContainerId>,

    /// The name of the interface in the namespace [default: eth0]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) ifname: Option<InterfaceName>,

    /// An argument for plugins that declare the capability, such as mac='"02:00:00:00:00:05"'; may be repeated
    #[arg(long = "capability", value_name = "NAME=JSON", value_parser = capability)]
    pub(crate) capabilities: Vec<(String, Value)>,

    /// An argument for every plugin, one of CNI_ARGS; may be repeated
    #[arg(long = "arg", value_name = "K=V", value_parser = pair)]
    pub(crate) args: Vec<(String, String)>,
}

/// Arguments of `podnet cni gc`. That nothing is to be kept must be said: a list that is missing is not an empty one.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["keep", "keep_none"]).required(true)))]
pub(crate) struct Gc {
    /// The network's name, or a file with its configuration
    pub(crate) network: String,

    /// A container whose attachments stay, or one of its interfaces alone; may be repeated
    #[arg(long, value_name = "ID[/IFNAME]")]
    pub(crate) keep: Vec<Kept>,

    /// Keep no attachment at all
    #[arg(long)]
    pub(crate) keep_none: bool,
}

/// A container to keep, and the one interface where only that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) container_id: ContainerId,
    pub(crate) interface: Option<InterfaceName>,
}

impl std::str::FromStr for Kept {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (id, interface) = match text.split_once('/') {
            Some((id, interface)) => (id, Some(interface.parse()?)),
            None => (text, None),
        };
        Ok(Self { container_id: id.parse()?, interface })
    }
}

fn pair(text: &str) -> anyhow::Result<(String, String)> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = parts.context("write K=V")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn capability(text: &str) -> anyhow::Result<(String, Value)> {
    let (name, json) = pair(text).map_err(|_| anyhow::anyhow!("write NAME=JSON"))?;
    let value = serde_json::from_str(&json);
    let value = value.with_context(|| format!("{json:?} is not JSON; a string needs quotes"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capabilitys_argument_is_json() {
        let (name, value) = capability(r#"mac="02:00:00:00:00:05""#).unwrap();
        assert_eq!((name.as_str(), value), ("mac", Value::from("02:00:00:00:00:05")));
        assert!(capability("mac=02:00").unwrap_err().to_string().contains("a string needs quotes"));
        assert!(capability("mac").is_err() && capability("=1").is_err());
    }

    #[test]
    fn a_container_or_one_of_its_interfaces_is_kept() {
        let whole: Kept = "web".parse().unwrap();
        assert_eq!((whole.container_id.as_str(), whole.interface), ("web", None));
        let one: Kept = "web/eth1".parse().unwrap();
        assert_eq!(one.interface.unwrap().as_str(), "eth1");
        for wrong in ["", "/eth0", "web/", "../web"] {
            assert!(wrong.parse::<Kept>().is_err(), "{wrong}");
        }
    }
}
