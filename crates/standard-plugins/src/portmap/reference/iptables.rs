//! By iptables on nftables: a chain for each container, to which a chain for all of them sends its ports.

use podnet_netutil::Nft;
use podnet_netutil::nft::{ListedRule, Table, TableFamily, Transaction};
use sha2::{Digest, Sha512};

use crate::error::Error;
use crate::label::Label;

/// The table of iptables that the chains are in.
pub(super) const TABLE: &str = "nat";
/// The chain that sends ports to the containers' own, and in earlier releases another one for their answers.
pub(super) const ENTRIES: &str = "CNI-HOSTPORT-DNAT";
const ENTRIES_BEFORE: &str = "CNI-HOSTPORT-SNAT";
/// The reference's names for the chains of a container: this, and hexadecimal digits up to the longest that iptables
/// takes.
const CHAIN_PREFIX: &str = "CNI-DN-";
const CHAIN_PREFIX_BEFORE: &str = "CNI-SN-";
const CHAIN_BYTES: usize = 28;
/// How often a removal is worked out anew because somebody changed the rules meanwhile.
const ATTEMPTS: usize = 5;

/// The chains of a container, by name.
pub(super) struct Chains {
    pub(super) current: String,
    before: String,
}

impl Chains {
    pub(super) fn of(label: &Label) -> Self {
        let named = |prefix| chain_name(prefix, label);
        Self { current: named(CHAIN_PREFIX), before: named(CHAIN_PREFIX_BEFORE) }
    }

    /// Where they may be.
    pub(super) fn places(&self) -> Vec<(Table<'static>, &str)> {
        let tables =
            [TableFamily::Ip, TableFamily::Ip6].map(|family| Table { family, name: TABLE });
        let both = |table| [(table, self.current.as_str()), (table, self.before.as_str())];
        tables.into_iter().flat_map(both).collect()
    }
}

/// It follows from network and container and not from the interface.
fn chain_name(prefix: &str, label: &Label) -> String {
    let hash = Sha512::digest(format!("{}{}", label.network(), label.container_id()));
    let digits = hash.iter().map(|byte| format!("{byte:02x}"));
    let mut name: String = std::iter::once(prefix.to_owned()).chain(digits).collect();
    name.truncate(CHAIN_BYTES);
    name
}

/// Removes a container's chain and the rules that lead to it.
pub(super) async fn remove(nft: &Nft, table: Table<'_>, chain: &str) -> Result<(), Error> {
    let entries = if chain.starts_with(CHAIN_PREFIX) { ENTRIES } else { ENTRIES_BEFORE };
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let mut transaction = Transaction::new();
        for rule in nft.chain_rules(table, entries).await? {
            if rule.jumps_to().as_deref() == Some(chain) {
                transaction.delete_rule(table, entries, rule.handle);
            }
        }
        transaction.flush_chain(table, chain);
        transaction.delete_chain(table, chain);
        outcome = nft.commit(transaction).await;
        match &outcome {
            Err(error) if error.is_gone() && !is_left(nft, table, chain).await? => return Ok(()),
            Err(error) if error.is_gone() => {}
            // Somebody else's rule leads to it: then nowhere from there.
            Err(error) if error.is_in_use() => {
                let mut transaction = Transaction::new();
                transaction.flush_chain(table, chain);
                return Ok(nft.commit(transaction).await?);
            }
            _ => break,
        }
    }
    Ok(outcome?)
}

async fn is_left(nft: &Nft, table: Table<'_>, chain: &str) -> Result<bool, Error> {
    Ok(!nft.present_chains(&[(table, chain)]).await?.is_empty())
}

/// Removes the chains of containers that are gone, as the comments of the rules that lead to them say.
pub(super) async fn collect(
    nft: &Nft,
    table: Table<'_>,
    is_gone: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let gone = |rule: &ListedRule| rule.comment.as_deref().is_some_and(&is_gone);
    let entries = nft.chain_rules(table, ENTRIES).await?;
    let mut chains: Vec<String> =
        entries.iter().filter(|rule| gone(rule)).filter_map(ListedRule::jumps_to).collect();
    chains.sort_unstable();
    chains.dedup();
    for chain in chains.iter().filter(|chain| chain.starts_with(CHAIN_PREFIX)) {
        tracing::info!(%table, chain, "no valid attachment");
        remove(nft, table, chain).await?;
    }
    Ok(())
}

/// The network and the container that a rule's comment names.
pub(super) fn owner(comment: &str) -> Option<(&str, &str)> {
    comment.strip_prefix("dnat name: \"")?.strip_suffix('"')?.split_once("\" id: \"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_references() {
        // As the Go program 1.1.1 named it.
        let (network, container) = ("net".parse().unwrap(), "web".parse().unwrap());
        let label = Label::new(network, container, "eth0".parse().unwrap()).unwrap();
        assert_eq!(Chains::of(&label).current, "CNI-DN-437252eec243bd2aa31b9");
    }

    #[test]
    fn a_comment_names_network_and_container() {
        assert_eq!(owner("dnat name: \"net\" id: \"web\""), Some(("net", "web")));
        for other in
            ["", "dnat name: \"net\"", "snat name: \"net\" id: \"web\"", "dnat name: \"n..."]
        {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
