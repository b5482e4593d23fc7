//! The chains and rules in the node's iptables, one family after the other.

use std::net::IpAddr;

use podnet_netutil::Family;
use podnet_netutil::xtables::{FilterEdit, FilterRule, FilterTable, XtablesError};

use super::layout::{self, Layout, PODS, of_family};
use crate::error::Error;
use crate::host::Host;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
/// How often a table is read again that others changed between reading and writing.
const ATTEMPTS: u32 = 8;

/// Adds what is missing for pods with these addresses; only families that they are of are looked at.
///
/// What was added for them alone is removed again where one family cannot be had.
pub(super) async fn ensure(
    host: &Host,
    layout: &Layout,
    addresses: &[IpAddr],
) -> Result<(), Error> {
    if layout.is_empty() {
        return Ok(());
    }
    let mut done: Vec<(Family, Vec<FilterRule>)> = Vec::new();
    for (family, addresses) in families(addresses) {
        match ensure_family(host, layout, family, &addresses).await {
            Ok(added) => done.push((family, added)),
            Err(first) => return Err(undo(done, first).await),
        }
    }
    Ok(())
}

/// Rules of one pod alone need no turn: nobody else makes them, and they are added whole or not at all. What pods share is
/// made by one of them while the others wait, so that it is there once.
async fn ensure_family(
    host: &Host,
    layout: &Layout,
    family: Family,
    addresses: &[IpAddr],
) -> Result<Vec<FilterRule>, Error> {
    let chains = layout.chains();
    let mut edit = FilterEdit::new(FilterTable::read(family, &chains).await?);
    let added = layout.ensure(&mut edit, addresses);
    if edit.commands().len() == added.len() && edit.commit(family).await.is_ok() {
        return Ok(added);
    }
    let _lock = host.iptables_lock().await?;
    Ok(change(family, &chains, |edit| layout.ensure(edit, addresses)).await?)
}

/// Removes what there is about these addresses, from each family whether or not the other succeeds.
pub(super) async fn withdraw(addresses: &[IpAddr]) -> Vec<Error> {
    let mut failures = Vec::new();
    for (family, addresses) in families(addresses) {
        match change(family, &[PODS], |edit| layout::withdraw(edit, &addresses)).await {
            // Without the program no rule can have been made.
            Err(XtablesError::Missing { program }) => {
                tracing::warn!("{program} is not installed; nothing to remove from iptables");
            }
            other => failures.extend(other.err().map(Error::from)),
        }
    }
    failures
}

/// What is missing, each as a line for a person. Changes nothing.
pub(super) async fn missing(layout: &Layout, addresses: &[IpAddr]) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    if layout.is_empty() {
        return Ok(lines);
    }
    for (family, addresses) in families(addresses) {
        let table = FilterTable::read(family, &layout.chains()).await?;
        let missing = layout.missing(&table, &addresses).into_iter();
        lines.extend(missing.map(|line| format!("{}: {line}", name(family))));
    }
    Ok(lines)
}

/// Whether the node's iptables answers at all.
pub(super) async fn probe() -> Result<(), Error> {
    FilterTable::read(Family::V4, &[]).await?;
    Ok(())
}

fn families(addresses: &[IpAddr]) -> impl Iterator<Item = (Family, Vec<IpAddr>)> {
    let each = FAMILIES.map(|family| (family, of_family(addresses, family)));
    each.into_iter().filter(|(_, addresses)| !addresses.is_empty())
}

/// Reads the table, plans and writes. Where others changed it between the two, nothing was written, and it begins anew.
async fn change<T>(
    family: Family,
    chains: &[&str],
    plan: impl Fn(&mut FilterEdit) -> T,
) -> Result<T, XtablesError> {
    let mut attempts = 1;
    let mut refused: Option<FilterEdit> = None;
    loop {
        let mut edit = FilterEdit::new(FilterTable::read(family, chains).await?);
        let planned = plan(&mut edit);
        match edit.commit(family).await {
            // Where nobody changed anything, it is this that cannot be done.
            Err(XtablesError::Refused { .. })
                if attempts < ATTEMPTS && refused.as_ref() != Some(&edit) =>
            {
                attempts += 1;
                refused = Some(edit);
            }
            ended => return ended.map(|()| planned),
        }
    }
}

async fn undo(done: Vec<(Family, Vec<FilterRule>)>, first: Error) -> Error {
    for (family, added) in done {
        let delete = |edit: &mut FilterEdit| added.iter().for_each(|rule| edit.delete(PODS, rule));
        if let Err(undo) = change(family, &[PODS], delete).await {
            return Error::UndoFailed { first: Box::new(first), undo: Box::new(undo.into()) };
        }
    }
    first
}

fn name(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}
