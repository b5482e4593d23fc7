//! By the older iptables, whose rules only its own program can change.

use podnet_netutil::Family;
use podnet_netutil::xtables::{self, XtablesError};

use super::iptables::{Chains, ENTRIES, TABLE};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Removes a container's chains and the rules that lead to them, and says whether there were any.
pub(super) async fn remove(chains: &Chains) -> Result<bool, XtablesError> {
    let mut found = false;
    for family in FAMILIES {
        // No rule can lead to a chain that does not exist.
        if !xtables::chain_rules(family, TABLE, &chains.current).await?.is_empty() {
            found = true;
            let entries = xtables::chain_rules(family, TABLE, ENTRIES).await?;
            remove_chain(family, &chains.current, &entries).await?;
        }
    }
    Ok(found)
}

/// Removes the chains of containers that are gone, as the comments of the rules that lead to them say.
pub(super) async fn collect(is_gone: impl Fn(&str) -> bool) -> Result<(), XtablesError> {
    for family in FAMILIES {
        let entries = xtables::chain_rules(family, TABLE, ENTRIES).await?;
        let gone = entries.iter().filter(|rule| comment(rule).is_some_and(|text| is_gone(&text)));
        let mut chains: Vec<&str> = gone.filter_map(|rule| target(rule)).collect();
        chains.sort_unstable();
        chains.dedup();
        for chain in chains {
            tracing::info!(chain, "no valid attachment");
            remove_chain(family, chain, &entries).await?;
        }
    }
    Ok(())
}

async fn remove_chain(family: Family, chain: &str, entries: &[String]) -> Result<(), XtablesError> {
    let leading = entries.iter().filter(|rule| target(rule) == Some(chain));
    let mut lines: Vec<String> = leading
        .filter_map(|rule| rule.strip_prefix("-A ").map(|rule| format!("-D {rule}")))
        .collect();
    lines.extend([format!("-F {chain}"), format!("-X {chain}")]);
    xtables::edit(family, TABLE, &lines).await
}

/// The chain to which a printed rule leads.
fn target(rule: &str) -> Option<&str> {
    rule.rsplit_once(" -j ").map(|(_, target)| target)
}

/// The comment of a printed rule, which has a backslash before each quotation mark inside.
fn comment(rule: &str) -> Option<String> {
    let (_, rest) = rule.split_once("--comment \"")?;
    let (quoted, _) = rest.split_once("\" -")?;
    Some(quoted.replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_rule_says_whose_it_is_and_where_it_leads() {
        let rule = r#"-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"net\" id: \"web\"" -m multiport --dports 80,81 -j CNI-DN-1"#;
        assert_eq!(comment(rule).as_deref(), Some("dnat name: \"net\" id: \"web\""));
        assert_eq!(target(rule), Some("CNI-DN-1"));
        assert_eq!(comment("-N CNI-HOSTPORT-DNAT"), None);
        assert_eq!(target("-N CNI-HOSTPORT-DNAT"), None);
    }
}
