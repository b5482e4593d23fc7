//! The ifb of one pod: found, made, deleted.

use podnet_netutil::Link;

use crate::error::Error;
use crate::host::Host;

/// The ifb that one attachment has, or is to have.
pub(crate) struct Ifb {
    pub(crate) name: String,
    /// The text that says whose it is. It is attached when the ifb is enabled: one without did not come that far.
    pub(crate) alias: String,
}

impl Ifb {
    /// The ifb, if it is there and nothing is missing of it. One that was left half made, or marked for deletion, is
    /// deleted.
    pub(super) async fn usable(&self, host: &Host) -> Result<Option<Link>, Error> {
        let Some(found) = host.netlink.link_by_name(&self.name).await? else { return Ok(None) };
        match found.alias.as_deref() {
            Some(alias) if alias != self.alias => {
                Err(Error::HostEndTaken { name: self.name.clone(), alias: alias.to_owned() })
            }
            Some(_) if found.up && !found.condemned => Ok(Some(found)),
            _ => {
                host.deleter.delete(&found).await?;
                Ok(None)
            }
        }
    }

    pub(super) async fn create(&self, host: &Host, mtu: u32) -> Result<Link, Error> {
        let made = host.netlink.create_ifb(&self.name, mtu).await?;
        host.netlink.keep_without_ipv6(&made).await?;
        Ok(made)
    }

    /// Deletes the ifb; one that bears another attachment's alias stays.
    pub(crate) async fn delete(&self, host: &Host) -> Result<(), Error> {
        let found = host.netlink.link_by_name(&self.name).await?;
        let ours = |link: &Link| link.alias.as_ref().is_none_or(|alias| *alias == self.alias);
        match found.filter(ours) {
            Some(link) => Ok(host.deleter.delete(&link).await?),
            None => Ok(()),
        }
    }
}
