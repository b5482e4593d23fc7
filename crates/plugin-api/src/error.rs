//! Why an operation of a plugin did not happen.

use std::error::Error as StdError;
use std::fmt;

use crate::name::PluginName;
use crate::pod::PodSandbox;
use crate::status::NotReady;

/// What a flavour says happened, in its own type.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// An operation of a plugin that did not happen, by its cause.
///
/// The message is one whole line: it ends with the causes, which are to be had as sources too. Pods stand in it as
/// `NAMESPACE/NAME`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plugin cannot work on this node.
    #[error("cannot initialise network plugin {plugin}: {}", Chain(source.as_ref()))]
    Init {
        /// The plugin.
        plugin: PluginName,
        /// Why not.
        source: BoxError,
    },
    /// `init` was called before.
    #[error("network plugin {plugin} is initialised already")]
    AlreadyInitialised {
        /// The plugin.
        plugin: PluginName,
    },
    /// The plugin cannot follow an event.
    #[error("network plugin {plugin} cannot follow a change of the node: {}", Chain(source.as_ref()))]
    Event {
        /// The plugin.
        plugin: PluginName,
        /// Why not.
        source: BoxError,
    },
    /// The plugin cannot set up pods yet.
    #[error("cannot set up pod {pod} yet: {reason}")]
    NotReady {
        /// The pod.
        pod: String,
        /// What the plugin waits for.
        #[source]
        reason: NotReady,
    },
    /// The sandbox has no network namespace, and the operation needs one.
    #[error("pod {pod} has no network namespace: give the path of one that exists")]
    NoNetns {
        /// The pod.
        pod: String,
    },
    /// A pod's set-up failed and is undone, as far as the causes do not say otherwise.
    #[error("cannot set up pod {pod}: {causes}")]
    SetUp {
        /// The pod.
        pod: String,
        /// What failed first, then what could not be undone.
        #[source]
        causes: Causes,
    },
    /// A part of a pod's tear-down failed; all the others were done.
    #[error("cannot tear down pod {pod} completely: {causes}")]
    TearDown {
        /// The pod.
        pod: String,
        /// Everything that failed.
        #[source]
        causes: Causes,
    },
    /// A pod's addresses should be known and cannot be told.
    #[error("cannot tell the addresses of pod {pod}: {}", Chain(source.as_ref()))]
    PodStatus {
        /// The pod.
        pod: String,
        /// Why not.
        source: BoxError,
    },
}

impl Error {
    /// [`Error::Init`] of this plugin.
    pub fn init(plugin: &PluginName, cause: impl Into<BoxError>) -> Self {
        Self::Init { plugin: plugin.clone(), source: cause.into() }
    }

    /// [`Error::Event`] of this plugin.
    pub fn event(plugin: &PluginName, cause: impl Into<BoxError>) -> Self {
        Self::Event { plugin: plugin.clone(), source: cause.into() }
    }

    /// [`Error::NotReady`] for this pod.
    #[must_use]
    pub fn not_ready(pod: &PodSandbox, reason: NotReady) -> Self {
        Self::NotReady { pod: pod.to_string(), reason }
    }

    /// [`Error::NoNetns`] for this pod.
    #[must_use]
    pub fn no_netns(pod: &PodSandbox) -> Self {
        Self::NoNetns { pod: pod.to_string() }
    }

    /// [`Error::SetUp`] for this pod, from one error or from several [`Causes`].
    pub fn set_up(pod: &PodSandbox, causes: impl Into<BoxError>) -> Self {
        Self::SetUp { pod: pod.to_string(), causes: Causes::new(causes) }
    }

    /// [`Error::TearDown`] for this pod, from one error or from several [`Causes`].
    pub fn tear_down(pod: &PodSandbox, causes: impl Into<BoxError>) -> Self {
        Self::TearDown { pod: pod.to_string(), causes: Causes::new(causes) }
    }

    /// [`Error::PodStatus`] for this pod.
    pub fn pod_status(pod: &PodSandbox, cause: impl Into<BoxError>) -> Self {
        Self::PodStatus { pod: pod.to_string(), source: cause.into() }
    }

    /// Why, without what was tried and on which pod.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Init { source, .. }
            | Self::Event { source, .. }
            | Self::PodStatus { source, .. } => Chain(source.as_ref()).to_string(),
            Self::AlreadyInitialised { .. } => "the plugin is initialised already".to_owned(),
            Self::NotReady { reason, .. } => reason.to_string(),
            Self::NoNetns { .. } => {
                "it has no network namespace: give the path of one that exists".to_owned()
            }
            Self::SetUp { causes, .. } | Self::TearDown { causes, .. } => causes.to_string(),
        }
    }
}

/// One or more errors, in the order in which they happened.
///
/// Shown one after the other with `; then ` between them, each with its sources. Collecting nothing gives `None`:
///
/// ```
/// use podnet_plugin_api::Causes;
///
/// let mut causes = Causes::new("address range is full");
/// causes.push("cannot remove veth1a2b: device is busy");
/// assert_eq!(causes.to_string(), "address range is full; then cannot remove veth1a2b: device is busy");
/// assert!(Causes::collect::<&str>([]).is_none());
/// ```
#[derive(Debug)]
pub struct Causes {
    first: BoxError,
    later: Vec<BoxError>,
}

impl Causes {
    /// One error, or those that it consists of where it is `Causes` itself.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        match cause.into().downcast::<Self>() {
            Ok(causes) => *causes,
            Err(first) => Self { first, later: Vec::new() },
        }
    }

    /// All of these, or `None` where there are none.
    pub fn collect<E: Into<BoxError>>(causes: impl IntoIterator<Item = E>) -> Option<Self> {
        let mut causes = causes.into_iter().map(Into::into);
        let first = causes.next()?;
        Some(Self { first, later: causes.collect() })
    }

    /// Adds what failed after that.
    pub fn push(&mut self, cause: impl Into<BoxError>) {
        self.later.push(cause.into());
    }

    /// The errors in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(dyn StdError + Send + Sync + 'static)> {
        std::iter::once(&self.first).chain(&self.later).map(AsRef::as_ref)
    }
}

impl StdError for Causes {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.first.as_ref())
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain(self.first.as_ref()).fmt(f)?;
        self.later.iter().try_for_each(|cause| write!(f, "; then {}", Chain(cause.as_ref())))
    }
}

/// An error and its sources in one line; a source that an error has in its own words is not repeated.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            let text = source.to_string();
            // The number that std puts behind the system's words says nothing more.
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Step {
        text: &'static str,
        source: std::io::Error,
    }

    fn step(text: &'static str) -> Step {
        Step { text, source: std::io::Error::other("disk is full") }
    }

    #[test]
    fn sources_are_told_once() {
        let pod = PodSandbox::new("default", "web", "a1").unwrap();
        let silent = Error::set_up(&pod, step("cannot reserve an address"));
        let telling = Error::set_up(&pod, step("cannot reserve an address: disk is full"));
        assert_eq!(silent.to_string(), telling.to_string());
        assert_eq!(
            silent.to_string(),
            "cannot set up pod default/web: cannot reserve an address: disk is full"
        );
    }

    #[test]
    fn causes_are_told_in_their_order() {
        let pod = PodSandbox::new("default", "web", "a1").unwrap();
        let causes = Causes::collect([step("first"), step("second")]).unwrap();
        assert_eq!(
            Error::tear_down(&pod, causes).to_string(),
            "cannot tear down pod default/web completely: first: disk is full; then second: disk is full"
        );
    }
}
