//! `conditionsV4` and `conditionsV6`: what a packet must be like besides going to a port, in the words of iptables or of
//! nftables, as what [`nat`](crate::nat) can say. What it cannot say exactly is refused.

mod iptables;
mod nftables;
mod value;

use podnet_netutil::Family;
use podnet_netutil::nft::Condition;

use super::options::invalid;
use crate::error::Error;
use crate::nat::Conditions;

/// Whose words conditions are, which is also the `backend` that the reference takes them for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Iptables,
    Nftables,
}

impl Syntax {
    /// As the reference tells them apart: by how the first word begins. None where there are no words.
    pub(super) fn of(words: &[String]) -> Option<Self> {
        let first = words.iter().find(|word| !word.is_empty())?;
        Some(if first.starts_with(['-', '!']) { Self::Iptables } else { Self::Nftables })
    }

    pub(super) fn backend(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

/// The option of a family's conditions.
pub(super) fn option(family: Family) -> &'static str {
    match family {
        Family::V4 => "conditionsV4",
        Family::V6 => "conditionsV6",
    }
}

/// Reads the conditions of a family. No words are no conditions.
pub(super) fn read(family: Family, words: &[String]) -> Result<Vec<Condition>, Error> {
    let refused = |reason: String| invalid(option(family), format!("{reason} (in {words:?})"));
    let given: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let read = match Syntax::of(words) {
        None => return Ok(Vec::new()),
        Some(Syntax::Iptables) => iptables::read(family, &given),
        Some(Syntax::Nftables) => nftables::read(family, &given),
    };
    let conditions = read.map_err(refused)?;
    if Conditions::alternatives(&conditions) > Conditions::MOST_ALTERNATIVES {
        let most = Conditions::MOST_ALTERNATIVES;
        return Err(refused(format!("that is more than {most} rules: give fewer alternatives")));
    }
    Ok(conditions)
}

/// The words that are not read yet.
struct Words<'a> {
    rest: std::slice::Iter<'a, &'a str>,
}

impl<'a> Words<'a> {
    fn new(words: &'a [&'a str]) -> Self {
        Self { rest: words.iter() }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.rest.next().copied()
    }

    fn peek(&self) -> Option<&'a str> {
        self.rest.as_slice().first().copied()
    }

    fn is_next(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        if is_next {
            self.rest.next();
        }
        is_next
    }

    /// The word that must follow.
    fn after(&mut self, word: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("nothing follows {word:?}"))
    }
}

#[cfg(test)]
mod tests;
