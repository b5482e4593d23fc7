//! What the reference's plugin published, by each of its backends: its rules are not our table's, and where a node
//! changes programs while containers run they would lead to where a container was.

mod iptables;
mod legacy;
mod nftables;

use std::net::IpAddr;

use podnet_cni_spec::{NetworkName, ValidAttachment};
use podnet_netutil::Nft;
use podnet_netutil::nft::{Table, TableFamily};

use self::iptables::Chains;
use crate::error::Error;
use crate::label::Label;
use crate::nat::{HostPort, NatTable};

/// How much of a container's is removed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// All of it.
    Everything {
        /// Whether there may have been ports: where it is known that there were none, no program is run to look for them.
        had_ports: bool,
    },
    /// What would go before these ports. Another network of the container keeps its own.
    InTheWayOf {
        /// The container's addresses.
        ips: &'a [IpAddr],
        /// Its ports.
        ports: &'a [HostPort],
    },
}

/// Removes what was published for a container, and says whether there was anything.
///
/// Where there is nothing, that is one request to the kernel; with the older iptables in use for a family, one run of its
/// program too.
pub(super) async fn remove(nat: &NatTable, label: &Label, scope: Scope<'_>) -> Result<bool, Error> {
    let chains = Chains::of(label);
    let mut asked = chains.places();
    asked.extend(nftables::places());
    let mut found = false;
    for (table, chain) in nat.nft().present_chains(&asked).await? {
        if table.name == nftables::TABLE {
            let container = label.container_id().as_str();
            found |= nftables::remove(nat.nft(), table.family, container, scope).await?;
        } else {
            found = true;
            iptables::remove(nat.nft(), table, chain).await?;
        }
    }
    if matches!(scope, Scope::Everything { had_ports: false }) {
        return Ok(found);
    }
    match legacy::remove(&chains).await {
        Ok(removed) => found |= removed,
        // Without the program nobody can tell; a container that comes is not refused for what another left.
        Err(error) if matches!(scope, Scope::InTheWayOf { .. }) || error.is_missing() => {
            tracing::warn!("{error}; what the reference's portmap published may still be there");
        }
        Err(error) => return Err(error.into()),
    }
    if found {
        tracing::info!(label = label.alias(), "removed what the reference's portmap published");
    }
    Ok(found)
}

/// Removes what was published for those containers of a network that have no valid attachment.
pub(super) async fn collect(
    nft: &Nft,
    network: &NetworkName,
    valid: &[ValidAttachment],
) -> Result<(), Error> {
    let is_gone = |comment: &str| {
        iptables::owner(comment).is_some_and(|(of, container)| {
            let is_valid =
                |attachment: &ValidAttachment| attachment.container_id.as_str() == container;
            of == network.as_str() && !valid.iter().any(is_valid)
        })
    };
    for family in [TableFamily::Ip, TableFamily::Ip6] {
        iptables::collect(nft, Table { family, name: iptables::TABLE }, is_gone).await?;
    }
    match legacy::collect(is_gone).await {
        Err(error) if error.is_missing() => {
            tracing::warn!("{error}; what the reference's portmap published may still be there");
            Ok(())
        }
        other => Ok(other?),
    }
}
