//! `firewall`: lets a pod's traffic pass the host's own firewall, behind the plugin that attached it.
//!
//! Options, chains, rules and zones are those of the reference's plugin of the same name, so that either removes what the
//! other made. By `iptables`, of either flavour, the chain `CNI-FORWARD` at the head of FORWARD accepts what a pod sends
//! and the answers to it, ahead of that the chain of `iptablesAdminChainName` decides, and an `ingressPolicy` keeps
//! bridges, or the pods of one, from each other. By `firewalld` a pod's addresses are sources of a zone.
//!
//! What differs: a family of which the pod has no address is not looked at; a family's rules are made in one transaction,
//! and two ADDs at once make none twice; an ADD that fails takes its rules back; CHECK makes nothing, and finds what an
//! `ingressPolicy` lacks too; `isolated` and `same-bridge` stay ahead of `CNI-FORWARD` when FORWARD was flushed.
//!
//! DEL without a `prevResult` finds the pod's addresses by its interface and by host-local's store in its usual place.
//! GC has only the store: of an address that is not in it nothing tells whose it is, and two rules stay until a pod with
//! that address is deleted. As with the reference, chains stay, and a bridge's policy outlasts its pods.

mod addresses;
mod bus;
mod firewalld;
mod iptables;
mod layout;
mod options;

use std::net::IpAddr;
use std::path::PathBuf;

use podnet_cni_spec::{AddResult, CniError, ErrorCode, Request};

use crate::error::Error;
use crate::host::{Host, pod_netns};
use firewalld::Firewalld;
use options::{Backend, Options, Removal};

/// Where the bus of the system listens.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// host-local's stores.
const NETWORKS_DIR: &str = "/var/lib/cni/networks";

/// The plugin, with what its configuration does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firewall {
    /// The address of the bus on which firewalld is looked for, as `DBUS_SYSTEM_BUS_ADDRESS` has it.
    pub system_bus: String,
    /// Where host-local has its stores, for a DEL without `prevResult` and for GC.
    pub networks_dir: PathBuf,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { system_bus: SYSTEM_BUS.to_owned(), networks_dir: PathBuf::from(NETWORKS_DIR) }
    }
}

/// Who lets pods pass on this host.
enum Chosen {
    Iptables,
    Firewalld(Firewalld),
}

impl Firewall {
    /// The plugin with firewalld on another bus.
    #[must_use]
    pub fn with_system_bus(self, system_bus: impl Into<String>) -> Self {
        Self { system_bus: system_bus.into(), ..self }
    }

    /// The plugin with host-local's stores in another place.
    #[must_use]
    pub fn with_networks_dir(self, networks_dir: impl Into<PathBuf>) -> Self {
        Self { networks_dir: networks_dir.into(), ..self }
    }

    /// Lets the addresses of `prevResult` pass, and passes that result on.
    ///
    /// # Errors
    /// Before anything is touched: [`Error::Spec`], [`Error::InvalidOption`] for the configuration, [`Error::NotChained`],
    /// [`Error::OwnNetns`]. Afterwards [`Error::Iptables`] or [`Error::Firewalld`]; what was made for these addresses is
    /// removed then, or [`Error::UndoFailed`] holds both errors. [`Error::Lock`] when others change rules all the time.
    pub async fn add(&self, host: &Host, request: &Request) -> Result<AddResult, Error> {
        let options = Options::of(&request.config)?;
        let result =
            request.config.prev_result()?.ok_or(Error::NotChained { plugin: "firewall" })?;
        options.layout(true, &result)?;
        pod_netns(request)?;
        let addresses = addresses::of_result(&result);
        match self.chosen(options.backend).await? {
            Chosen::Iptables => {
                iptables::ensure(host, &options.layout(true, &result)?, &addresses).await?;
            }
            Chosen::Firewalld(mut firewalld) => {
                let added = add_sources(&mut firewalld, &options.zone, &addresses).await?;
                let layout = options.layout(false, &result)?;
                if let Err(first) = iptables::ensure(host, &layout, &addresses).await {
                    return Err(take_back(&mut firewalld, &options.zone, &added, first).await);
                }
            }
        }
        Ok(result)
    }

    /// Removes what lets the attachment's addresses pass, whichever plugin made it.
    ///
    /// Succeeds when there is nothing (left) to remove. Needs no namespace; without a readable `prevResult` the addresses
    /// are looked for. An address that host-local's store has of another container by now is left alone.
    ///
    /// # Errors
    /// [`Error::Spec`] when the request names no attachment or network; [`Error::NotWithdrawn`] with all that failed.
    pub async fn del(&self, request: &Request) -> Result<(), Error> {
        let addresses = addresses::of_attachment(request, &self.networks_dir).await?;
        self.withdraw(&Removal::of(&request.config), &addresses).await
    }

    /// Verifies that everything is there that ADD makes. Makes nothing.
    ///
    /// # Errors
    /// [`Error::CheckFailed`] with all that is missing; [`Error::NoPrevResult`].
    pub async fn check(&self, request: &Request) -> Result<(), Error> {
        let options = Options::of(&request.config)?;
        let result = request.config.prev_result()?.ok_or(Error::NoPrevResult)?;
        let addresses = addresses::of_result(&result);
        let (mut faults, by_iptables) = match self.chosen(options.backend).await? {
            Chosen::Iptables => (Vec::new(), true),
            Chosen::Firewalld(mut firewalld) => {
                (absent_sources(&mut firewalld, &options.zone, &addresses).await?, false)
            }
        };
        let layout = options.layout(by_iptables, &result)?;
        faults.extend(iptables::missing(&layout, &addresses).await?);
        if faults.is_empty() { Ok(()) } else { Err(Error::CheckFailed(faults.join("; "))) }
    }

    /// Removes what lets addresses pass that host-local's store of this network has of an attachment which is not in the
    /// request's list of valid ones (CNI 1.1.0, section 2, GC). Of other addresses nothing tells whose they are.
    ///
    /// # Errors
    /// [`Error::NoValidAttachments`] without that list: a missing list is not an empty one; [`Error::NotWithdrawn`].
    pub async fn gc(&self, request: &Request) -> Result<(), Error> {
        let valid = request.config.valid_attachments()?.ok_or(Error::NoValidAttachments)?;
        let addresses = addresses::of_invalid(request, &self.networks_dir, &valid)?;
        self.withdraw(&Removal::of(&request.config), &addresses).await
    }

    /// Whether pods could be let pass: the options can be used, and iptables or firewalld answers (CNI 1.1.0, section 2,
    /// STATUS).
    ///
    /// # Errors
    /// [`Error::InvalidOption`]; [`Error::Spec`] with the code of a plugin that is not available.
    pub async fn status(&self, request: &Request) -> Result<(), Error> {
        let options = Options::of(&request.config)?;
        let answered = match self.chosen(options.backend).await {
            Ok(Chosen::Iptables) => iptables::probe().await,
            Ok(Chosen::Firewalld(mut firewalld)) => firewalld.probe().await,
            Err(error) => Err(error),
        };
        let unavailable =
            |error: Error| CniError::new(ErrorCode::PLUGIN_NOT_AVAILABLE, error.to_string()).into();
        answered.map_err(unavailable)
    }

    async fn chosen(&self, backend: Backend) -> Result<Chosen, Error> {
        match backend {
            Backend::Iptables => Ok(Chosen::Iptables),
            Backend::Firewalld => Firewalld::on_bus(&self.system_bus).await.map(Chosen::Firewalld),
            Backend::Auto => Ok(self.running().await.map_or(Chosen::Iptables, Chosen::Firewalld)),
        }
    }

    /// firewalld, where it is known to run.
    async fn running(&self) -> Option<Firewalld> {
        Firewalld::running(&self.system_bus).await.unwrap_or_else(|error| {
            tracing::warn!("{error}; going on as if it did not run");
            None
        })
    }

    /// Whoever let a pod pass when it was attached, both are asked where the configuration does not say: firewalld may
    /// have been started or ended since.
    async fn withdraw(&self, removal: &Removal, addresses: &[IpAddr]) -> Result<(), Error> {
        if addresses.is_empty() {
            return Ok(());
        }
        // What firewalld has of sources ends with it.
        let (firewalld, mut failures) = match removal.backend {
            Backend::Iptables => (None, Vec::new()),
            Backend::Auto => (self.running().await, Vec::new()),
            Backend::Firewalld => match Firewalld::running(&self.system_bus).await {
                Ok(firewalld) => (firewalld, Vec::new()),
                Err(error) => (None, vec![error]),
            },
        };
        if let Some(mut firewalld) = firewalld {
            failures.extend(remove_sources(&mut firewalld, &removal.zone, addresses).await);
        }
        if removal.backend != Backend::Firewalld {
            failures.extend(iptables::withdraw(addresses).await);
        }
        if failures.is_empty() { Ok(()) } else { Err(Error::NotWithdrawn { failures }) }
    }
}

/// Adds all or none; returns those that were not there.
async fn add_sources(
    firewalld: &mut Firewalld,
    zone: &str,
    addresses: &[IpAddr],
) -> Result<Vec<IpAddr>, Error> {
    let mut added = Vec::new();
    for address in addresses {
        match firewalld.add(zone, *address).await {
            Ok(true) => added.push(*address),
            Ok(false) => {}
            Err(first) => return Err(take_back(firewalld, zone, &added, first).await),
        }
    }
    Ok(added)
}

async fn remove_sources(firewalld: &mut Firewalld, zone: &str, addresses: &[IpAddr]) -> Vec<Error> {
    let mut failures = Vec::new();
    for address in addresses {
        failures.extend(firewalld.remove(zone, *address).await.err());
    }
    failures
}

async fn absent_sources(
    firewalld: &mut Firewalld,
    zone: &str,
    addresses: &[IpAddr],
) -> Result<Vec<String>, Error> {
    let mut faults = Vec::new();
    for address in addresses {
        if !firewalld.has(zone, *address).await? {
            faults.push(format!("{address} is not in zone {zone} of firewalld"));
        }
    }
    Ok(faults)
}

/// Takes back what a failed ADD made. What failed first is what the caller hears.
async fn take_back(firewalld: &mut Firewalld, zone: &str, added: &[IpAddr], first: Error) -> Error {
    match remove_sources(firewalld, zone, added).await.into_iter().next() {
        Some(undo) => Error::UndoFailed { first: Box::new(first), undo: Box::new(undo) },
        None => first,
    }
}
