//! What the reference's iptables backend left of a container: a chain of its own in the table `nat` of each family, and
//! a rule for each address that leads there.

use podnet_cni_spec::{NetworkName, ValidAttachment};
use podnet_netutil::nft::{Nft, Table, TableFamily, Transaction};
use podnet_netutil::xtables::XtablesError;
use podnet_netutil::{Family, xtables};

use crate::error::Error;
use crate::label::Label;
use crate::reference::hashed_name;

const FROM: &str = "POSTROUTING";
/// The reference's name for the chain of a container: this, and hexadecimal digits up to the longest that iptables takes.
const CHAIN_PREFIX: &str = "CNI-";
const CHAIN_BYTES: usize = 28;
const NAT: &str = "nat";
const TABLES: [Table<'static>; 2] =
    [Table { family: TableFamily::Ip, name: NAT }, Table { family: TableFamily::Ip6, name: NAT }];
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
/// How often a removal is worked out anew because another program changed the rules meanwhile.
const ATTEMPTS: usize = 5;

/// Removes it from iptables on nftables, and where `older` says so from the older iptables.
pub(super) async fn remove(nft: &Nft, label: &Label, older: bool) -> Result<(), Error> {
    remove_chain(nft, &chain_of(label), older).await
}

/// Removes those of all containers of a network that have no valid attachment: rules say in a comment whose they are.
pub(super) async fn collect(
    nft: &Nft,
    network: &NetworkName,
    valid: &[ValidAttachment],
    older: bool,
) -> Result<(), Error> {
    let mut ids = Vec::new();
    for table in TABLES {
        let rules = nft.chain_rules(table, FROM).await?;
        let comments = rules.iter().filter_map(|rule| rule.comment.as_deref());
        ids.extend(comments.filter_map(|comment| container(network, comment)).map(str::to_owned));
    }
    for family in FAMILIES.into_iter().filter(|_| older) {
        match xtables::chain_rules(family, NAT, FROM).await {
            Ok(rules) => ids.extend(rules.iter().filter_map(|rule| printed(network, rule))),
            Err(error) => tracing::warn!("{error}; left alone"),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| !valid.iter().any(|it| it.container_id.as_str() == id));
    for id in ids {
        remove_chain(nft, &chain_name(network.as_str(), &id), older).await?;
    }
    Ok(())
}

async fn remove_chain(nft: &Nft, chain: &str, older: bool) -> Result<(), Error> {
    for (table, chain) in nft.present_chains(&TABLES.map(|table| (table, chain))).await? {
        remove_from(nft, table, chain).await?;
    }
    for family in FAMILIES.into_iter().filter(|_| older) {
        // A container is not kept from being deleted by it, and its address not from being given away.
        if let Err(error) = remove_from_older(family, chain).await {
            tracing::warn!("{error}; left alone");
        }
    }
    Ok(())
}

/// Whether there is one, in either iptables.
pub(super) async fn is_there(nft: &Nft, label: &Label) -> Result<bool, Error> {
    let chain = chain_of(label);
    if !nft.present_chains(&TABLES.map(|table| (table, chain.as_str()))).await?.is_empty() {
        return Ok(true);
    }
    for family in FAMILIES {
        match xtables::chain_rules(family, NAT, &chain).await {
            Ok(rules) if rules.is_empty() => {}
            Ok(_) => return Ok(true),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(false)
}

async fn remove_from(nft: &Nft, table: Table<'_>, chain: &str) -> Result<(), Error> {
    let mut with_chain = true;
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        outcome = nft.commit(removal(nft, table, chain, with_chain).await?).await;
        match &outcome {
            Err(error) if error.is_gone() => {
                if nft.present_chains(&[(table, chain)]).await?.is_empty() {
                    return Ok(());
                }
            }
            // Somebody else's rule leads to it: then nowhere from there.
            Err(error) if error.is_in_use() && with_chain => with_chain = false,
            _ => break,
        }
    }
    outcome?;
    tracing::info!(%table, chain, "removed what the reference masqueraded");
    Ok(())
}

async fn removal(
    nft: &Nft,
    table: Table<'_>,
    chain: &str,
    with_chain: bool,
) -> Result<Transaction, Error> {
    let mut transaction = Transaction::new();
    for rule in nft.chain_rules(table, FROM).await? {
        if rule.jumps_to().as_deref() == Some(chain) {
            transaction.delete_rule(table, FROM, rule.handle);
        }
    }
    transaction.flush_chain(table, chain);
    if with_chain {
        transaction.delete_chain(table, chain);
    }
    Ok(transaction)
}

async fn remove_from_older(family: Family, chain: &str) -> Result<(), XtablesError> {
    if xtables::chain_rules(family, NAT, chain).await?.is_empty() {
        return Ok(());
    }
    let (jump, rule) = (format!(" -j {chain}"), format!("-A {FROM} "));
    let rules = xtables::chain_rules(family, NAT, FROM).await?;
    let rules = rules.iter().filter(|line| line.ends_with(&jump));
    let rules = rules.filter_map(|line| line.strip_prefix(&rule));
    let lines = rules.map(|rest| format!("-D {FROM} {rest}"));
    let lines: Vec<_> = lines.chain([format!("-F {chain}"), format!("-X {chain}")]).collect();
    xtables::edit(family, NAT, &lines).await?;
    tracing::info!(?family, chain, "removed what the reference masqueraded");
    Ok(())
}

fn chain_of(label: &Label) -> String {
    chain_name(label.network().as_str(), label.container_id().as_str())
}

/// It follows from network and container and not from the interface.
fn chain_name(network: &str, id: &str) -> String {
    hashed_name(CHAIN_PREFIX, CHAIN_BYTES, &format!("{network}{id}"))
}

/// The container of a network of which a comment says that the rule is its own.
fn container<'a>(network: &NetworkName, comment: &'a str) -> Option<&'a str> {
    comment.strip_prefix(&format!("name: \"{network}\" id: \""))?.strip_suffix('"')
}

/// The same of a rule as the program prints it, with its comment between quotation marks.
fn printed(network: &NetworkName, rule: &str) -> Option<String> {
    let (_, comment) = rule.split_once("--comment \"")?;
    let (comment, _) = comment.split_once("\" -j ")?;
    container(network, &comment.replace("\\\"", "\"")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_say_of_which_container_they_are() {
        let network = "net".parse().unwrap();
        let rule = "-A POSTROUTING -s 10.1.0.2/32 -m comment --comment \"name: \\\"net\\\" id: \\\"w1\\\"\" -j CNI-x";
        assert_eq!(printed(&network, rule).as_deref(), Some("w1"));
        for other in ["name: \"network\" id: \"w1\"", "name: \"net\"", "", "portmap"] {
            assert_eq!(container(&network, other), None);
        }
    }
}
