//! What there is: the generation of the rules, chains with their rules' comments, elements.

use netlink_packet_core::NLM_F_REQUEST;
use rustix::io::Errno;

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
    /// Its comment, as `nft` keeps it or as the match `comment` of iptables.
    pub comment: Option<String>,
    /// The number by which the kernel knows it in its table.
    pub handle: u64,
    expressions: Vec<u8>,
}

impl ListedRule {
    /// The chain to which it sends what matches.
    #[must_use]
    pub fn jumps_to(&self) -> Option<String> {
        self.named("immediate").find_map(|inner| find_in(inner, &[2, 2, 2]).map(text))
    }

    /// The interface by which what it matches came in, where it looks at that.
    #[must_use]
    pub fn incoming_interface(&self) -> Option<String> {
        let mut all = walk(&self.expressions).map(|(_, expression)| expression);
        // `NFT_META_IIFNAME`, and then what it is compared with.
        all.find(|it| find_in(it, &[2, 2]).and_then(number) == Some(6) && is_named(it, "meta"))?;
        let compared = all.next().filter(|it| is_named(it, "cmp"))?;
        find_in(compared, &[2, 3, 1]).map(text)
    }

    /// Whether a constant of this rule is this value, in network byte order: what it compares with, or translates to.
    #[must_use]
    pub fn mentions(&self, value: &[u8]) -> bool {
        let compared = self.named("cmp").filter_map(|inner| find_in(inner, &[3, 1]));
        let loaded = self.named("immediate").filter_map(|inner| find_in(inner, &[2, 1]));
        compared.chain(loaded).any(|constant| constant == value)
    }

    fn named(&self, wanted: &str) -> impl Iterator<Item = &[u8]> {
        expressions(&self.expressions, wanted)
    }
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

    /// The chains of a table. None where there is no such table.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn chains(&self, table: Table<'_>) -> Result<Vec<String>, Error> {
        let message =
            Message::new(Verb::GET_CHAIN.kind(), 0, table.family.number(), Attributes::new());
        let answers = self.list(message, || format!("list chains of {table}")).await?;
        let ours = answers.iter().filter(|answer| is_of(answer, table));
        Ok(ours.filter_map(|answer| find(answer.attributes(), 3).map(text)).collect())
    }

    /// The sets and maps of a table. None where there is no such table.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn collections(&self, table: Table<'_>) -> Result<Vec<String>, Error> {
        let filter = Attributes::new().text(1, table.name);
        let message = Message::new(Verb::GET_SET.kind(), 0, table.family.number(), filter);
        let answers = self.list(message, || format!("list sets of {table}")).await?;
        let ours = answers.iter().filter(|answer| is_of(answer, table));
        Ok(ours.filter_map(|answer| find(answer.attributes(), 2).map(text)).collect())
    }

    /// Which of these chains there are, asked at once.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn present_chains<'a>(
        &self,
        chains: &[(Table<'a>, &'a str)],
    ) -> Result<Vec<(Table<'a>, &'a str)>, Error> {
        let failed = |source| Error::Netlink { action: "look for chains".to_owned(), source };
        let question = |(table, chain): &(Table<'_>, &str)| {
            let attributes = Attributes::new().text(1, table.name).text(3, chain);
            let family = table.family.number();
            Message::new(Verb::GET_CHAIN.kind(), NLM_F_REQUEST, family, attributes)
        };
        let outcome =
            self.socket.exchange(chains.iter().map(question).collect()).await.map_err(failed)?;
        match outcome.refusal {
            None | Some((_, RequestError::Kernel { errno: Errno::NOENT, .. })) => {}
            Some((_, refusal)) => return Err(failed(refusal)),
        }
        let answers = |(table, chain): &&(Table<'_>, &str)| {
            outcome.objects.iter().any(|answer| {
                is_of(answer, *table)
                    && find(answer.attributes(), 3).map(text).as_deref() == Some(*chain)
            })
        };
        Ok(chains.iter().filter(answers).copied().collect())
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
    let listed = find(attributes, 4).unwrap_or_default();
    let comment = find(attributes, 7).and_then(userdata::decode);
    Some(ListedRule {
        chain: find(attributes, 2).map(text)?,
        comment: comment.or_else(|| match_comment(listed)),
        handle: find(attributes, 3)?.first_chunk::<8>().copied().map(u64::from_be_bytes)?,
        expressions: listed.to_vec(),
    })
}

/// The expressions of a name, in their order.
fn expressions<'a>(list: &'a [u8], wanted: &str) -> impl Iterator<Item = &'a [u8]> {
    let inner = move |expression: &'a [u8]| {
        let is_wanted = find(expression, 1).map(text).as_deref() == Some(wanted);
        is_wanted.then(|| find(expression, 2)).flatten()
    };
    walk(list).filter_map(move |(_, expression)| inner(expression))
}

fn is_named(expression: &[u8], name: &str) -> bool {
    find(expression, 1).map(text).as_deref() == Some(name)
}

/// The comment as iptables on nftables writes it: a match of the older iptables (`struct xt_comment_info`).
fn match_comment(list: &[u8]) -> Option<String> {
    expressions(list, "match")
        .filter(|inner| find(inner, 1).map(text).as_deref() == Some("comment"))
        .find_map(|inner| find(inner, 3).map(text))
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
