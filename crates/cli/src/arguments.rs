//! What can be written on the command line.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgAction, Args, Parser, Subcommand};
use podnet::{NodeOptions, PortMapping};

use crate::cni;
use crate::demo;
use crate::install;
use crate::output::Output;
use crate::ports;

/// Gives pods their network
///
/// Sets up and tears down the network of pods on this node, with the network plugin that the options choose. The node
/// options have the names of the kubelet's flags.
#[derive(Debug, Parser)]
#[command(name = "podnet", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// How results are written to stdout
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub(crate) output: Output,

    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// A JSON file with node options, named as below without `--`; what is on the command line wins
    #[arg(long, global = true, value_name = "FILE", help_heading = "Node options")]
    pub(crate) config: Option<PathBuf>,

    // Last of the options: its heading holds for those that follow it.
    #[command(flatten)]
    pub(crate) options: NodeOptions,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 the network plugin is not ready";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show kubenet with pods, in namespaces of its own, without touching this machine's network
    Demo(demo::Args),

    /// Set up a pod's network and print its addresses
    ///
    /// A pod that is set up already keeps its addresses. With --output json prints {"apiVersion", "kind", "ip", "ips"},
    /// or null where the plugin leaves addresses to the container runtime.
    Setup(Setup),

    /// Tear down a pod's network
    ///
    /// Prints nothing. It is a success for a pod that was torn down before or never set up, and needs no network
    /// namespace.
    Teardown(Teardown),

    /// Print whether the plugin is ready, or a pod's addresses
    ///
    /// With --output json prints {"plugin", "ready"}, with "reason" and "message" where it is not ready; for a pod the
    /// same as setup, or null where the plugin knows no address of it.
    Status(Status),

    /// List the pods that this node knows, with where they differ from what they were promised
    ///
    /// For kubenet. With --output json prints an array of {"pod", "id", "alive", "ips", "interface", "netns", "ports",
    /// "ingress", "egress", "drift"}; limits in bits a second, null where there is none.
    Pods,

    /// Remove what belongs to no living pod, and put right what living ones lack
    ///
    /// For kubenet. A pod lives whose veth is there; with --keep those alone whose sandboxes are named. With --output
    /// json prints {"removed", "mended", "left"}. Fails if something is left.
    Gc(Gc),

    /// Check the node and its pods, and say in plain words what is wrong and how to mend it
    ///
    /// For kubenet. Changes nothing. With --output json prints an array of {"subject", "problem", "remedy"}. Fails if
    /// something is wrong.
    Doctor,

    /// List the network plugins that can be chosen
    ///
    /// Those that are part of podnet, then what is in the folder of exec plugins, with the reason where it cannot be
    /// used. With --output json prints an array of {"name", "flavour", "path", "usable", "selected"}, with "reason"
    /// where it is not usable; "path" is null for what is part of podnet.
    Plugins,

    /// Run a CNI network configuration as a container runtime does
    Cni(cni::Arguments),

    /// Put the CNI programs where container runtimes look for them
    ///
    /// Each is a link to one program, podnet-cni. Programs of others with these names stay, unless --force is said. With
    /// --output json prints {"program", "names", "links"}.
    Install(install::Args),

    /// Write manual pages into a folder
    Man {
        /// The folder, such as /usr/share/man/man1; made where it is missing
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },

    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Arguments of `podnet setup`.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// The pod
    #[arg(value_name = "NAMESPACE/POD", value_parser = pod_name)]
    pub(crate) pod: PodName,

    /// The id of the pod's sandbox
    #[arg(long)]
    pub(crate) id: String,

    /// The path of the pod's network namespace, such as /run/netns/web
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: PathBuf,

    /// An annotation of the pod; may be repeated
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    pub(crate) annotations: Vec<(String, String)>,

    /// A host port that leads to the pod, such as 8080:80, 8080:80/udp or 192.0.2.1:8080:80; may be repeated
    #[arg(long = "port", value_name = "[ADDRESS:]HOST:POD[/PROTOCOL]", value_parser = ports::parse)]
    pub(crate) ports: Vec<PortMapping>,
}

/// Arguments of `podnet gc`.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// The id of a sandbox whose pod lives; may be repeated, and then every other pod goes
    #[arg(long, value_name = "ID")]
    pub(crate) keep: Vec<String>,
}

/// Arguments of `podnet teardown`.
#[derive(Debug, Args)]
pub(crate) struct Teardown {
    /// The pod
    #[arg(value_name = "NAMESPACE/POD", value_parser = pod_name)]
    pub(crate) pod: PodName,

    /// The id of the pod's sandbox
    #[arg(long)]
    pub(crate) id: String,

    /// The path of the pod's network namespace, where it is still there
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
}

/// Arguments of `podnet status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The pod; without it the plugin's own status is printed
    #[arg(value_name = "NAMESPACE/POD", value_parser = pod_name, requires = "id", requires = "netns")]
    pub(crate) pod: Option<PodName>,

    /// The id of the pod's sandbox
    #[arg(long, requires = "pod")]
    pub(crate) id: Option<String>,

    /// The path of the pod's network namespace
    #[arg(long, value_name = "PATH", requires = "pod")]
    pub(crate) netns: Option<PathBuf>,
}

/// A pod's namespace and name, not checked yet.
#[derive(Debug, Clone)]
pub(crate) struct PodName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

fn pod_name(text: &str) -> anyhow::Result<PodName> {
    let (namespace, name) =
        text.split_once('/').context("write NAMESPACE/POD, such as default/web")?;
    Ok(PodName { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn annotation(text: &str) -> anyhow::Result<(String, String)> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = parts.context("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn node_options_stand_before_or_after_the_command() {
        for line in
            ["podnet --network-plugin=kubenet plugins", "podnet plugins --network-plugin kubenet"]
        {
            let cli = Cli::parse_from(line.split(' '));
            assert_eq!(cli.options.network_plugin.as_deref(), Some("kubenet"));
            assert!(cli.options.reconcile_cidr);
        }
    }

    #[test]
    fn a_pod_may_have_annotations_with_equals_signs() {
        assert_eq!(annotation("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(annotation("=b").is_err());
    }
}
