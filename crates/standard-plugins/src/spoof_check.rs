//! `macspoofchk` of bridge: frames of a pod with another source MAC address than its own are dropped.
//!
//! Table, chains, rules and comments are those of the reference, so that either program ends what the other made. Each
//! pod has two chains, whose names follow from container and interface: one that the frames of its host end enter, and one
//! that lets those with its address pass.

use podnet_netutil::MacAddr;
use podnet_netutil::nft::{
    BaseChain, ChainKind, Hook, ListedRule, Nft, Rule, Table, TableFamily, Transaction,
};

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;

const TABLE: Table<'static> = Table { family: TableFamily::Bridge, name: "nat" };
const BASE: BaseChain<'static> = BaseChain {
    name: "PREROUTING",
    kind: ChainKind::Filter,
    hook: Hook::Prerouting,
    priority: -300,
};
const CHAIN_PREFIX: &str = "cni-br-iface-";
/// How often a change is worked out anew because another program changed the rules meanwhile.
const ATTEMPTS: usize = 5;

/// The two chains of an attachment, and the comment of their rules.
struct Names {
    interface: String,
    mac: String,
    comment: String,
}

impl Names {
    fn of(label: &Label) -> Self {
        Self::from_id(&format!("{}-{}", label.container_id(), label.interface()))
    }

    fn from_id(id: &str) -> Self {
        let interface = format!("{CHAIN_PREFIX}{id}");
        Self { mac: format!("{interface}-mac"), interface, comment: format!("macspoofchk-{id}") }
    }
}

/// Lets only frames from `mac` pass of those that come from the host end, whatever was there before.
pub(crate) async fn ensure(
    host: &Host,
    label: &Label,
    host_end: &str,
    mac: MacAddr,
) -> Result<(), Error> {
    let nft = host.nft().await?;
    let names = Names::of(label);
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        outcome = nft.commit(rules(nft, &names, host_end, mac).await?).await;
        match &outcome {
            // Another program removed a rule that was to go.
            Err(error) if error.is_gone() => {}
            _ => break,
        }
    }
    Ok(outcome?)
}

async fn rules(
    nft: &Nft,
    names: &Names,
    host_end: &str,
    mac: MacAddr,
) -> Result<Transaction, Error> {
    let Names { interface, mac: mac_chain, comment } = names;
    let mut transaction = Transaction::new();
    transaction.add_table(TABLE);
    transaction.add_chain(TABLE, &BASE);
    for chain in [interface, mac_chain] {
        transaction.add_regular_chain(TABLE, chain);
        transaction.flush_chain(TABLE, chain);
    }
    for stale in jumps(nft, interface).await? {
        transaction.delete_rule(TABLE, BASE.name, stale.handle);
    }
    let rules = [
        (BASE.name, Rule::new().from_interface(host_end).jump(interface)),
        (interface, Rule::new().jump(mac_chain)),
        (mac_chain, Rule::new().from_mac(mac).leave_chain()),
        (mac_chain, Rule::new().drop_packet()),
    ];
    for (chain, rule) in rules {
        transaction.append_rule(TABLE, chain, &rule.comment(comment));
    }
    Ok(transaction)
}

/// Removes chains and rules of an attachment, whichever program made them. That there are none is success.
pub(crate) async fn remove(host: &Host, label: &Label) -> Result<(), Error> {
    let nft = host.nft().await?;
    let names = Names::of(label);
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        if nft.present_chains(&[(TABLE, &names.interface)]).await?.is_empty() {
            return Ok(());
        }
        outcome = remove_chains(nft, &names, jumps(nft, &names.interface).await?).await;
        match &outcome {
            Err(Error::Net(error)) if error.is_gone() => {}
            _ => break,
        }
    }
    outcome
}

/// Verifies that frames of the host end enter the chains, and that those hold what drops.
pub(crate) async fn check(host: &Host, label: &Label, host_end: &str) -> Result<(), Error> {
    let nft = host.nft().await?;
    let names = Names::of(label);
    let entered = jumps(nft, &names.interface).await?;
    let is_entered =
        entered.iter().any(|rule| rule.incoming_interface().as_deref() == Some(host_end));
    let inner = nft.chain_rules(TABLE, &names.interface).await?;
    let is_passed_on = inner.iter().any(|rule| rule.jumps_to().as_ref() == Some(&names.mac));
    let decides = nft.chain_rules(TABLE, &names.mac).await?.len() == 2;
    if is_entered && is_passed_on && decides {
        return Ok(());
    }
    let what = format!("frames of {host_end} with another MAC address than the pod's may pass");
    Err(Error::CheckFailed(what))
}

/// Removes chains of interfaces that are gone. Of which network they were, they do not say; nothing enters them any more.
pub(crate) async fn collect_dead(host: &Host) -> Result<(), Error> {
    let nft = host.nft().await?;
    let rules = nft.chain_rules(TABLE, BASE.name).await?;
    if rules.is_empty() {
        return Ok(());
    }
    // Looked at after the rules: whoever makes a rule has made the interface before.
    let links = host.netlink().links().await?;
    for rule in rules {
        let chain = rule.jumps_to().unwrap_or_default();
        let id = chain.strip_prefix(CHAIN_PREFIX);
        let (Some(id), Some(interface)) = (id, rule.incoming_interface()) else { continue };
        if !links.iter().any(|link| link.name == interface) {
            tracing::info!(
                interface,
                "no such interface; its rules against forged MAC addresses go"
            );
            match remove_chains(nft, &Names::from_id(id), vec![rule]).await {
                // Another program did the same meanwhile, or the pod came again.
                Err(Error::Net(error)) if error.is_gone() => {}
                other => other?,
            }
        }
    }
    Ok(())
}

async fn jumps(nft: &Nft, chain: &str) -> Result<Vec<ListedRule>, Error> {
    let rules = nft.chain_rules(TABLE, BASE.name).await?.into_iter();
    Ok(rules.filter(|rule| rule.jumps_to().as_deref() == Some(chain)).collect())
}

async fn remove_chains(nft: &Nft, names: &Names, jumps: Vec<ListedRule>) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    for rule in jumps {
        transaction.delete_rule(TABLE, BASE.name, rule.handle);
    }
    // That of the interface first: it leads to the other.
    let chains = [(TABLE, names.interface.as_str()), (TABLE, names.mac.as_str())];
    for (table, chain) in nft.present_chains(&chains).await? {
        transaction.flush_chain(table, chain);
        transaction.delete_chain(table, chain);
    }
    Ok(nft.commit(transaction).await?)
}
