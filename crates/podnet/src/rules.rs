//! The rules between a node's options, checked before anything is touched.

use podnet_plugin_api::{
    HairpinMode, InvalidMtu, Mtu, NodeCidrAllocator, NodeCidrError, NodeMaskSizes, PodCidr,
    PodCidrs, Settings,
};

use crate::non_masquerade::NonMasqueradeCidrs;
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
        "--network-plugin=kubenet needs a subnet for this node's pods: give one, such as --pod-cidr=10.244.0.0/24, or the cluster's to take one of, such as --allocate-node-cidrs --cluster-cidr=10.244.0.0/16"
    )]
    NoSubnet,
    /// A subnet is given and is to be taken out of the cluster's, too.
    #[error(
        "--pod-cidr and --allocate-node-cidrs exclude each other, because each gives this node its subnet: leave out one of them"
    )]
    TwoSubnets,
    /// `--allocate-node-cidrs` without `--cluster-cidr`.
    #[error(
        "--allocate-node-cidrs needs the cluster's subnet to take this node's out of: give it, such as --cluster-cidr=10.244.0.0/16"
    )]
    NoClusterCidr,
    /// An option of `--allocate-node-cidrs` without it.
    #[error(
        "{0} has no effect without --allocate-node-cidrs, which takes this node's subnet out of the cluster's: add that, or leave out {0}"
    )]
    NotAllocated(&'static str),
    /// One mask size for a cluster with two families.
    #[error(
        "--node-cidr-mask-size={0} cannot hold for both families of --cluster-cidr: leave it out, which takes a /24 and a /64, or give one family"
    )]
    MaskSizeOfTwoFamilies(u8),
    /// The cluster's subnet has none for this node.
    #[error("--allocate-node-cidrs: {0}; the size is that of --node-cidr-mask-size")]
    NodeCidr(#[from] NodeCidrError),
    /// `--network-plugin-mtu` is out of range.
    #[error("--network-plugin-mtu: {0}, or 0 to take the host's")]
    Mtu(#[source] InvalidMtu),
    /// `--network-plugin-mtu` is too small for an IPv6 subnet.
    #[error(
        "--network-plugin-mtu={mtu} is too small for the pod CIDR {pod_cidrs}: IPv6 needs at least 1280 bytes; give a larger MTU or no IPv6 subnet"
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
    /// A hairpin mode for a plugin that does not set one.
    #[error("--hairpin-mode={0} has no effect: of the network plugins only kubenet uses it")]
    HairpinModeUnused(HairpinMode),
    /// An option of cni for another plugin.
    #[error("{0} has no effect: of the network plugins only cni uses it")]
    CniOptionUnused(&'static str),
    /// Destinations for a plugin that does not masquerade.
    #[error(
        "--non-masquerade-cidr={0} has no effect: of the network plugins only kubenet is told of it"
    )]
    NonMasqueradeUnused(NonMasqueradeCidrs),
    /// A subnet with host bits set.
    #[error("{option}={given} has host bits set: taken as {cidr}", given = .cidr.given())]
    HostBits {
        /// The option that gave it.
        option: &'static str,
        /// The subnet.
        cidr: PodCidr,
    },
}

impl NodeOptions {
    /// Checks the rules between the options. Reads nothing but the options.
    ///
    /// # Errors
    /// [`OptionsError`]: the first rule that is broken.
    pub fn check(&self, subnet: Subnet) -> Result<NodePlan, OptionsError> {
        self.check_cbr0()?;
        let pod_cidrs = self.subnets()?;
        if self.is_kubenet() {
            self.check_kubenet(subnet, pod_cidrs.is_some())?;
        }
        let mtu = self.mtu()?;
        check_ipv6(mtu, pod_cidrs.as_ref())?;
        Ok(NodePlan { settings: self.settings(mtu), pod_cidrs, warnings: self.warnings(mtu) })
    }

    fn settings(&self, mtu: Option<Mtu>) -> Settings {
        let settings = Settings::default().with_hairpin_mode(self.hairpin_mode).with_mtu(mtu);
        match &self.non_masquerade_cidr {
            Some(cidrs) => settings.with_non_masquerade_cidrs(cidrs.as_slice().to_vec()),
            None => settings,
        }
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

    fn check_kubenet(&self, subnet: Subnet, has_subnet: bool) -> Result<(), OptionsError> {
        if !self.reconcile_cidr {
            return Err(OptionsError::ReconcileCidrOff);
        }
        if subnet == Subnet::Required && !has_subnet {
            return Err(OptionsError::NoSubnet);
        }
        Ok(())
    }

    /// The node's subnets: those given, or the first free ones of the cluster's.
    fn subnets(&self) -> Result<Option<PodCidrs>, OptionsError> {
        match (self.allocate_node_cidrs, &self.cluster_cidr) {
            (true, _) if self.pod_cidr.is_some() => Err(OptionsError::TwoSubnets),
            (true, None) => Err(OptionsError::NoClusterCidr),
            (true, Some(cluster)) => self.allocate(cluster).map(Some),
            (false, Some(_)) => Err(OptionsError::NotAllocated("--cluster-cidr")),
            (false, None) if self.node_cidr_mask_size.is_some() => {
                Err(OptionsError::NotAllocated("--node-cidr-mask-size"))
            }
            (false, None) => Ok(self.pod_cidr.clone()),
        }
    }

    fn allocate(&self, cluster: &PodCidrs) -> Result<PodCidrs, OptionsError> {
        let masks = match self.node_cidr_mask_size {
            None => NodeMaskSizes::default(),
            Some(size) if cluster.iter().count() > 1 => {
                return Err(OptionsError::MaskSizeOfTwoFamilies(size));
            }
            Some(size) => NodeMaskSizes { v4: size, v6: size },
        };
        Ok(NodeCidrAllocator::new(cluster, masks)?.allocate()?)
    }

    fn mtu(&self) -> Result<Option<Mtu>, OptionsError> {
        match self.network_plugin_mtu {
            0 => Ok(None),
            bytes => Mtu::new(bytes).map(Some).map_err(OptionsError::Mtu),
        }
    }

    fn warnings(&self, mtu: Option<Mtu>) -> Vec<OptionsWarning> {
        let unused = mtu.filter(|_| !self.is_kubenet()).map(OptionsWarning::MtuUnused);
        let hairpin = Some(self.hairpin_mode)
            .filter(|mode| *mode != HairpinMode::default() && !self.is_kubenet())
            .map(OptionsWarning::HairpinModeUnused);
        let warnings = unused.into_iter().chain(hairpin).chain(self.masquerade_warning());
        let warnings = warnings.chain(host_bits("--pod-cidr", self.pod_cidr.as_ref()));
        let warnings = warnings.chain(host_bits("--cluster-cidr", self.cluster_cidr.as_ref()));
        warnings.chain(self.unused_cni_options()).collect()
    }

    fn masquerade_warning(&self) -> Option<OptionsWarning> {
        let cidrs = self.non_masquerade_cidr.clone().filter(|_| !self.is_kubenet())?;
        Some(OptionsWarning::NonMasqueradeUnused(cidrs))
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
            ("--cni-bin-dir", self.cni_bin_dir != usual.cni_bin_dir && !self.is_kubenet()),
            ("--cni-plugins", self.cni_plugins != usual.cni_plugins && !self.is_kubenet()),
        ];
        let unused = given.into_iter().filter(|(_, given)| *given);
        unused.map(|(option, _)| OptionsWarning::CniOptionUnused(option)).collect()
    }
}

fn check_ipv6(mtu: Option<Mtu>, pod_cidrs: Option<&PodCidrs>) -> Result<(), OptionsError> {
    match (mtu, pod_cidrs) {
        (Some(mtu), Some(cidrs)) if cidrs.has_ipv6() && !mtu.carries_ipv6() => {
            Err(OptionsError::MtuBelowIpv6 { mtu, pod_cidrs: cidrs.clone() })
        }
        _ => Ok(()),
    }
}

fn host_bits(
    option: &'static str,
    cidrs: Option<&PodCidrs>,
) -> impl Iterator<Item = OptionsWarning> {
    let cidrs = cidrs.into_iter().flat_map(PodCidrs::iter).filter(|cidr| cidr.had_host_bits());
    cidrs.map(move |cidr| OptionsWarning::HostBits { option, cidr: *cidr })
}

#[cfg(test)]
mod tests;
