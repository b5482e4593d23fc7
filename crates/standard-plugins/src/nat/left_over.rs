//! Chains of a network that it does not need any more.

use podnet_netutil::nft::Transaction;

use super::layout::{BRIDGE_TABLE, TABLE, chains, own_chains};
use super::{NatNetwork, NatTable};
use crate::error::Error;

impl NatTable {
    /// Removes the chains of a network that it does not need any more, for example those of a family in which it has no
    /// pods now, and returns a line for each. For the one that knows of all of the network's pods.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub async fn remove_unneeded(&self, network: &NatNetwork) -> Result<Vec<String>, Error> {
        let (seen, wanted) = (self.nft().generation().await?, chains(network));
        let mut transaction = Transaction::new();
        let mut lines = Vec::new();
        for table in [TABLE, BRIDGE_TABLE] {
            let present = self.nft().rules(table).await?;
            for (of, chain) in own_chains(&network.name) {
                let is_wanted = wanted.iter().any(|it| it.table == of && it.name == chain);
                let is_there = of == table && present.iter().any(|rule| rule.chain == chain);
                if is_there && !is_wanted {
                    lines.push(format!("chain {table} {chain} is not needed any more"));
                    transaction.flush_chain(table, &chain);
                    transaction.delete_chain(table, &chain);
                }
            }
        }
        self.commit(transaction, seen).await?;
        Ok(lines)
    }
}
