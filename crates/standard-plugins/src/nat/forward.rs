//! The FORWARD chain of iptables, where it drops by policy: an accept in our table cannot overrule a drop in another.
//! Rules of ours at its head let pods' packets pass; all other rules are left alone.

use podnet_cni_spec::NetworkName;
use podnet_netutil::nft::{Nft, Rule, Table, TableFamily, Transaction};
use podnet_netutil::xtables::{self, XtablesError};
use podnet_netutil::{Error as NetError, Family};

use super::NatNetwork;
use super::layout::has;

const CHAIN: &str = "FORWARD";
/// How the comments of our rules there begin.
const COMMENT: &str = "podnet: ";
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Which packets a rule lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
}

const SIDES: [Side; 2] = [Side::From, Side::To];

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }

    fn comment(self, network: &NatNetwork) -> String {
        format!("{COMMENT}{} {} {}", network.name, self.word(), network.bridge)
    }

    fn option(self) -> &'static str {
        match self {
            Self::From => "-i",
            Self::To => "-o",
        }
    }

    /// As `iptables` builds its rules, so that it lists this one as its own.
    fn rule(self, network: &NatNetwork) -> Rule {
        let bridge = network.bridge.as_str();
        let rule = match self {
            Self::From => Rule::new().from_interface_exactly(bridge),
            Self::To => Rule::new().to_interface_exactly(bridge),
        };
        rule.count().accept().comment(self.comment(network))
    }
}

/// Whether a rule in the chain with this comment is one of ours for this bridge.
pub(crate) fn is_forwarding(comment: &str, bridge: &str) -> bool {
    comment.starts_with(COMMENT) && comment.rsplit(' ').next() == Some(bridge)
}

/// Adds to `lines` and to `transaction` what is missing in the chains of iptables on nftables.
pub(super) async fn audit(
    nft: &Nft,
    network: &NatNetwork,
    lines: &mut Vec<String>,
    transaction: &mut Transaction,
) -> Result<(), NetError> {
    for family in FAMILIES.into_iter().filter(|family| has(network, *family)) {
        let table = Table { family: table_family(family), name: "filter" };
        if !nft.drops_by_policy(table, CHAIN).await? {
            continue;
        }
        let rules = nft.chain_rules(table, CHAIN).await?;
        let present: Vec<&str> = rules.iter().filter_map(|rule| rule.comment.as_deref()).collect();
        for side in missing_sides(network, |comment| present.contains(&comment)) {
            lines.push(line(network, side, &table.to_string()));
            transaction.prepend_rule(table, CHAIN, &side.rule(network));
        }
    }
    Ok(())
}

/// Adds what is missing in the chains of the older iptables, and returns what was or why it cannot be.
pub(super) async fn ensure_legacy(network: &NatNetwork) -> Vec<String> {
    let mut lines = Vec::new();
    for family in FAMILIES.into_iter().filter(|family| has(network, *family)) {
        match missing_in(network, family).await {
            Ok(sides) => {
                for side in sides {
                    lines.push(match prepend(network, family, side).await {
                        Ok(()) => line(network, side, program(family)),
                        Err(error) => error.to_string(),
                    });
                }
            }
            Err(error) => lines.push(error.to_string()),
        }
    }
    lines
}

/// What is missing in the chains of the older iptables, or why that cannot be told.
pub(super) async fn missing_legacy(network: &NatNetwork) -> Vec<String> {
    let mut lines = Vec::new();
    for family in FAMILIES.into_iter().filter(|family| has(network, *family)) {
        match missing_in(network, family).await {
            Ok(sides) => {
                lines.extend(sides.into_iter().map(|side| line(network, side, program(family))));
            }
            Err(error) => lines.push(error.to_string()),
        }
    }
    lines
}

async fn missing_in(network: &NatNetwork, family: Family) -> Result<Vec<Side>, XtablesError> {
    let rules = xtables::forward_rules(family).await?;
    if !rules.iter().any(|rule| rule == "-P FORWARD DROP") {
        return Ok(Vec::new());
    }
    let present = |comment: &str| {
        let quoted = format!("--comment \"{comment}\"");
        rules.iter().any(|rule| rule.contains(&quoted))
    };
    Ok(missing_sides(network, present))
}

async fn prepend(network: &NatNetwork, family: Family, side: Side) -> Result<(), XtablesError> {
    let (bridge, comment) = (network.bridge.as_str(), side.comment(network));
    let rule = [side.option(), bridge, "-m", "comment", "--comment", &comment, "-j", "ACCEPT"];
    xtables::prepend_forward_rule(family, &rule).await
}

/// Adds to `lines` and to `transaction` what takes a network's rules out of the chains of iptables on nftables.
pub(super) async fn remove(
    nft: &Nft,
    network: &NetworkName,
    lines: &mut Vec<String>,
    transaction: &mut Transaction,
) -> Result<(), NetError> {
    for family in FAMILIES {
        let table = Table { family: table_family(family), name: "filter" };
        for rule in nft.chain_rules(table, CHAIN).await? {
            if rule.comment.as_deref().is_some_and(|comment| is_of(network, comment)) {
                lines.push(format!("a rule of chain {table} {CHAIN}"));
                transaction.delete_rule(table, CHAIN, rule.handle);
            }
        }
    }
    Ok(())
}

/// Takes a network's rules out of the chains of the older iptables, and returns what was there or why it stays.
pub(super) async fn remove_legacy(network: &NetworkName) -> Vec<String> {
    let mut lines = Vec::new();
    for family in FAMILIES {
        match remove_from(network, family).await {
            Ok(0) => {}
            Ok(_) => lines.push(format!("rules of chain {CHAIN} of {}", program(family))),
            Err(error) => lines.push(error.to_string()),
        }
    }
    lines
}

async fn remove_from(network: &NetworkName, family: Family) -> Result<usize, XtablesError> {
    let rules = xtables::forward_rules(family).await?;
    let own = |rule: &&String| {
        let comment = rule.split_once("--comment \"").and_then(|(_, rest)| rest.split_once('"'));
        comment.is_some_and(|(comment, _)| is_of(network, comment))
    };
    let own = rules.iter().filter(own).filter_map(|rule| rule.strip_prefix("-A "));
    let deletions: Vec<String> = own.map(|rule| format!("-D {rule}")).collect();
    if !deletions.is_empty() {
        xtables::edit(family, "filter", &deletions).await?;
    }
    Ok(deletions.len())
}

/// Whether a rule's comment is one of this network's, whatever its bridge.
fn is_of(network: &NetworkName, comment: &str) -> bool {
    SIDES.iter().any(|side| comment.starts_with(&format!("podnet: {network} {} ", side.word())))
}

fn missing_sides(network: &NatNetwork, present: impl Fn(&str) -> bool) -> Vec<Side> {
    SIDES.into_iter().filter(|side| !present(&side.comment(network))).collect()
}

fn line(network: &NatNetwork, side: Side, place: &str) -> String {
    let bridge = &network.bridge;
    format!("chain {CHAIN} of {place} drops what goes {} {bridge}", side.word())
}

fn table_family(family: Family) -> TableFamily {
    match family {
        Family::V4 => TableFamily::Ip,
        Family::V6 => TableFamily::Ip6,
    }
}

fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-legacy",
        Family::V6 => "ip6tables-legacy",
    }
}
