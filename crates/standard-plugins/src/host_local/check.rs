//! CHECK: are the addresses of an attachment still its own?

use std::path::Path;

use podnet_cni_spec::Request;

use super::config::Config;
use super::position::Position;
use super::record::Owner;
use super::store::Access;
use crate::error::Error;

/// The addresses of the request's `prevResult` that this network gives out: others are another plugin's.
pub(super) fn expected(config: &Config, request: &Request) -> Result<Vec<Position>, Error> {
    let ips = request.config.prev_result()?.map(|result| result.ips).unwrap_or_default();
    let positions = ips.iter().map(|ip| Position::from(ip.address.ip()));
    Ok(positions.filter(|position| config.pools.contains(*position)).collect())
}

/// Checks that the attachment holds each expected address, and at least one where none is expected in particular.
pub(super) fn check(expected: &[Position], owner: &Owner, access: Access<'_>) -> Result<(), Error> {
    let dir = access.dir;
    let Some(mut store) = access.open()? else { return Err(not_allocated(owner, dir)) };
    let holdings = store.certain_holdings(owner);
    store.close();
    let holdings = holdings?;
    let held = holdings.own();
    if held.is_empty() {
        return Err(not_allocated(owner, dir));
    }
    match expected.iter().find(|position| !held.contains(position)) {
        None => Ok(()),
        Some(lost) => Err(Error::AddressNotReserved {
            address: lost.address(),
            container: owner.container.clone(),
            interface: owner.interface_text(),
            store: dir.to_owned(),
        }),
    }
}

fn not_allocated(owner: &Owner, dir: &Path) -> Error {
    Error::NotAllocated {
        container: owner.container.clone(),
        interface: owner.interface_text(),
        store: dir.to_owned(),
    }
}
