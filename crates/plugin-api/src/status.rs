//! What a plugin reports: the addresses of a pod, and why it is not ready.

use std::fmt;
use std::net::IpAddr;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// The addresses of a pod, at least one.
///
/// Serialises as the kubelet's object: `{"apiVersion":"v1beta1","kind":"PodNetworkStatus","ip":FIRST,"ips":[..]}`.
///
/// ```
/// use podnet_plugin_api::PodNetworkStatus;
///
/// let status = PodNetworkStatus::new(vec!["10.244.0.2".parse()?, "fd00::2".parse()?]).ok_or("an address")?;
/// assert_eq!(status.ip().to_string(), "10.244.0.2");
/// assert_eq!(PodNetworkStatus::new(Vec::new()), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodNetworkStatus {
    first: IpAddr,
    ips: Vec<IpAddr>,
}

impl PodNetworkStatus {
    /// A status with these addresses, the primary one first; `None` where there is none.
    #[must_use]
    pub fn new(ips: Vec<IpAddr>) -> Option<Self> {
        ips.first().copied().map(|first| Self { first, ips })
    }

    /// The pod's primary address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.first
    }

    /// All addresses, the primary one first.
    #[must_use]
    pub fn ips(&self) -> &[IpAddr] {
        &self.ips
    }
}

impl From<IpAddr> for PodNetworkStatus {
    fn from(ip: IpAddr) -> Self {
        Self { first: ip, ips: vec![ip] }
    }
}

impl Serialize for PodNetworkStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("PodNetworkStatus", 4)?;
        object.serialize_field("apiVersion", "v1beta1")?;
        object.serialize_field("kind", "PodNetworkStatus")?;
        object.serialize_field("ip", &self.first)?;
        object.serialize_field("ips", &self.ips)?;
        object.end()
    }
}

/// Why a plugin cannot set up pods now: a word for programs and a line for a person.
///
/// Serialises as `{"reason":"NoPodCidr","message":".."}`, like a condition of a Kubernetes node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct NotReady {
    /// The kind of reason.
    pub reason: NotReadyReason,
    /// What is missing and what to do, in one lower-case line that begins with what it is about.
    pub message: String,
}

impl NotReady {
    /// A reason and its message.
    pub fn new(reason: NotReadyReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The kind of reason for which a plugin is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum NotReadyReason {
    /// [`init`](crate::NetworkPlugin::init) has not been called, or is still running.
    NotInitialised,
    /// The node has no subnet for its pods yet.
    NoPodCidr,
    /// No network configuration is there that can be used.
    NoNetworkConfig,
    /// A program or plugin that it needs is missing or too old.
    PluginsMissing,
    /// The node's network is not as the plugin needs it.
    HostNetwork,
    /// The network says that it cannot serve pods now.
    NetworkUnavailable,
}

impl fmt::Display for NotReadyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInitialised => "NotInitialised",
            Self::NoPodCidr => "NoPodCidr",
            Self::NoNetworkConfig => "NoNetworkConfig",
            Self::PluginsMissing => "PluginsMissing",
            Self::HostNetwork => "HostNetwork",
            Self::NetworkUnavailable => "NetworkUnavailable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_serialises_as_the_kubelets_object() {
        let ips = ["10.9.0.2", "fd00::2"].map(|ip| ip.parse().unwrap());
        let text = serde_json::to_string(&PodNetworkStatus::new(ips.to_vec())).unwrap();
        assert_eq!(
            text,
            r#"{"apiVersion":"v1beta1","kind":"PodNetworkStatus","ip":"10.9.0.2","ips":["10.9.0.2","fd00::2"]}"#
        );
    }

    #[test]
    fn not_ready_serialises_its_reason_as_displayed() {
        let not_ready = NotReady::new(NotReadyReason::NoPodCidr, "no pod CIDR yet");
        let value = serde_json::to_value(&not_ready).unwrap();
        assert_eq!(value["reason"], NotReadyReason::NoPodCidr.to_string());
        assert_eq!(not_ready.to_string(), "no pod CIDR yet");
    }
}
