//! nftables by netlink: transactions that happen whole or not at all, and listings; no program is run.
//!
//! What can be said is what pods need: tables, base chains, sets and maps of concatenated fields, rules, elements, each
//! with a comment as `nft` prints it. Requests are data ([`Transaction`], [`Rule`]) until [`Nft::commit`].

mod condition;
mod listing;
mod object;
mod rule;
mod transaction;
mod userdata;

pub use self::condition::{AddressKind, Condition, InterfaceMatch, Test};
pub use self::listing::ListedRule;
pub use self::object::{
    BaseChain, ChainKind, Collection, Element, Field, Hook, Table, TableFamily, push_address,
    push_port, push_protocol,
};
pub use self::rule::{Load, Rule, Slot};
pub use self::transaction::{Transaction, Uniqueness};
pub use self::userdata::COMMENT_BYTES;

use crate::error::{Error, RequestError};
use crate::netfilter::{Message, Socket};

/// An open connection to nftables in one network namespace.
///
/// It stays in the namespace in which it was opened, whatever thread uses it. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Nft {
    socket: Socket,
}

impl Nft {
    /// Opens a connection in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Socket`] when the system gives no socket.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open()? })
    }

    /// Carries out a transaction: all of it or, where one step is refused, nothing.
    ///
    /// It happens even if the returned future is dropped half-way. An empty one is success.
    ///
    /// # Errors
    /// [`Error::Netlink`], whose action is the step that was refused.
    pub async fn commit(&self, transaction: Transaction) -> Result<(), Error> {
        if transaction.is_empty() {
            return Ok(());
        }
        let (messages, actions) = transaction.into_batch();
        let last_step = actions.len();
        let failed = |step: usize, source| Error::Netlink {
            // Step 0 is the batch's own beginning.
            action: step
                .checked_sub(1)
                .and_then(|step| actions.get(step).cloned())
                .unwrap_or_else(|| "carry out a transaction of nftables".to_owned()),
            source,
        };
        let outcome = self.socket.exchange(messages).await.map_err(|error| failed(0, error))?;
        match outcome.refusal {
            Some((step, refusal)) => Err(failed(step, refusal)),
            None if outcome.acknowledged.contains(&last_step) => Ok(()),
            None => Err(failed(0, RequestError::AnswerIncomplete)),
        }
    }

    async fn list(
        &self,
        message: Message,
        action: impl FnOnce() -> String,
    ) -> Result<Vec<crate::netfilter::Answer>, Error> {
        self.socket
            .list(message)
            .await
            .map_err(|source| Error::Netlink { action: action(), source })
    }
}

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;

/// The messages of nftables (`include/uapi/linux/netfilter/nf_tables.h`, `nf_tables_msg_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verb(u16);

impl Verb {
    const NEW_TABLE: Self = Self(0);
    const DELETE_TABLE: Self = Self(2);
    const NEW_CHAIN: Self = Self(3);
    const GET_CHAIN: Self = Self(4);
    const DELETE_CHAIN: Self = Self(5);
    const NEW_RULE: Self = Self(6);
    const GET_RULE: Self = Self(7);
    const DELETE_RULE: Self = Self(8);
    const NEW_SET: Self = Self(9);
    const GET_SET: Self = Self(10);
    const DELETE_SET: Self = Self(11);
    const NEW_ELEMENT: Self = Self(12);
    const GET_ELEMENT: Self = Self(13);
    const DELETE_ELEMENT: Self = Self(14);
    const GET_GENERATION: Self = Self(16);

    fn kind(self) -> u16 {
        (SUBSYSTEM << 8) | self.0
    }
}

#[cfg(test)]
mod tests;
