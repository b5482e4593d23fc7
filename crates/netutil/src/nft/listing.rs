//! What there is: the generation of the rules, chains with their rules' comments, elements.

use super::object::{Element, Table};
use super::{Nft, Verb, userdata};
use crate::error::{Error, RequestError};
use crate::netfilter::attribute::{find, find_in, number, text, walk};
use crate::netfilter::{Answer, Attributes, Message};

/// A rule of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedRule {
    /// The chain it is in.
    pub chain: String,
    /// Its comment.
    pub comment: Option<String>,
}

impl Nft {
    /// The generation of the namespace's rules: it changes with each transaction, whoever makes it.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn generation(&self) -> Result<u32, Error> {
        let failed = |source| Error::Netlink {
            action: "ask for the generation of nftables".to_owned(),
            source,
        };
        let message = Message::new(Verb::GET_GENERATION.kind(), 0, 0, Attributes::new());
        let answers = self.socket.request(message).await.map_err(failed)?;
        let id = answers.first().and_then(|answer| find(answer.attributes(), 1)).and_then(number);
        id.ok_or_else(|| failed(RequestError::AnswerIncomplete))
    }

    /// The rules of a table, chain by chain, in their order. None where there is no such table.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn rules(&self, table: Table<'_>) -> Result<Vec<ListedRule>, Error> {
        self.rules_by(table, Attributes::new().text(1, table.name)).await
    }

    /// The rules of a chain, in their order. None where there is no such chain.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn chain_rules(
        &self,
        table: Table<'_>,
        chain: &str,
    ) -> Result<Vec<ListedRule>, Error> {
        self.rules_by(table, Attributes::new().text(1, table.name).text(2, chain)).await
    }

    async fn rules_by(
        &self,
        table: Table<'_>,
        filter: Attributes,
    ) -> Result<Vec<ListedRule>, Error> {
        let message = Message::new(Verb::GET_RULE.kind(), 0, table.family.number(), filter);
        let answers = self.list(message, || format!("list rules of {table}")).await?;
        // Older kernels do not filter by the table everywhere.
        let ours = answers.iter().filter(|answer| is_of(answer, table));
        Ok(ours.filter_map(rule).collect())
    }

    /// The policy of a base chain is to drop. False where there is no such chain.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn drops_by_policy(&self, table: Table<'_>, chain: &str) -> Result<bool, Error> {
        let attributes = Attributes::new().text(1, table.name).text(3, chain);
        let message = Message::new(Verb::GET_CHAIN.kind(), 0, table.family.number(), attributes);
        match self.socket.request(message).await {
            Ok(answers) => {
                let policy = |answer: &Answer| find(answer.attributes(), 5).and_then(number);
                Ok(answers.iter().any(|answer| policy(answer) == Some(0)))
            }
            Err(source) => {
                let error =
                    Error::Netlink { action: format!("look at chain {table} {chain}"), source };
                if error.is_gone() { Ok(false) } else { Err(error) }
            }
        }
    }

    /// The elements of a set or map. None where it does not exist.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn elements(
        &self,
        table: Table<'_>,
        collection: &str,
    ) -> Result<Vec<Element>, Error> {
        let attributes = Attributes::new().text(1, table.name).text(2, collection);
        let message = Message::new(Verb::GET_ELEMENT.kind(), 0, table.family.number(), attributes);
        let answers =
            self.list(message, || format!("list elements of {table} {collection}")).await?;
        Ok(answers.iter().flat_map(elements).collect())
    }
}

fn is_of(answer: &Answer, table: Table<'_>) -> bool {
    let family = answer.payload.first() == Some(&table.family.number());
    family && find(answer.attributes(), 1).map(text).as_deref() == Some(table.name)
}

fn rule(answer: &Answer) -> Option<ListedRule> {
    let attributes = answer.attributes();
    let comment = find(attributes, 7).and_then(userdata::decode);
    Some(ListedRule { chain: find(attributes, 2).map(text)?, comment })
}

fn elements(answer: &Answer) -> Vec<Element> {
    let list = find(answer.attributes(), 3).unwrap_or_default();
    walk(list).filter_map(|(_, attributes)| element(attributes)).collect()
}

fn element(attributes: &[u8]) -> Option<Element> {
    Some(Element {
        key: find_in(attributes, &[1, 1])?.to_vec(),
        data: find_in(attributes, &[2, 1]).unwrap_or_default().to_vec(),
        comment: find(attributes, 6).and_then(userdata::decode),
    })
}
