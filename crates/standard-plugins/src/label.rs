//! The label of an attachment: the key from which every name on the host follows, so that all of it can be found again
//! with the namespace gone, the configuration changed and the cache lost.

use podnet_cni_spec::{ContainerId, InterfaceName, NetworkName, Request};
use podnet_netutil::{Link, MacAddr, Netlink};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Room for the text attached to a link, in bytes (`IFALIASZ` less the closing zero).
const ALIAS_BYTES: usize = 255;
const ALIAS_PREFIX: &str = "podnet:";
/// `veth` and eleven digits fill the fifteen bytes of a name; rules that match `veth+` (kubelet's, Docker's) match it.
const HOST_END_PREFIX: &str = "veth";
const NAME_DIGITS: usize = 11;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// One attachment: a container's interface in a network.
///
/// ```
/// use podnet_standard_plugins::Label;
/// let label = Label::new("kubenet".parse()?, "a1".parse()?, "eth0".parse()?)?;
/// assert_eq!(label.alias(), "podnet:kubenet/a1/eth0");
/// assert_eq!(Label::from_alias("podnet:kubenet/a1/eth0"), Some(label.clone()));
/// assert!(label.host_end().starts_with("veth") && label.host_end().len() == 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    network: NetworkName,
    container_id: ContainerId,
    interface: InterfaceName,
}

impl Label {
    /// The label of `interface` of `container_id` in `network`.
    ///
    /// # Errors
    /// [`Error::LabelTooLong`] when the three together do not fit the text that can be attached to a link.
    pub fn new(
        network: NetworkName,
        container_id: ContainerId,
        interface: InterfaceName,
    ) -> Result<Self, Error> {
        let label = Self { network, container_id, interface };
        let bytes = label.alias().len();
        if bytes > ALIAS_BYTES {
            return Err(Error::LabelTooLong { bytes, most: ALIAS_BYTES });
        }
        Ok(label)
    }

    /// The label of the attachment that `request` is about.
    ///
    /// # Errors
    /// [`Error::Spec`] when the request names no attachment or no network; [`Error::LabelTooLong`].
    pub fn of(request: &Request) -> Result<Self, Error> {
        let attachment = request.attachment()?;
        let network = request.config.name()?;
        Self::new(network, attachment.container_id.clone(), attachment.interface.clone())
    }

    /// Reads a label back from the text attached to a link; none where it is not one of ours.
    #[must_use]
    pub fn from_alias(alias: &str) -> Option<Self> {
        let mut parts = alias.strip_prefix(ALIAS_PREFIX)?.split('/');
        let label = Self {
            network: parts.next()?.parse().ok()?,
            container_id: parts.next()?.parse().ok()?,
            interface: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(label)
    }

    /// The label that the host end of a pod's interface bears; none where that end is not here or not one of ours.
    ///
    /// # Errors
    /// [`podnet_netutil::Error`] when the kernel cannot be asked.
    pub async fn behind(
        host: &Netlink,
        pod_end: &Link,
    ) -> Result<Option<Self>, podnet_netutil::Error> {
        let Some(index) = pod_end.peer else { return Ok(None) };
        let host_end = host.link_by_index(index).await?;
        // An index says nothing of the namespace it belongs to; that both point at each other does.
        let host_end = host_end.filter(|host_end| host_end.peer == Some(pod_end.index));
        Ok(host_end.and_then(|host_end| Self::from_alias(&host_end.alias?)))
    }

    /// The text attached to the host end (`ip link show` calls it alias). `/` stands in none of the three parts.
    #[must_use]
    pub fn alias(&self) -> String {
        format!("{ALIAS_PREFIX}{}/{}/{}", self.network, self.container_id, self.interface)
    }

    /// The name of the host end of the veth pair.
    #[must_use]
    pub fn host_end(&self) -> String {
        self.link_name(HOST_END_PREFIX)
    }

    /// The name of a link of this attachment: a prefix of four letters and the digits that follow from the label.
    pub(crate) fn link_name(&self, prefix: &str) -> String {
        let digits = self.digest();
        let letters = digits.iter().take(NAME_DIGITS).filter_map(|byte| {
            BASE32.get(usize::from(byte & 31)).map(|letter| char::from(*letter))
        });
        prefix.chars().chain(letters).collect()
    }

    /// The Ethernet addresses of the host end and of the pod's end.
    pub(crate) fn macs(&self) -> (MacAddr, MacAddr) {
        let mut bytes = self.digest().into_iter().rev();
        let mut next = || MacAddr::local(std::array::from_fn(|_| bytes.next().unwrap_or_default()));
        (next(), next())
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.alias()).into()
    }

    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &NetworkName {
        &self.network
    }

    /// The container's id.
    #[must_use]
    pub fn container_id(&self) -> &ContainerId {
        &self.container_id
    }

    /// The interface's name inside the pod.
    #[must_use]
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(network: &str, id: &str, interface: &str) -> Label {
        Label::new(network.parse().unwrap(), id.parse().unwrap(), interface.parse().unwrap())
            .unwrap()
    }

    #[test]
    fn names_differ_where_only_the_boundaries_between_parts_do() {
        let one = label("a-b", "c", "eth0");
        let other = label("a", "b-c", "eth0");
        assert_ne!(one.host_end(), other.host_end());
        assert_ne!(one.macs(), other.macs());
    }

    #[test]
    fn foreign_aliases_are_no_labels() {
        for alias in [
            "",
            "uplink",
            "podnet:",
            "podnet:net/id",
            "podnet:net/id/eth0/more",
            "podnet:net//eth0",
        ] {
            assert_eq!(Label::from_alias(alias), None, "{alias}");
        }
    }

    #[test]
    fn a_label_that_does_not_fit_is_refused() {
        let long = "x".repeat(240);
        let refused = Label::new(
            "net".parse().unwrap(),
            long.parse().unwrap(),
            "eth0.1234567890".parse().unwrap(),
        );
        assert!(matches!(refused, Err(Error::LabelTooLong { .. })));
    }
}
