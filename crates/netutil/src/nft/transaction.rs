//! What is to happen at once.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};

use super::object::{BaseChain, Collection, Element, Table};
use super::rule::Rule;
use super::{SUBSYSTEM, Verb};
use crate::netfilter::{Attributes, Message};

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Elements in one message: far below what fits its 16-bit length.
const ELEMENTS_A_MESSAGE: usize = 100;

/// What an element that exists already means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// It is a refusal.
    MustBeNew,
    /// One that leads to the same is as good.
    MayExist,
}

/// Steps that happen all together or not at all, in this order.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    steps: Vec<(Message, String)>,
    collections: u32,
    generation: Option<u32>,
}

impl Transaction {
    /// Nothing to be done.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Makes the whole a refusal ([`Error::is_overtaken`](crate::Error::is_overtaken)) where somebody changed anything
    /// since this generation ([`Nft::generation`](super::Nft::generation)).
    pub fn only_at(&mut self, generation: u32) {
        self.generation = Some(generation);
    }

    /// Makes a table where it does not exist.
    pub fn add_table(&mut self, table: Table<'_>) {
        let attributes = Attributes::new().text(1, table.name).number(2, 0);
        self.push(Verb::NEW_TABLE, NLM_F_CREATE, table, attributes, format!("add table {table}"));
    }

    /// Removes a table with all that is in it.
    pub fn delete_table(&mut self, table: Table<'_>) {
        let attributes = Attributes::new().text(1, table.name);
        self.push(Verb::DELETE_TABLE, 0, table, attributes, format!("delete table {table}"));
    }

    /// Makes a base chain where it does not exist. One of other kind, hook or priority is a refusal.
    pub fn add_chain(&mut self, table: Table<'_>, chain: &BaseChain<'_>) {
        let action = format!("add chain {table} {}", chain.name);
        self.push(Verb::NEW_CHAIN, NLM_F_CREATE, table, chain.attributes(table.name), action);
    }

    /// Makes a chain that packets enter by a jump only, where it does not exist.
    pub fn add_regular_chain(&mut self, table: Table<'_>, chain: &str) {
        let attributes = Attributes::new().text(1, table.name).text(3, chain);
        let action = format!("add chain {table} {chain}");
        self.push(Verb::NEW_CHAIN, NLM_F_CREATE, table, attributes, action);
    }

    /// Removes all rules of a chain.
    pub fn flush_chain(&mut self, table: Table<'_>, chain: &str) {
        let attributes = Attributes::new().text(1, table.name).text(2, chain);
        let action = format!("flush chain {table} {chain}");
        self.push(Verb::DELETE_RULE, 0, table, attributes, action);
    }

    /// Removes a chain, which must be without rules.
    pub fn delete_chain(&mut self, table: Table<'_>, chain: &str) {
        let attributes = Attributes::new().text(1, table.name).text(3, chain);
        let action = format!("delete chain {table} {chain}");
        self.push(Verb::DELETE_CHAIN, 0, table, attributes, action);
    }

    /// Makes a set or map where it does not exist.
    pub fn add_collection(&mut self, table: Table<'_>, collection: &Collection<'_>) {
        self.collections += 1;
        let attributes = collection.attributes(table.name, self.collections);
        let action = format!("add set {table} {}", collection.name);
        self.push(Verb::NEW_SET, NLM_F_CREATE, table, attributes, action);
    }

    /// Removes a set or map with its elements, which no rule may use.
    pub fn delete_collection(&mut self, table: Table<'_>, collection: &str) {
        let attributes = Attributes::new().text(1, table.name).text(2, collection);
        let action = format!("delete set {table} {collection}");
        self.push(Verb::DELETE_SET, 0, table, attributes, action);
    }

    /// Removes a rule, known by the number in a listing ([`ListedRule::handle`](super::ListedRule::handle)).
    pub fn delete_rule(&mut self, table: Table<'_>, chain: &str, handle: u64) {
        let attributes = Attributes::new().text(1, table.name).text(2, chain);
        let attributes = attributes.bytes(3, &handle.to_be_bytes());
        let action = format!("delete rule {handle} of {table} {chain}");
        self.push(Verb::DELETE_RULE, 0, table, attributes, action);
    }

    /// Adds a rule at the end of a chain.
    pub fn append_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        self.add_rule(NLM_F_APPEND, table, chain, rule);
    }

    /// Adds a rule at the head of a chain.
    pub fn prepend_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        self.add_rule(0, table, chain, rule);
    }

    /// Adds elements to a set or map.
    pub fn add_elements(
        &mut self,
        table: Table<'_>,
        collection: &str,
        elements: &[Element],
        uniqueness: Uniqueness,
    ) {
        let exclusive = match uniqueness {
            Uniqueness::MustBeNew => NLM_F_EXCL,
            Uniqueness::MayExist => 0,
        };
        let flags = NLM_F_CREATE | exclusive;
        let action = format!("add elements to {table} {collection}");
        self.elements(Verb::NEW_ELEMENT, flags, table, collection, elements, &action);
    }

    /// Removes elements, known by their keys, which must be there.
    pub fn delete_elements(&mut self, table: Table<'_>, collection: &str, elements: &[Element]) {
        let action = format!("delete elements of {table} {collection}");
        self.elements(Verb::DELETE_ELEMENT, 0, table, collection, elements, &action);
    }

    fn add_rule(&mut self, place: u16, table: Table<'_>, chain: &str, rule: &Rule) {
        let action = match rule.comment_text() {
            Some(comment) => format!("add rule {comment:?} to {table} {chain}"),
            None => format!("add a rule to {table} {chain}"),
        };
        let attributes = rule.attributes(table.name, chain);
        self.push(Verb::NEW_RULE, NLM_F_CREATE | place, table, attributes, action);
    }

    fn elements(
        &mut self,
        verb: Verb,
        flags: u16,
        table: Table<'_>,
        collection: &str,
        elements: &[Element],
        action: &str,
    ) {
        for part in elements.chunks(ELEMENTS_A_MESSAGE) {
            let list = part
                .iter()
                .fold(Attributes::new(), |list, element| list.nested(1, &element.attributes()));
            let attributes =
                Attributes::new().text(1, table.name).text(2, collection).nested(3, &list);
            self.push(verb, flags, table, attributes, action.to_owned());
        }
    }

    fn push(
        &mut self,
        verb: Verb,
        flags: u16,
        table: Table<'_>,
        attributes: Attributes,
        action: String,
    ) {
        let flags = NLM_F_REQUEST | flags;
        let message = Message::new(verb.kind(), flags, table.family.number(), attributes);
        self.steps.push((message, action));
    }

    /// The messages, and what each but the first and the last is to do. The last step is acknowledged.
    pub(super) fn into_batch(self) -> (Vec<Message>, Vec<String>) {
        let (mut messages, actions): (Vec<_>, Vec<_>) = self.steps.into_iter().unzip();
        if let Some(last) = messages.last_mut() {
            last.flags |= NLM_F_ACK;
        }
        let generation = self.generation.map(u32::to_be_bytes);
        let condition = Attributes::new().maybe(1, generation.as_ref().map(<[u8; 4]>::as_slice));
        messages.insert(0, frame(BATCH_BEGIN, condition));
        messages.push(frame(BATCH_END, Attributes::new()));
        (messages, actions)
    }
}

fn frame(kind: u16, attributes: Attributes) -> Message {
    Message { resource: SUBSYSTEM, ..Message::new(kind, NLM_F_REQUEST, 0, attributes) }
}
