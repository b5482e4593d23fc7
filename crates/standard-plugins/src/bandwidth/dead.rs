//! Ifbs that the reference made and that nothing uses any more: their pods are gone, and nobody deleted them.

use std::collections::HashSet;
use std::time::Duration;

use podnet_netutil::Link;

use super::ifbs::{NAME_BYTES, PREFIX};
use crate::error::Error;
use crate::host::Host;

/// Between the reference's making an ifb and its redirecting to it lie milliseconds.
const IN_THE_MAKING: Duration = Duration::from_secs(1);

/// Deletes the ifbs of the reference's making to which nothing is redirected, save those whose name is valid. Of which
/// network one is, its name does not say.
pub(super) async fn collect(
    host: &Host,
    links: Vec<Link>,
    is_valid: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let suspects = links.iter().filter(|link| is_references(link) && !is_valid(&link.name));
    let suspects: Vec<u32> = suspects.map(|link| link.index).collect();
    if suspects.is_empty() || unused(host, &links, &suspects).await?.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(IN_THE_MAKING).await;
    let links = host.netlink.links().await?;
    let dead = unused(host, &links, &suspects).await?;
    for link in links.iter().filter(|link| is_references(link) && dead.contains(&link.index)) {
        tracing::info!(%link, "nothing is redirected to it any more");
        host.deleter.delete(link).await?;
    }
    Ok(())
}

/// Those of the suspects to which no host end of a pod redirects.
async fn unused(host: &Host, links: &[Link], suspects: &[u32]) -> Result<HashSet<u32>, Error> {
    let mut unused: HashSet<u32> = suspects.iter().copied().collect();
    for link in links.iter().filter(|link| link.kind == "veth") {
        match host.netlink.ingress_redirects(link).await {
            Ok(targets) => unused.retain(|index| !targets.contains(index)),
            // It went meanwhile, and its redirect with it.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(unused)
}

fn is_references(link: &Link) -> bool {
    let digits = link.name.strip_prefix(PREFIX).unwrap_or_default();
    link.kind == "ifb"
        && link.alias.is_none()
        && link.name.len() == NAME_BYTES
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}
