//! A node's options, with the names and defaults of the kubelet's flags.

use std::path::PathBuf;

use podnet_plugin_api::{HairpinMode, PodCidrs};
#[cfg(feature = "cni")]
use podnet_standard_plugins::PluginChoice;

#[cfg(feature = "cni")]
use crate::bin_dirs::BinDirs;
use crate::non_masquerade::NonMasqueradeCidrs;

/// Where the kubelet looked for exec plugins unless told otherwise.
#[cfg(any(feature = "exec", feature = "kubenet"))]
const PLUGIN_DIR: &str = "/usr/libexec/kubernetes/kubelet-plugins/net/exec";
/// Where runtimes look for network configurations unless told otherwise.
#[cfg(feature = "cni")]
const CONF_DIR: &str = "/etc/cni/net.d";

/// What an operator says about the pod network of a node.
///
/// Each field is the kubelet's flag of that name, and so is its default, except where said. The rules between them are
/// checked by [`check`](Self::check).
///
/// ```
/// use podnet::{HairpinMode, NodeOptions};
///
/// let options = NodeOptions::default();
/// assert_eq!(options.network_plugin, None, "the no-op plugin");
/// assert_eq!(options.hairpin_mode, HairpinMode::HairpinVeth, "unlike the kubelet's");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Node options"))]
#[non_exhaustive]
pub struct NodeOptions {
    /// The network plugin to use: cni, kubenet, the name of an exec plugin, exec for the only one of its folder, or
    /// nothing for the no-op plugin
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "NAME"))]
    pub network_plugin: Option<String>,

    /// The folder with exec plugins: the plugin NAME is the program DIR/NAME/NAME, and VENDOR/NAME is
    /// DIR/VENDOR~NAME/NAME. kubenet looks there for the standard CNI programs, after --cni-bin-dir
    #[cfg(any(feature = "exec", feature = "kubenet"))]
    #[cfg_attr(
        feature = "clap",
        arg(long, global = true, value_name = "DIR", default_value = PLUGIN_DIR)
    )]
    pub network_plugin_dir: PathBuf,

    /// The MTU of the pod network in bytes, for kubenet only; 0 takes the smallest of the host's enabled interfaces
    #[cfg_attr(
        feature = "clap",
        arg(long, global = true, value_name = "BYTES", default_value_t = 0)
    )]
    pub network_plugin_mtu: u32,

    /// The subnet for this node's pods, such as 10.244.0.0/24; one of each family separated by a comma
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "CIDR[,CIDR]"))]
    pub pod_cidr: Option<PodCidrs>,

    /// Whether this node takes the first subnet of the cluster's, for a cluster of this node alone; with --cluster-cidr
    /// and instead of --pod-cidr
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            global = true,
            value_name = "BOOL",
            default_value_t = false,
            action = clap::ArgAction::Set,
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "true",
        )
    )]
    pub allocate_node_cidrs: bool,

    /// The subnet of the cluster's pods, of which --allocate-node-cidrs takes a part; one of each family separated by a
    /// comma
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "CIDR[,CIDR]"))]
    pub cluster_cidr: Option<PodCidrs>,

    /// The prefix length of the subnet that --allocate-node-cidrs takes; without it 24 for IPv4 and 64 for IPv6
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "BITS"))]
    pub node_cidr_mask_size: Option<u8>,

    /// Destinations to which pods appear with their own addresses, separated by commas; without it 10.0.0.0/8. To all
    /// others they appear with the node's; 0.0.0.0/0 leaves them theirs everywhere
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "CIDR[,CIDR].."))]
    pub non_masquerade_cidr: Option<NonMasqueradeCidrs>,

    /// How a pod reaches itself through a service. The kubelet's default was promiscuous-bridge, which hands the pod
    /// some frames twice
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            global = true,
            value_name = "MODE",
            default_value_t = HairpinMode::HairpinVeth,
            value_parser = hairpin_mode_parser(),
        )
    )]
    pub hairpin_mode: HairpinMode,

    /// Refused: cbr0 is made by kubenet and by nothing else
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            global = true,
            value_name = "BOOL",
            default_value_t = false,
            action = clap::ArgAction::Set,
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "true",
        )
    )]
    pub configure_cbr0: bool,

    /// Whether a change of the node's subnet reaches the plugin; kubenet needs it
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            global = true,
            value_name = "BOOL",
            default_value_t = true,
            action = clap::ArgAction::Set,
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "true",
        )
    )]
    pub reconcile_cidr: bool,

    /// The folder with CNI network configurations, for cni; the first one by name that can be used is the pods'
    #[cfg(feature = "cni")]
    #[cfg_attr(
        feature = "clap",
        arg(long, global = true, value_name = "DIR", default_value = CONF_DIR)
    )]
    pub cni_conf_dir: PathBuf,

    /// The folders with CNI programs, in the order in which they are searched
    #[cfg(feature = "cni")]
    #[cfg_attr(
        feature = "clap",
        arg(long, global = true, value_name = "DIR[:DIR]..", default_value_t = BinDirs::default())
    )]
    pub cni_bin_dir: BinDirs,

    /// Who runs the CNI plugins that are part of podnet: the programs installed in --cni-bin-dir, or podnet itself
    /// where none is installed (auto), the installed programs only, or podnet itself only (builtin)
    #[cfg(feature = "cni")]
    #[cfg_attr(
        feature = "clap",
        arg(
            long,
            global = true,
            value_name = "WHICH",
            default_value_t = PluginChoice::Auto,
            value_parser = plugin_choice_parser(),
        )
    )]
    pub cni_plugins: PluginChoice,

    /// A folder for all state: DIR/networks for the addresses that kubenet reserves, DIR/results for what cni attached,
    /// DIR/run for locks. Without it they are where the CNI plugins and runtimes have them, in /var/lib/cni, and in
    /// /run/podnet
    #[cfg_attr(feature = "clap", arg(long, global = true, value_name = "DIR"))]
    pub state_dir: Option<PathBuf>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            network_plugin: None,
            #[cfg(any(feature = "exec", feature = "kubenet"))]
            network_plugin_dir: PLUGIN_DIR.into(),
            network_plugin_mtu: 0,
            pod_cidr: None,
            allocate_node_cidrs: false,
            cluster_cidr: None,
            node_cidr_mask_size: None,
            non_masquerade_cidr: None,
            hairpin_mode: HairpinMode::HairpinVeth,
            configure_cbr0: false,
            reconcile_cidr: true,
            #[cfg(feature = "cni")]
            cni_conf_dir: CONF_DIR.into(),
            #[cfg(feature = "cni")]
            cni_bin_dir: BinDirs::default(),
            #[cfg(feature = "cni")]
            cni_plugins: PluginChoice::Auto,
            state_dir: None,
        }
    }
}

/// Has the modes offered by help and completions.
#[cfg(feature = "clap")]
fn hairpin_mode_parser() -> impl clap::builder::TypedValueParser<Value = HairpinMode> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};

    let modes = HairpinMode::ALL.map(HairpinMode::as_str);
    PossibleValuesParser::new(modes).try_map(|mode| mode.parse::<HairpinMode>())
}

/// Has the choices offered by help and completions.
#[cfg(all(feature = "clap", feature = "cni"))]
fn plugin_choice_parser() -> impl clap::builder::TypedValueParser<Value = PluginChoice> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};

    let choices = PluginChoice::ALL.map(PluginChoice::as_str);
    PossibleValuesParser::new(choices).try_map(|choice| choice.parse::<PluginChoice>())
}

#[cfg(all(test, feature = "clap"))]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        options: NodeOptions,
    }

    fn parse(arguments: &[&str]) -> NodeOptions {
        Node::parse_from(std::iter::once("node").chain(arguments.iter().copied())).options
    }

    #[test]
    fn no_arguments_are_the_default() {
        assert_eq!(parse(&[]), NodeOptions::default());
    }

    #[cfg(all(feature = "cni", feature = "exec"))]
    #[test]
    fn folders_are_the_kubelets_unless_given() {
        let usual = parse(&[]);
        let folders = [usual.network_plugin_dir, usual.cni_conf_dir];
        assert_eq!(folders, [PathBuf::from(PLUGIN_DIR), CONF_DIR.into()]);
        assert_eq!(usual.cni_bin_dir.to_string(), "/opt/cni/bin");
        let given = parse(&["--network-plugin-dir=/usr/lib/kubernetes", "--cni-conf-dir=/nets"]);
        let folders = [given.network_plugin_dir, given.cni_conf_dir];
        assert_eq!(folders, [PathBuf::from("/usr/lib/kubernetes"), "/nets".into()]);
    }

    #[test]
    fn booleans_are_given_as_the_kubelet_takes_them() {
        assert!(parse(&["--configure-cbr0"]).configure_cbr0);
        assert!(!parse(&["--configure-cbr0=false"]).configure_cbr0);
        assert!(!parse(&["--reconcile-cidr=false"]).reconcile_cidr);
        assert!(parse(&["--reconcile-cidr"]).reconcile_cidr);
    }

    #[cfg(feature = "cni")]
    #[test]
    fn several_folders_with_programs_are_separated_by_colons_or_commas() {
        for list in ["--cni-bin-dir=/a:/b", "--cni-bin-dir=/a,/b", "--cni-bin-dir=:/a,, /b"] {
            assert_eq!(parse(&[list]).cni_bin_dir.to_string(), "/a:/b", "{list}");
        }
    }
}
