//! What a runtime says of an attachment when it adds, checks or deletes it.

use std::path::PathBuf;

use podnet_cni_spec::{Attachment, CniArgs, ContainerId, InterfaceName};

use crate::capability::CapabilityArgs;

/// One interface of one container, with all that the runtime, not the configuration, says of it.
///
/// What libcni calls `RuntimeConf`.
///
/// # Examples
/// ```
/// use podnet_cni_plugin::{Capability, CapabilityArgs, RuntimeConf};
/// use podnet_cni_spec::{CniArgs, ContainerId, InterfaceName};
///
/// let mac = Capability::Mac("02:00:00:00:00:05".to_owned());
/// let conf = RuntimeConf::new(ContainerId::new("c0ffee")?, InterfaceName::new("eth0")?)
///     .with_netns("/run/netns/web")
///     .with_args(CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web")?)
///     .with_capability_args(CapabilityArgs::default().with(&mac));
/// assert_eq!(conf.attachment.args.get("K8S_POD_NAME"), Some("web"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RuntimeConf {
    /// Container, interface, namespace and `CNI_ARGS`: what plugins find in their environment.
    pub attachment: Attachment,
    /// What plugins find in `runtimeConfig`, each only what it declares.
    pub capability_args: CapabilityArgs,
}

impl RuntimeConf {
    /// An attachment without namespace and arguments.
    #[must_use]
    pub fn new(container_id: ContainerId, interface: InterfaceName) -> Self {
        let args = CniArgs::default();
        Self {
            attachment: Attachment { container_id, interface, netns: None, args },
            capability_args: CapabilityArgs::default(),
        }
    }

    /// The same with the path of the container's network namespace, `CNI_NETNS`.
    #[must_use]
    pub fn with_netns(mut self, netns: impl Into<PathBuf>) -> Self {
        self.attachment.netns = Some(netns.into());
        self
    }

    /// The same with these `CNI_ARGS`.
    #[must_use]
    pub fn with_args(mut self, args: CniArgs) -> Self {
        self.attachment.args = args;
        self
    }

    /// The same with these capability arguments.
    #[must_use]
    pub fn with_capability_args(mut self, capability_args: CapabilityArgs) -> Self {
        self.capability_args = capability_args;
        self
    }
}
