//! What a plugin is told at its start.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnetwork::{IpNetwork, Ipv4Network};

use crate::mtu::Mtu;

/// The node's settings that concern every plugin, as [`init`](crate::NetworkPlugin::init) receives them.
///
/// ```
/// use podnet_plugin_api::{HairpinMode, Mtu, Settings};
///
/// let settings = Settings::default().with_mtu(Mtu::new(9001)?);
/// assert_eq!(settings.hairpin_mode, HairpinMode::HairpinVeth);
/// # Ok::<(), podnet_plugin_api::InvalidMtu>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How a pod reaches itself through its service (kubelet `--hairpin-mode`).
    pub hairpin_mode: HairpinMode,
    /// Destinations to which pods appear with their own addresses (kubelet `--non-masquerade-cidr`).
    pub non_masquerade_cidrs: Vec<IpNetwork>,
    /// The MTU of the pod network; `None` has the plugin find it out (kubelet `--network-plugin-mtu`, where 0 says so).
    pub mtu: Option<Mtu>,
}

impl Default for Settings {
    /// Hairpin on the pods' veths, `10.0.0.0/8` not masqueraded, the MTU detected.
    fn default() -> Self {
        let ten = Ipv4Network::new_checked(Ipv4Addr::new(10, 0, 0, 0), 8);
        Self {
            hairpin_mode: HairpinMode::default(),
            non_masquerade_cidrs: ten.into_iter().map(IpNetwork::V4).collect(),
            mtu: None,
        }
    }
}

impl Settings {
    /// The same with another hairpin mode.
    #[must_use]
    pub fn with_hairpin_mode(self, hairpin_mode: HairpinMode) -> Self {
        Self { hairpin_mode, ..self }
    }

    /// The same with other destinations that are not masqueraded.
    #[must_use]
    pub fn with_non_masquerade_cidrs(self, non_masquerade_cidrs: Vec<IpNetwork>) -> Self {
        Self { non_masquerade_cidrs, ..self }
    }

    /// The same with this MTU, or with its detection for `None`.
    #[must_use]
    pub fn with_mtu(self, mtu: impl Into<Option<Mtu>>) -> Self {
        Self { mtu: mtu.into(), ..self }
    }
}

/// How a pod reaches itself when it calls a service that chooses it as its end.
///
/// A bridge does not send a frame back through the port that it came in by, unless told to.
///
/// The kubelet's default was `promiscuous-bridge`, which hands the pod some frames twice; here it is `hairpin-veth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HairpinMode {
    /// Each pod's bridge port may send a frame back (`hairpin-veth`).
    #[default]
    HairpinVeth,
    /// The bridge itself takes every frame and routes it back (`promiscuous-bridge`).
    PromiscuousBridge,
    /// A pod does not reach itself through a service (`none`).
    None,
}

impl HairpinMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::HairpinVeth, Self::PromiscuousBridge, Self::None];

    /// The mode as the kubelet's flag has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HairpinVeth => "hairpin-veth",
            Self::PromiscuousBridge => "promiscuous-bridge",
            Self::None => "none",
        }
    }
}

impl fmt::Display for HairpinMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HairpinMode {
    type Err = UnknownHairpinMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        known.ok_or_else(|| UnknownHairpinMode(text.to_owned()))
    }
}

/// A text that names no [`HairpinMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown hairpin mode {0:?}: use hairpin-veth, promiscuous-bridge or none")]
pub struct UnknownHairpinMode(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hairpin_mode_reads_back() {
        for mode in HairpinMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert!("Hairpin-Veth".parse::<HairpinMode>().is_err());
    }

    #[test]
    fn ten_slash_eight_is_not_masqueraded_by_default() {
        assert_eq!(Settings::default().non_masquerade_cidrs, ["10.0.0.0/8".parse().unwrap()]);
    }
}
