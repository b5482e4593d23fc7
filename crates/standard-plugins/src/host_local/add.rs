//! ADD: chooses an address of each range set and reserves all of them or none.

use ipnetwork::IpNetwork;
use podnet_cni_spec::{AddResult, Dns, IpConfig};
use serde_json::Map;

use super::allocate::{self, Choice, Situation};
use super::boot::{self, BootSource};
use super::config::Config;
use super::record::Owner;
use super::resolv_conf;
use super::store::{Access, Store};
use crate::error::{Error, ReleaseError};

/// How often a choice is made anew after somebody took the address in spite of the lock.
const ATTEMPTS: usize = 16;

/// Gives the attachment its addresses.
pub(super) fn add(
    config: &Config,
    owner: &Owner,
    boot: Option<&BootSource>,
    access: Access<'_>,
) -> Result<AddResult, Error> {
    let dns = match &config.resolv_conf {
        Some(path) => resolv_conf::read(path)?,
        None => Dns::default(),
    };
    let mut store = access.create()?;
    if let Some(boot) = boot {
        boot::reclaim(boot, &mut store);
    }
    let choices = choose_and_reserve(config, owner, &mut store);
    store.close();
    Ok(result(config, &choices?, dns))
}

pub(super) fn choose_and_reserve<'a>(
    config: &'a Config,
    owner: &Owner,
    store: &mut Store<'_>,
) -> Result<Vec<Choice<'a>>, Error> {
    let mut is_certain = false;
    for _ in 0..ATTEMPTS {
        let choices = match choose(config, owner, store) {
            // Refused is only what the files refuse, whatever was noted of them.
            Err(Error::Allocation(_)) if !is_certain => {
                is_certain = true;
                store.scan_anew()?;
                continue;
            }
            chosen => chosen?,
        };
        if reserve(store, &choices, owner)? {
            for (set, choice) in choices.iter().enumerate() {
                store.note_last_reserved(set, choice.address);
            }
            return Ok(choices);
        }
        store.scan_anew()?;
    }
    Err(Error::StoreChanging { store: store.dir().to_owned() })
}

fn choose<'a>(
    config: &'a Config,
    owner: &Owner,
    store: &mut Store<'_>,
) -> Result<Vec<Choice<'a>>, Error> {
    let held = store.holdings(owner)?.all();
    let sets = 0..config.pools.sets().len();
    let last_reserved: Vec<_> = sets.map(|set| store.last_reserved(set)).collect();
    let index = store.index();
    let situation = Situation {
        taken: index.taken(),
        stale: index.stale(),
        last_reserved: &last_reserved,
        held: &held,
    };
    Ok(allocate::choose(&config.pools, &config.requested, &owner.container, situation)?)
}

/// Reserves every choice, or none: `false` if somebody has one of them after all.
fn reserve(store: &mut Store<'_>, choices: &[Choice<'_>], owner: &Owner) -> Result<bool, Error> {
    for (done, choice) in choices.iter().enumerate() {
        let reserved = store.reserve(choice, owner);
        if !matches!(reserved, Ok(true)) {
            let undone = release(store, choices.iter().take(done));
            return undo_result(reserved, undone);
        }
    }
    Ok(true)
}

fn release<'c>(
    store: &mut Store<'_>,
    choices: impl Iterator<Item = &'c Choice<'c>>,
) -> Vec<ReleaseError> {
    choices.filter_map(|choice| store.release(choice.address).err()).collect()
}

fn undo_result(reserved: Result<bool, Error>, failures: Vec<ReleaseError>) -> Result<bool, Error> {
    if failures.is_empty() {
        return reserved;
    }
    let undo = Error::NotReleased { failures };
    match reserved {
        Err(first) => Err(Error::UndoFailed { first: Box::new(first), undo: Box::new(undo) }),
        Ok(_) => Err(undo),
    }
}

fn result(config: &Config, choices: &[Choice<'_>], dns: Dns) -> AddResult {
    AddResult {
        ips: choices.iter().map(ip_config).collect(),
        routes: config.routes.clone(),
        dns,
        ..AddResult::default()
    }
}

fn ip_config(choice: &Choice<'_>) -> IpConfig {
    let address = choice.address.address();
    // The prefix is that of a network of the same family, so it cannot be too long.
    let network = IpNetwork::new(address, choice.range.prefix).unwrap_or_else(|_| address.into());
    IpConfig {
        interface: None,
        address: network,
        gateway: Some(choice.range.gateway),
        extra: Map::new(),
    }
}
