//! By nftables: a rule for each port, with the container's id as comment.

use std::net::IpAddr;

use podnet_netutil::Nft;
use podnet_netutil::nft::{ListedRule, Table, TableFamily, Transaction};

use super::Scope;
use crate::error::Error;

/// The table, one of each family.
pub(super) const TABLE: &str = "cni_hostport";
/// Its chains with rules of containers; the second is an earlier release's.
const CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
/// How often a removal is worked out anew because somebody changed the rules meanwhile.
const ATTEMPTS: usize = 5;

/// What is there wherever anything is.
pub(super) fn places() -> [(Table<'static>, &'static str); 2] {
    [TableFamily::Ip, TableFamily::Ip6].map(|family| (Table { family, name: TABLE }, CHAINS[0]))
}

/// Removes a container's rules, and says whether there were any.
pub(super) async fn remove(
    nft: &Nft,
    family: TableFamily,
    container: &str,
    scope: Scope<'_>,
) -> Result<bool, Error> {
    let table = Table { family, name: TABLE };
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let mut transaction = Transaction::new();
        let rules = nft.rules(table).await?;
        let own = |rule: &&ListedRule| {
            CHAINS.contains(&rule.chain.as_str()) && rule.comment.as_deref() == Some(container)
        };
        for rule in rules.iter().filter(own).filter(|rule| scope.has(rule)) {
            transaction.delete_rule(table, &rule.chain, rule.handle);
        }
        if transaction.is_empty() {
            return Ok(false);
        }
        outcome = nft.commit(transaction).await;
        match &outcome {
            Err(error) if error.is_gone() => {}
            _ => break,
        }
    }
    Ok(outcome.map(|()| true)?)
}

impl Scope<'_> {
    /// The rules of a container do not say which network they are for, but where they lead and from which port.
    fn has(&self, rule: &ListedRule) -> bool {
        match self {
            Self::Everything { .. } => true,
            Self::InTheWayOf { ips, ports } => {
                let leads_there = ips.iter().any(|ip| match ip {
                    IpAddr::V4(ip) => rule.mentions(&ip.octets()),
                    IpAddr::V6(ip) => rule.mentions(&ip.octets()),
                });
                leads_there || ports.iter().any(|port| rule.mentions(&port.host_port.to_be_bytes()))
            }
        }
    }
}
