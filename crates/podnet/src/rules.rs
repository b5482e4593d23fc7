//! The rules between a node's options, checked before anything is touched.

use podnet_plugin_api::{InvalidMtu, Mtu, PodCidr, PodCidrs, Settings};

use crate::options::NodeOptions;

/// The flavour that most rules are about.
const KUBENET: &str = "kubenet";
#[cfg(feature = "cni")]
const CNI: &str = "cni";

/// Whether the subnet for the pods must be among the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subnet {
    /// It must: pods are to be set up at once.
    Required,
    /// It may come later as an [`Event`](podnet_plugin_api::Event), or never, where pods are only torn down.
    Optional,
}

/// A node's options once they are known to fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodePlan {
    /// What the plugin is told at its start.
    pub settings: Settings,
    /// The subnet to send it as its first event.
    pub pod_cidrs: Option<PodCidrs>,
    /// What an operator should hear of.
    pub warnings: Vec<OptionsWarning>,
}

/// Options that do not fit together, in one line that says why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// `--configure-cbr0` together with kubenet, which makes cbr0 itself.
    #[error(
        "--configure-cbr0 and --network-plugin=kubenet exclude each other, because kubenet makes cbr0 itself: leave out --configure-cbr0"
    )]
    ConfigureCbr0WithKubenet,
    /// `--configure-cbr0` without kubenet.
    #[error(
        "--configure-cbr0 is not supported, because only kubenet makes cbr0: use --network-plugin=kubenet instead"
    )]
    ConfigureCbr0,
    /// `--reconcile-cidr=false` together with kubenet.
    #[error(
        "--network-plugin=kubenet needs --reconcile-cidr=true, because that is how the node's subnet reaches it: leave out --reconcile-cidr=false"
    )]
    ReconcileCidrOff,
    /// No subnet for kubenet's pods.
    #[error(
        "--network-plugin=kubenet needs a subnet for this node's pods: give one, such as --pod-cidr=10.244.0.0/24"
    )]
    NoSubnet,
    /// `--cni-plugins=installed` together with kubenet, which runs its plugins itself.
    #[error(
        "--cni-plugins=installed and --network-plugin=kubenet exclude each other, because kubenet runs its plugins itself: leave out --cni-plugins, or use --network-plugin=cni"
    )]
    InstalledPluginsWithKubenet,
    /// `--network-plugin-mtu` is out of range.
    #[error("--network-plugin-mtu: {0}, or 0 to take the host's")]
    Mtu(#[source] InvalidMtu),
    /// `--network-plugin-mtu` is too small for an IPv6 subnet.
    #[error(
        "--network-plugin-mtu={mtu} is too small for --pod-cidr={pod_cidrs}: IPv6 needs at least 1280 bytes; give a larger MTU or no IPv6 subnet"
    )]
    MtuBelowIpv6 {
        /// The MTU.
        mtu: Mtu,
        /// The subnets, one of which is of IPv6.
        pod_cidrs: PodCidrs,
    },
}

/// An option that is not taken as it was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsWarning {
    /// An MTU for a plugin that does not use it.
    #[error("--network-plugin-mtu={0} has no effect: of the network plugins only kubenet uses it")]
    MtuUnused(Mtu),
    /// An option of cni for another plugin.
    #[error("{0} has no effect: of the network plugins only cni uses it")]
    CniOptionUnused(&'static str),
    /// A subnet with host bits set.
    #[error("--pod-cidr={given} has host bits set: taken as {0}", given = .0.given())]
    HostBits(PodCidr),
}

impl NodeOptions {
    /// Checks the rules between the options. Reads nothing but the options.
    ///
    /// # Errors
    /// [`OptionsError`]: the first rule that is broken.
    pub fn check(&self, subnet: Subnet) -> Result<NodePlan, OptionsError> {
        self.check_cbr0()?;
        if self.is_kubenet() {
            self.check_kubenet(subnet)?;
            #[cfg(feature = "cni")]
            self.check_kubenets_plugins()?;
        }
        let mtu = self.mtu()?;
        self.check_ipv6(mtu)?;
        Ok(NodePlan {
            settings: Settings::default().with_hairpin_mode(self.hairpin_mode).with_mtu(mtu),
            pod_cidrs: self.pod_cidr.clone(),
            warnings: self.warnings(mtu),
        })
    }

    fn is_kubenet(&self) -> bool {
        self.network_plugin.as_deref() == Some(KUBENET)
    }

    fn check_cbr0(&self) -> Result<(), OptionsError> {
        match (self.configure_cbr0, self.is_kubenet()) {
            (true, true) => Err(OptionsError::ConfigureCbr0WithKubenet),
            (true, false) => Err(OptionsError::ConfigureCbr0),
            (false, _) => Ok(()),
        }
    }

    fn check_kubenet(&self, subnet: Subnet) -> Result<(), OptionsError> {
        if !self.reconcile_cidr {
            return Err(OptionsError::ReconcileCidrOff);
        }
        if subnet == Subnet::Required && self.pod_cidr.is_none() {
            return Err(OptionsError::NoSubnet);
        }
        Ok(())
    }

    #[cfg(feature = "cni")]
    fn check_kubenets_plugins(&self) -> Result<(), OptionsError> {
        use podnet_standard_plugins::PluginChoice;

        match self.cni_plugins {
            PluginChoice::Installed => Err(OptionsError::InstalledPluginsWithKubenet),
            _ => Ok(()),
        }
    }

    fn mtu(&self) -> Result<Option<Mtu>, OptionsError> {
        match self.network_plugin_mtu {
            0 => Ok(None),
            bytes => Mtu::new(bytes).map(Some).map_err(OptionsError::Mtu),
        }
    }

    fn check_ipv6(&self, mtu: Option<Mtu>) -> Result<(), OptionsError> {
        match (mtu, &self.pod_cidr) {
            (Some(mtu), Some(cidrs)) if cidrs.has_ipv6() && !mtu.carries_ipv6() => {
                Err(OptionsError::MtuBelowIpv6 { mtu, pod_cidrs: cidrs.clone() })
            }
            _ => Ok(()),
        }
    }

    fn warnings(&self, mtu: Option<Mtu>) -> Vec<OptionsWarning> {
        let unused = mtu.filter(|_| !self.is_kubenet()).map(OptionsWarning::MtuUnused);
        let cidrs = self.pod_cidr.iter().flat_map(PodCidrs::iter);
        let host_bits = cidrs.filter(|cidr| cidr.had_host_bits()).copied();
        let warnings = unused.into_iter().chain(host_bits.map(OptionsWarning::HostBits));
        warnings.chain(self.unused_cni_options()).collect()
    }

    #[cfg(not(feature = "cni"))]
    #[expect(clippy::unused_self, reason = "without cni there are no such options")]
    fn unused_cni_options(&self) -> Option<OptionsWarning> {
        None
    }

    /// Those that are given to a plugin which does not look at them.
    #[cfg(feature = "cni")]
    fn unused_cni_options(&self) -> Vec<OptionsWarning> {
        if self.network_plugin.as_deref() == Some(CNI) {
            return Vec::new();
        }
        let usual = Self::default();
        let given = [
            ("--cni-conf-dir", self.cni_conf_dir != usual.cni_conf_dir),
            ("--cni-bin-dir", self.cni_bin_dir != usual.cni_bin_dir),
            ("--cni-plugins", self.cni_plugins != usual.cni_plugins && !self.is_kubenet()),
        ];
        let unused = given.into_iter().filter(|(_, given)| *given);
        unused.map(|(option, _)| OptionsWarning::CniOptionUnused(option)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubenet() -> NodeOptions {
        NodeOptions {
            network_plugin: Some("kubenet".to_owned()),
            pod_cidr: Some("10.9.0.0/24".parse().unwrap()),
            ..NodeOptions::default()
        }
    }

    fn refusal(options: &NodeOptions) -> OptionsError {
        options.check(Subnet::Required).unwrap_err()
    }

    #[test]
    fn what_excludes_kubenet_is_refused() {
        let cbr0 = NodeOptions { configure_cbr0: true, ..kubenet() };
        assert_eq!(refusal(&cbr0), OptionsError::ConfigureCbr0WithKubenet);
        let fixed = NodeOptions { reconcile_cidr: false, ..kubenet() };
        assert_eq!(refusal(&fixed), OptionsError::ReconcileCidrOff);
        let without = NodeOptions { pod_cidr: None, ..kubenet() };
        assert_eq!(refusal(&without), OptionsError::NoSubnet);
        assert!(without.check(Subnet::Optional).is_ok());
    }

    #[test]
    fn configuring_cbr0_is_refused_without_kubenet_too() {
        let options = NodeOptions { configure_cbr0: true, ..NodeOptions::default() };
        assert_eq!(refusal(&options), OptionsError::ConfigureCbr0);
    }

    #[test]
    fn the_mtu_must_be_in_range_and_fit_the_family() {
        let with = |bytes, cidr: &str| NodeOptions {
            network_plugin_mtu: bytes,
            pod_cidr: Some(cidr.parse().unwrap()),
            ..kubenet()
        };
        for bytes in [67, 65536] {
            assert_eq!(refusal(&with(bytes, "10.9.0.0/24")), OptionsError::Mtu(InvalidMtu(bytes)));
        }
        let refused = refusal(&with(1279, "10.9.0.0/24,fd00::/64"));
        assert!(matches!(refused, OptionsError::MtuBelowIpv6 { .. }));
        for options in [with(68, "10.9.0.0/24"), with(1280, "fd00::/64"), with(0, "fd00::/64")] {
            assert!(options.check(Subnet::Required).is_ok());
        }
    }

    #[test]
    fn every_refusal_is_one_line_that_says_what_to_do() {
        let options = NodeOptions { network_plugin_mtu: 9, ..kubenet() };
        assert_eq!(
            refusal(&options).to_string(),
            "--network-plugin-mtu: an MTU of 9 is out of range: it must be 68 to 65535 bytes, or 0 to take the host's"
        );
    }

    #[test]
    fn what_has_no_effect_or_is_changed_is_a_warning() {
        let options = NodeOptions {
            network_plugin_mtu: 9001,
            pod_cidr: Some("10.9.0.5/24".parse().unwrap()),
            ..NodeOptions::default()
        };
        let warnings = options.check(Subnet::Required).unwrap().warnings;
        let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "--network-plugin-mtu=9001 has no effect: of the network plugins only kubenet uses it",
                "--pod-cidr=10.9.0.5/24 has host bits set: taken as 10.9.0.0/24",
            ]
        );
    }

    #[cfg(feature = "cni")]
    #[test]
    fn kubenet_runs_its_plugins_itself() {
        use podnet_standard_plugins::PluginChoice;

        let with = |cni_plugins| NodeOptions { cni_plugins, ..kubenet() };
        let refused = refusal(&with(PluginChoice::Installed));
        assert_eq!(refused, OptionsError::InstalledPluginsWithKubenet);
        for choice in [PluginChoice::Auto, PluginChoice::Builtin] {
            assert_eq!(with(choice).check(Subnet::Required).unwrap().warnings, []);
        }
    }

    #[cfg(feature = "cni")]
    #[test]
    fn options_of_cni_are_a_warning_for_another_plugin() {
        let cni = NodeOptions {
            network_plugin: Some("cni".to_owned()),
            network_plugin_mtu: 1400,
            cni_conf_dir: "/etc/nets".into(),
            ..NodeOptions::default()
        };
        let warnings = |options: &NodeOptions| options.check(Subnet::Required).unwrap().warnings;
        assert_eq!(warnings(&cni), [OptionsWarning::MtuUnused(Mtu::new(1400).unwrap())]);
        let kubenet = NodeOptions { cni_conf_dir: "/etc/nets".into(), ..kubenet() };
        assert_eq!(warnings(&kubenet), [OptionsWarning::CniOptionUnused("--cni-conf-dir")]);
    }
}
