//! `tuning`: changes kernel parameters and attributes of an interface that a plugin before it in the list made.
//!
//! Options, results and files are those of the Go program, so that either undoes what the other did. What differs: the
//! patterns of the allow-list match a whole key, a key may hold an interface's name with a dot, an ADD that fails puts the
//! interface back, and CHECK compares values as the kernel writes them, with any white space between their parts.

mod allow_list;
mod attributes;
mod backup;
mod options;

use std::path::{Path, PathBuf};

use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::{Link, NetKey, Netlink, Netns, sysctl};

use crate::error::Error;
use crate::host::{pod_netns, pod_netns_if_left};
use attributes::Attributes;
use backup::BackupFile;
use options::Options;

/// The reference's allow-list.
const ALLOW_LIST: &str = "/etc/cni/tuning/allowlist.conf";

/// The plugin, with the paths that its configuration does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tuning {
    /// A file of the node's operator with regular expressions, one a line. Where it exists, a sysctl must match one of them
    /// as a whole, in the notation of the configuration and with `IFNAME` as it stands there.
    pub allow_list: PathBuf,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { allow_list: PathBuf::from(ALLOW_LIST) }
    }
}

impl Tuning {
    /// The plugin with an allow-list in another place.
    #[must_use]
    pub fn with_allow_list(allow_list: &Path) -> Self {
        Self { allow_list: allow_list.to_owned() }
    }

    /// Sets the sysctls in the pod's namespace and the attributes of the request's interface, whose earlier ones are written
    /// to a file for DEL. Returns the result of the plugin before, with the interface's new MAC address and MTU.
    ///
    /// # Errors
    /// Before anything is touched: [`Error::Spec`], [`Error::InvalidOption`] for the configuration, [`Error::NotChained`],
    /// [`Error::SysctlNotAllowed`], [`Error::InvalidAllowList`], [`Error::OwnNetns`]. Afterwards [`Error::Net`] or
    /// [`Error::File`]; the interface is put back then.
    pub async fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let options = Options::from_request(request)?;
        let mut result =
            request.config.prev_result()?.ok_or(Error::NotChained { plugin: "tuning" })?;
        allow_list::check(&self.allow_list, options.sysctls.iter().map(|sysctl| &*sysctl.written))?;
        let netns = pod_netns(request)?;
        set_sysctls(&netns, &options)?;
        let interface = request.attachment()?.interface.as_str();
        if options.attributes != Attributes::default() {
            tune(&netns, interface, &options).await?;
            options.attributes.describe(interface, &mut result);
        }
        Ok(result)
    }

    /// Puts the interface's attributes back as the file of ADD has them, as far as that can be done, and removes the file.
    /// Sysctls stay, and end with the namespace.
    ///
    /// Nothing to put back is success, and so is an interface that cannot be put back: it is about to be deleted.
    ///
    /// # Errors
    /// [`Error::Spec`] when the request names no attachment; [`Error::Net`] when the system cannot tell whether the
    /// namespace is still there; [`Error::File`] when the file cannot be removed.
    pub async fn del(&self, request: &Request) -> Result<(), Error> {
        let attachment = request.attachment()?;
        let file = BackupFile::of(&options::data_dir(&request.config)?, attachment);
        let Some(before) = file.read() else { return Ok(()) };
        if let Some(netns) = pod_netns_if_left(request)? {
            let netlink = Netlink::open_in(&netns)?;
            if let Some(link) = netlink.link_by_name(attachment.interface.as_str()).await? {
                put_back(&netlink, &link, &before).await;
            }
        }
        file.remove()
    }

    /// Verifies that the sysctls and attributes have the values of the configuration. Without `promisc` the interface must
    /// not be promiscuous, as with the Go program.
    ///
    /// # Errors
    /// [`Error::CheckFailed`] naming the first that has another value; [`Error::NoPrevResult`].
    pub async fn check(&self, request: &Request) -> Result<(), Error> {
        let options = Options::from_request(request)?;
        request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
        let netns = pod_netns(request)?;
        check_sysctls(&netns, &options)?;
        let interface = request.attachment()?.interface.as_str();
        let link = Netlink::open_in(&netns)?.link_by_name(interface).await?;
        let missing =
            || Error::CheckFailed(format!("there is no interface {interface} in the pod"));
        options.attributes.check(&link.ok_or_else(missing)?)
    }

    /// Whether the options and the allow-list can be used (CNI 1.1.0, section 2, STATUS).
    ///
    /// # Errors
    /// [`Error::Spec`], [`Error::InvalidOption`], [`Error::SysctlNotAllowed`], [`Error::InvalidAllowList`].
    pub fn status(&self, request: &Request) -> Result<(), Error> {
        let options = Options::from_config(&request.config)?;
        allow_list::check(&self.allow_list, options.sysctls.iter().map(|sysctl| &*sysctl.written))
    }
}

fn set_sysctls(netns: &Netns, options: &Options) -> Result<(), Error> {
    if options.sysctls.is_empty() {
        return Ok(());
    }
    let set = || {
        let mut sysctls = options.sysctls.iter();
        sysctls.try_for_each(|sysctl| sysctl::set_net(&sysctl.key, &sysctl.value))
    };
    Ok(netns.run(set)??)
}

/// The kernel puts tabs between the parts of a value where an operator writes a blank.
fn check_sysctls(netns: &Netns, options: &Options) -> Result<(), Error> {
    let read = |key: &NetKey| sysctl::read_net(key);
    let now = netns.run(|| {
        let values = options.sysctls.iter().map(|sysctl| read(&sysctl.key));
        values.collect::<Result<Vec<_>, _>>()
    })??;
    for (sysctl, now) in options.sysctls.iter().zip(now) {
        if !now.split_whitespace().eq(sysctl.value.split_whitespace()) {
            let (key, wanted) = (&sysctl.key, &sysctl.value);
            let what = format!("sysctl {key} is {now:?}, the configuration has {wanted:?}");
            return Err(Error::CheckFailed(what));
        }
    }
    Ok(())
}

/// Writes down what the interface is like and changes it; puts it back if that fails half-way.
async fn tune(netns: &Netns, interface: &str, options: &Options) -> Result<(), Error> {
    let netlink = Netlink::open_in(netns)?;
    let link = netlink.require_link(interface).await?;
    let before = options.attributes.of(&link);
    options.backup.write(&before)?;
    let Err(error) = options.attributes.apply(&netlink, &link).await else { return Ok(()) };
    put_back(&netlink, &link, &before).await;
    if let Err(undo) = options.backup.remove() {
        return Err(Error::UndoFailed { first: Box::new(error.into()), undo: Box::new(undo) });
    }
    Err(error.into())
}

async fn put_back(netlink: &Netlink, link: &Link, before: &Attributes) {
    for error in before.restore(netlink, link).await {
        tracing::warn!("{error}; left as it is");
    }
}
