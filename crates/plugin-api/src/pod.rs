//! A pod's sandbox, as a runtime describes it to a plugin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::charset;
use crate::port_mapping::PortMapping;

/// The longest DNS label, in bytes.
const LONGEST_LABEL: usize = 63;
/// The longest DNS name, in bytes.
const LONGEST_SUBDOMAIN: usize = 253;
/// The longest sandbox id, in bytes: it becomes part of file names.
const LONGEST_ID: usize = 255;

/// One sandbox of a pod: who it is, and what its network needs to know.
///
/// Namespace, name and id are checked when the value is made and do not change afterwards. A pod that is restarted has
/// the same namespace and name and another id. Shown as `NAMESPACE/NAME`.
///
/// ```
/// use podnet_plugin_api::PodSandbox;
///
/// let web = PodSandbox::new("default", "web", "4f2a9c")?
///     .with_netns("/run/netns/web")
///     .with_annotation("kubernetes.io/ingress-bandwidth", "10M");
/// assert_eq!(web.to_string(), "default/web");
/// # Ok::<(), podnet_plugin_api::InvalidPod>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSandbox {
    namespace: String,
    name: String,
    id: String,
    /// The pod's Kubernetes UID, where the runtime knows it.
    pub uid: Option<String>,
    /// The path of its network namespace; `None` where it is gone, which only a tear-down accepts.
    pub netns: Option<PathBuf>,
    /// The pod's annotations.
    pub annotations: BTreeMap<String, String>,
    /// The host ports that lead to the pod.
    pub port_mappings: Vec<PortMapping>,
}

impl PodSandbox {
    /// A sandbox without UID, namespace path, annotations and host ports.
    ///
    /// `namespace` is a DNS label (RFC 1123, 63 bytes), `name` a DNS subdomain (253 bytes), as Kubernetes has them;
    /// `id` begins with a letter or digit and consists of `A-Z a-z 0-9 - _ .`, as CNI 1.1.0, section 2, has it.
    ///
    /// # Errors
    /// [`InvalidPod`] quotes what is wrong and says the rule.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        id: impl Into<String>,
    ) -> Result<Self, InvalidPod> {
        Ok(Self {
            namespace: checked(namespace.into(), is_label, InvalidPod::Namespace)?,
            name: checked(name.into(), is_subdomain, InvalidPod::Name)?,
            id: checked(id.into(), is_id, InvalidPod::Id)?,
            uid: None,
            netns: None,
            annotations: BTreeMap::new(),
            port_mappings: Vec::new(),
        })
    }

    /// The same with the pod's Kubernetes UID.
    #[must_use]
    pub fn with_uid(self, uid: impl Into<String>) -> Self {
        Self { uid: Some(uid.into()), ..self }
    }

    /// The same in the network namespace at `path`.
    #[must_use]
    pub fn with_netns(self, path: impl Into<PathBuf>) -> Self {
        Self { netns: Some(path.into()), ..self }
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The pod's Kubernetes namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pod's name, unique in its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sandbox's id, unique on the node: what CNI calls the container id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for PodSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A pod that cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPod {
    /// The namespace is no DNS label.
    #[error(
        "pod namespace {0:?} is invalid: it must have 1 to 63 lowercase letters, digits and '-', and begin and end with a letter or digit"
    )]
    Namespace(String),
    /// The name is no DNS subdomain.
    #[error(
        "pod name {0:?} is invalid: it must have 1 to 253 lowercase letters, digits, '-' and '.', and begin and end each part with a letter or digit"
    )]
    Name(String),
    /// The id has other characters or is too long.
    #[error(
        "sandbox id {0:?} is invalid: it must have 1 to 255 letters, digits, '-', '_' and '.', and begin with a letter or digit"
    )]
    Id(String),
}

fn checked(
    text: String,
    rule: fn(&[u8]) -> bool,
    invalid: fn(String) -> InvalidPod,
) -> Result<String, InvalidPod> {
    if rule(text.as_bytes()) { Ok(text) } else { Err(invalid(text)) }
}

fn is_label(text: &[u8]) -> bool {
    text.len() <= LONGEST_LABEL && !text.contains(&b'.') && charset::is_dns_subdomain(text)
}

fn is_subdomain(text: &[u8]) -> bool {
    text.len() <= LONGEST_SUBDOMAIN && charset::is_dns_subdomain(text)
}

fn is_id(text: &[u8]) -> bool {
    text.len() <= LONGEST_ID
        && text.first().is_some_and(u8::is_ascii_alphanumeric)
        && charset::is_word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_kubernetes_is_accepted() {
        let pod = PodSandbox::new("kube-system", "coredns-5d78.x1", "4F_a.b-c").unwrap();
        assert_eq!((pod.namespace(), pod.name()), ("kube-system", "coredns-5d78.x1"));
        assert_eq!(pod.id(), "4F_a.b-c");
    }

    #[test]
    fn each_part_is_checked_by_its_own_rule() {
        let longest = "a".repeat(63);
        let too_long = format!("{longest}a");
        let cases = [
            ("", "web", "a1", "pod namespace \"\""),
            ("a.b", "web", "a1", "pod namespace"),
            ("Default", "web", "a1", "pod namespace"),
            (&too_long, "web", "a1", "pod namespace"),
            (&longest, "web_1", "a1", "pod name \"web_1\""),
            ("default", "../web", "a1", "pod name"),
            ("default", "web", "", "sandbox id"),
            ("default", "web", ".a1", "sandbox id"),
            ("default", "web", "a/1", "sandbox id \"a/1\" is invalid"),
        ];
        for (namespace, name, id, message) in cases {
            let error = PodSandbox::new(namespace, name, id).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
