//! `ipMasq` of bridge and ptp: what an attachment sends beyond its own network leaves with the host's address.
//!
//! Table, chains, rules and comments are those of the reference's nftables backend, one rule for each address: either
//! program ends what the other made, and addresses of several networks get along. A rule's comment begins with what
//! follows from network, interface and container, so that it is found without the address. What the reference's iptables
//! backend left is removed as well.

mod iptables;

use ipnetwork::IpNetwork;
use podnet_cni_spec::{IpConfig, NetworkName, ValidAttachment};
use podnet_netutil::Family;
use podnet_netutil::nft::{
    BaseChain, ChainKind, Hook, ListedRule, Nft, Rule, Table, TableFamily, Test, Transaction,
};

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;
use crate::reference::hashed_name;

const TABLE: Table<'static> = Table { family: TableFamily::Inet, name: "cni_plugins_masquerade" };
/// A rule for each address.
const CHAIN: &str = "masq_checks";
const BASE: BaseChain<'static> = BaseChain {
    name: "postrouting",
    kind: ChainKind::Nat,
    hook: Hook::Postrouting,
    // `srcnat`
    priority: 100,
};
/// Multicast is for whoever hears it on the link.
const MULTICAST: [(Family, &str); 2] = [(Family::V4, "224.0.0.0/4"), (Family::V6, "ff00::/8")];
const BACKENDS: [&str; 2] = ["iptables", "nftables"];
const HASH_DIGITS: usize = 16;
/// Where the reference cuts a comment.
const COMMENT_BYTES: usize = 128;
/// How often a change is worked out anew because another program changed the rules meanwhile.
const ATTEMPTS: usize = 5;

/// Whether an attachment is to be masqueraded. Of the reference's two backends either will do: what they do is the same,
/// and it is done by nftables.
pub(crate) fn is_wanted(ip_masq: bool, backend: Option<&str>) -> Result<bool, Error> {
    let backend = backend.unwrap_or_default();
    if ip_masq && !backend.is_empty() && !BACKENDS.contains(&backend) {
        let reason = format!("{backend:?} is neither {}", BACKENDS.join(" nor "));
        return Err(Error::InvalidOption { option: "ipMasqBackend", reason });
    }
    Ok(ip_masq)
}

/// Masquerades these addresses of an attachment, and no other that it had before.
pub(crate) async fn ensure(host: &Host, label: &Label, ips: &[IpConfig]) -> Result<(), Error> {
    let rules = ips.iter().filter_map(|ip| rule(ip.address, label)).collect();
    Change { stale: Stale::Of(mark_of(label)), rules }.carry_out(host.nft().await?).await
}

/// Ends the masquerade of an attachment, whichever program began it and by which backend. That there is none is success.
///
/// `configured` is whether the configuration asks for it: only then the older iptables is looked at, which takes a
/// program.
pub(crate) async fn remove(host: &Host, label: &Label, configured: bool) -> Result<(), Error> {
    let nft = host.nft().await?;
    Change { stale: Stale::Of(mark_of(label)), rules: Vec::new() }.carry_out(nft).await?;
    iptables::remove(nft, label, configured).await
}

/// Verifies that these addresses of an attachment are masqueraded, by whichever program.
pub(crate) async fn check(host: &Host, label: &Label, ips: &[IpConfig]) -> Result<(), Error> {
    let nft = host.nft().await?;
    let present = Stale::Of(mark_of(label)).rules(nft).await?.len();
    if present >= ips.len() || iptables::is_there(nft, label).await? {
        return Ok(());
    }
    let what = "what the pod sends beyond its network is not masqueraded".to_owned();
    Err(Error::CheckFailed(what))
}

/// Ends the masquerade of every attachment of a network that is not among the valid ones, as [`remove`] does.
pub(crate) async fn collect(
    host: &Host,
    network: &NetworkName,
    valid: &[ValidAttachment],
    configured: bool,
) -> Result<(), Error> {
    let nft = host.nft().await?;
    let mark_of_valid = |it: &ValidAttachment| {
        mark(network.as_str(), it.interface.as_str(), it.container_id.as_str())
    };
    let stale = Stale::OfNetwork {
        mark: format!("{}-", hash(network.as_str())),
        save: valid.iter().map(mark_of_valid).collect(),
    };
    Change { stale, rules: Vec::new() }.carry_out(nft).await?;
    iptables::collect(nft, network, valid, configured).await
}

/// The rules that are to go, known by what their comments begin with.
enum Stale {
    /// An attachment's.
    Of(String),
    /// A network's, save those of some attachments.
    OfNetwork { mark: String, save: Vec<String> },
}

impl Stale {
    async fn rules(&self, nft: &Nft) -> Result<Vec<ListedRule>, Error> {
        let rules = nft.chain_rules(TABLE, CHAIN).await?.into_iter();
        Ok(rules
            .filter(|rule| self.includes(rule.comment.as_deref().unwrap_or_default()))
            .collect())
    }

    fn includes(&self, comment: &str) -> bool {
        match self {
            Self::Of(mark) => comment.starts_with(mark),
            Self::OfNetwork { mark, save } => {
                comment.starts_with(mark) && !save.iter().any(|saved| comment.starts_with(saved))
            }
        }
    }
}

/// What is to go, and what comes in its place.
struct Change {
    stale: Stale,
    rules: Vec<Rule>,
}

impl Change {
    async fn carry_out(&self, nft: &Nft) -> Result<(), Error> {
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            outcome = nft.commit(self.transaction(nft).await?).await;
            match &outcome {
                // Another program removed a rule that was to go.
                Err(error) if error.is_gone() => {}
                _ => break,
            }
        }
        Ok(outcome?)
    }

    async fn transaction(&self, nft: &Nft) -> Result<Transaction, Error> {
        let mut transaction = Transaction::new();
        if !self.rules.is_empty() {
            add_frame(&mut transaction);
        }
        for stale in self.stale.rules(nft).await? {
            transaction.delete_rule(TABLE, CHAIN, stale.handle);
        }
        for rule in &self.rules {
            transaction.append_rule(TABLE, CHAIN, rule);
        }
        Ok(transaction)
    }
}

/// What all attachments have in common.
fn add_frame(transaction: &mut Transaction) {
    transaction.add_table(TABLE);
    transaction.add_regular_chain(TABLE, CHAIN);
    transaction.add_chain(TABLE, &BASE);
    transaction.flush_chain(TABLE, BASE.name);
    for (family, network) in MULTICAST {
        if let Ok(network) = network.parse() {
            let rule = Rule::new().of_family(family).to_network(network).leave_chain();
            transaction.append_rule(TABLE, BASE.name, &rule);
        }
    }
    transaction.append_rule(TABLE, BASE.name, &Rule::new().go_to(CHAIN));
}

/// From the pod's address to outside of its network.
fn rule(address: IpNetwork, label: &Label) -> Option<Rule> {
    let subnet = IpNetwork::new(address.network(), address.prefix()).ok()?;
    let rule = Rule::new().of_family(Family::of(&address)).from_network(address.ip().into());
    Some(rule.test(&Test::Destination(subnet), true).masquerade().comment(comment(label)))
}

fn comment(label: &Label) -> String {
    let (network, interface, id) = (label.network(), label.interface(), label.container_id());
    let mut text = format!("{}, net: {network}, if: {interface}, id: {id}", mark_of(label));
    text.truncate(COMMENT_BYTES);
    text
}

/// What the comments of an attachment's rules begin with.
fn mark_of(label: &Label) -> String {
    mark(label.network().as_str(), label.interface().as_str(), label.container_id().as_str())
}

fn mark(network: &str, interface: &str, id: &str) -> String {
    format!("{}-{}", hash(network), hash(&format!("{interface}:{id}")))
}

fn hash(text: &str) -> String {
    hashed_name("", HASH_DIGITS, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_the_references() {
        let label =
            Label::new("net".parse().unwrap(), "w1".parse().unwrap(), "eth0".parse().unwrap())
                .unwrap();
        // As the Go program 1.9.1 wrote it.
        assert_eq!(
            comment(&label),
            "a4861f4ae9f7d238-85b698dc1dcbc690, net: net, if: eth0, id: w1"
        );
        let long = "x".repeat(200);
        let label =
            Label::new("net".parse().unwrap(), long.parse().unwrap(), "eth0".parse().unwrap());
        assert_eq!(comment(&label.unwrap()).len(), COMMENT_BYTES);
    }

    #[test]
    fn a_backend_that_is_none_is_refused_where_it_would_be_used() {
        for backend in [None, Some(""), Some("iptables"), Some("nftables")] {
            assert!(is_wanted(true, backend).unwrap());
        }
        assert!(!is_wanted(false, Some("ipfw")).unwrap());
        let refused = is_wanted(true, Some("ipfw")).unwrap_err();
        assert!(refused.to_string().contains("ipMasqBackend"), "{refused}");
    }
}
