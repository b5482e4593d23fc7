//! What the reference's plugin published by iptables on nftables: it would go before whoever gets the port next.

use podnet_netutil::nft::{Nft, Table, TableFamily, Transaction};
use sha2::{Digest, Sha512};

use crate::error::Error;
use crate::label::Label;

/// The reference's name for the chain of a container: this, and hexadecimal digits up to the longest that iptables takes.
const CHAIN_PREFIX: &str = "CNI-DN-";
const CHAIN_BYTES: usize = 28;

/// Empties the container's chain in the tables of iptables. That it is still there, and leads nowhere, harms nobody.
pub(super) async fn empty_chain(nft: &Nft, label: &Label) -> Result<(), Error> {
    let chain = chain_name(label);
    for family in [TableFamily::Ip, TableFamily::Ip6] {
        let table = Table { family, name: "nat" };
        if nft.chain_rules(table, &chain).await?.is_empty() {
            continue;
        }
        let mut transaction = Transaction::new();
        transaction.flush_chain(table, &chain);
        match nft.commit(transaction).await {
            Err(error) if !error.is_gone() => return Err(error.into()),
            _ => tracing::info!(%table, chain, "emptied what the reference's portmap published"),
        }
    }
    Ok(())
}

/// It follows from network and container and not from the interface.
fn chain_name(label: &Label) -> String {
    let hash = Sha512::digest(format!("{}{}", label.network(), label.container_id()));
    let digits = hash.iter().map(|byte| format!("{byte:02x}"));
    let mut name: String = std::iter::once(CHAIN_PREFIX.to_owned()).chain(digits).collect();
    name.truncate(CHAIN_BYTES);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_references() {
        // As the Go program 1.1.1 named it.
        let (network, container) = ("net".parse().unwrap(), "web".parse().unwrap());
        let label = Label::new(network, container, "eth0".parse().unwrap()).unwrap();
        assert_eq!(chain_name(&label), "CNI-DN-437252eec243bd2aa31b9");
    }
}
