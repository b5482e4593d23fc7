//! Conditions in the words of nftables, as they would stand at the beginning of a rule.

use ipnetwork::IpNetwork;
use podnet_netutil::Family;
use podnet_netutil::nft::{AddressKind, Condition, InterfaceMatch, Test};

use super::{Words, value};

const PROTOCOLS: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];

pub(super) fn read(family: Family, words: &[&str]) -> Result<Vec<Condition>, String> {
    // The reference joins the words, and so does nftables: where one ends says nothing.
    let mut joined = words.join(" ");
    for separator in ["{", "}", ","] {
        joined = joined.replace(separator, &format!(" {separator} "));
    }
    for operator in ["!=", "==", "&"] {
        joined = joined.replace(operator, &format!(" {operator} "));
    }
    let split: Vec<&str> = joined.split_whitespace().collect();
    let mut words = Words::new(&split);
    let mut conditions = Vec::new();
    while let Some(word) = words.next() {
        conditions.extend(expression(family, word, &mut words)?);
    }
    Ok(conditions)
}

/// One comparison; with a protocol's port, the protocol too.
fn expression(family: Family, word: &str, words: &mut Words<'_>) -> Result<Vec<Condition>, String> {
    let own = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    if word == own {
        return header(family, word, words).map(|condition| vec![condition]);
    }
    if let Some((_, number)) = PROTOCOLS.iter().find(|(name, _)| *name == word) {
        let protocol = Condition { negated: false, any_of: vec![Test::Protocol(*number)] };
        return Ok(vec![protocol, port(word, words)?]);
    }
    let condition = match word {
        "th" => port(word, words)?,
        "meta" => {
            let key = words.after(word)?;
            meta(key, words)?
        }
        "fib" => fib(words)?,
        key => meta(key, words)?,
    };
    Ok(vec![condition])
}

fn header(family: Family, word: &str, words: &mut Words<'_>) -> Result<Condition, String> {
    let field = words.after(word)?;
    let test: fn(IpNetwork) -> Test = match field {
        "saddr" => Test::Source,
        "daddr" => Test::Destination,
        "protocol" | "nexthdr" => return comparison(words, field, protocol),
        other => return Err(cannot(&format!("{word} {other}"))),
    };
    comparison(words, field, |text| value::network(family, text).map(test))
}

fn port(word: &str, words: &mut Words<'_>) -> Result<Condition, String> {
    let field = words.after(word)?;
    let test: fn(u16, u16) -> Test = match field {
        "sport" => Test::SourcePort,
        "dport" => Test::DestinationPort,
        other => return Err(cannot(&format!("{word} {other}"))),
    };
    comparison(words, field, |text| value::ports(text, '-').map(|(from, to)| test(from, to)))
}

fn meta(key: &str, words: &mut Words<'_>) -> Result<Condition, String> {
    match key {
        "iif" | "iifname" => {
            comparison(words, key, |name| interface(name).map(Test::FromInterface))
        }
        "oif" | "oifname" => comparison(words, key, |name| interface(name).map(Test::ToInterface)),
        "l4proto" => comparison(words, key, protocol),
        "mark" => mark(words),
        other => Err(cannot(other)),
    }
}

/// `mark 1`, `mark & 0xff == 1`.
fn mark(words: &mut Words<'_>) -> Result<Condition, String> {
    let mask = if words.is_next("&") || words.is_next("and") {
        value::number(words.after("&")?)?
    } else {
        u32::MAX
    };
    comparison(words, "mark", |text| value::number(text).map(|value| Test::Mark { value, mask }))
}

/// `fib saddr type local`.
fn fib(words: &mut Words<'_>) -> Result<Condition, String> {
    let field = words.after("fib")?;
    let test: fn(AddressKind) -> Test = match field {
        "saddr" => Test::SourceKind,
        "daddr" => Test::DestinationKind,
        other => return Err(cannot(&format!("fib {other}"))),
    };
    match words.after(field)? {
        "type" => comparison(words, "type", |name| value::kind(name).map(test)),
        other => Err(cannot(&format!("fib {field} {other}"))),
    }
}

/// `VALUE`, `!= VALUE`, `{ VALUE, VALUE }`.
fn comparison(
    words: &mut Words<'_>,
    after: &str,
    test: impl Fn(&str) -> Result<Test, String>,
) -> Result<Condition, String> {
    let negated = words.is_next("!=");
    if !negated {
        words.is_next("==");
    }
    if !words.is_next("{") {
        return Ok(Condition { negated, any_of: vec![test(words.after(after)?)?] });
    }
    let mut any_of = vec![test(words.after("{")?)?];
    loop {
        match words.after("{")? {
            "}" => return Ok(Condition { negated, any_of }),
            "," if words.is_next("}") => return Ok(Condition { negated, any_of }),
            "," => any_of.push(test(words.after(",")?)?),
            other => return Err(cannot(other)),
        }
    }
}

/// With an asterisk at its end, a name is how names begin. It may stand in quotation marks.
fn interface(text: &str) -> Result<InterfaceMatch, String> {
    let name = text.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(text);
    let found = match name.strip_suffix('*') {
        Some(beginning) => InterfaceMatch::beginning_with(beginning),
        None => InterfaceMatch::exactly(name),
    };
    found.ok_or_else(|| format!("{text:?} is no name of an interface"))
}

fn protocol(text: &str) -> Result<Test, String> {
    let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let number = named.or_else(|| text.parse().ok());
    number.map(Test::Protocol).ok_or_else(|| format!("{text:?} is no protocol with ports"))
}

fn cannot(what: &str) -> String {
    format!("{what:?} cannot be expressed")
}
