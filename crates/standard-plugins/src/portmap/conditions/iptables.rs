//! Conditions in the words of iptables, as it would be given them behind `-p PROTOCOL -m multiport --destination-ports ..`.

use podnet_netutil::Family;
use podnet_netutil::nft::{AddressKind, Condition, InterfaceMatch, Test};

use super::{Words, value};

pub(super) fn read(family: Family, words: &[&str]) -> Result<Vec<Condition>, String> {
    // An option may have its value behind an equals sign.
    let split = words.iter().flat_map(|word| match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => vec![option, value],
        _ => vec![*word],
    });
    let split: Vec<&str> = split.collect();
    let mut words = Words::new(&split);
    let mut conditions = Vec::new();
    let mut modules = Vec::new();
    while words.peek().is_some() {
        if words.is_next("-m") || words.is_next("--match") {
            modules.push(module(words.after("-m")?)?);
            continue;
        }
        let negated = words.is_next("!");
        let option = words.after("!")?;
        let any_of = tests(family, option, &modules, &mut words)?;
        conditions.push(Condition { negated, any_of });
    }
    Ok(conditions)
}

/// Matches that must be asked for before their options are known.
fn module(name: &str) -> Result<&str, String> {
    match name {
        "mark" | "addrtype" => Ok(name),
        other => Err(format!("the match {other:?} cannot be expressed")),
    }
}

fn tests(
    family: Family,
    option: &str,
    modules: &[&str],
    words: &mut Words<'_>,
) -> Result<Vec<Test>, String> {
    let needs = |module: &str| {
        if modules.contains(&module) {
            Ok(())
        } else {
            Err(format!("{option:?} needs \"-m\", \"{module}\" before it"))
        }
    };
    match option {
        "-s" | "--source" | "--src" => addresses(family, words.after(option)?, Test::Source),
        "-d" | "--destination" | "--dst" => {
            addresses(family, words.after(option)?, Test::Destination)
        }
        "-i" | "--in-interface" => Ok(vec![Test::FromInterface(interface(words.after(option)?)?)]),
        "-o" | "--out-interface" => Ok(vec![Test::ToInterface(interface(words.after(option)?)?)]),
        "--sport" | "--source-port" => {
            let (from, to) = value::ports(words.after(option)?, ':')?;
            Ok(vec![Test::SourcePort(from, to)])
        }
        "--dport" | "--destination-port" => {
            let (from, to) = value::ports(words.after(option)?, ':')?;
            Ok(vec![Test::DestinationPort(from, to)])
        }
        "--mark" => {
            needs("mark")?;
            mark(words.after(option)?).map(|test| vec![test])
        }
        "--src-type" => {
            needs("addrtype")?;
            kinds(words.after(option)?, Test::SourceKind)
        }
        "--dst-type" => {
            needs("addrtype")?;
            kinds(words.after(option)?, Test::DestinationKind)
        }
        "-p" | "--protocol" | "--proto" => {
            Err(format!("{option:?} cannot be expressed: each port has its own protocol"))
        }
        other => Err(format!("{other:?} cannot be expressed")),
    }
}

fn addresses(
    family: Family,
    list: &str,
    test: impl Fn(ipnetwork::IpNetwork) -> Test,
) -> Result<Vec<Test>, String> {
    list.split(',').map(|address| value::network(family, address).map(&test)).collect()
}

/// With a plus sign at its end, a name is how names begin.
fn interface(name: &str) -> Result<InterfaceMatch, String> {
    let found = match name.strip_suffix('+') {
        Some(beginning) => InterfaceMatch::beginning_with(beginning),
        None => InterfaceMatch::exactly(name),
    };
    found.ok_or_else(|| format!("{name:?} is no name of an interface"))
}

fn mark(text: &str) -> Result<Test, String> {
    let (wanted, mask) = match text.split_once('/') {
        Some((wanted, mask)) => (value::number(wanted)?, value::number(mask)?),
        None => (value::number(text)?, u32::MAX),
    };
    Ok(Test::Mark { value: wanted, mask })
}

fn kinds(list: &str, test: impl Fn(AddressKind) -> Test) -> Result<Vec<Test>, String> {
    list.split(',').map(|kind| value::kind(kind).map(&test)).collect()
}
