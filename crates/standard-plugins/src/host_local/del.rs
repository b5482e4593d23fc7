//! DEL: releases every address of an attachment.

use super::record::Owner;
use super::store::{Access, Store};
use crate::error::{Error, ReleaseError};

/// Releases all that the attachment holds. An attachment that holds nothing, and a store that does not exist, are
/// success.
pub(super) fn del(owner: &Owner, access: Access<'_>) -> Result<(), Error> {
    let Some(mut store) = access.open()? else { return Ok(()) };
    let failures = release_all(owner, &mut store);
    store.close();
    match failures? {
        none if none.is_empty() => Ok(()),
        failures => Err(Error::NotReleased { failures }),
    }
}

fn release_all(owner: &Owner, store: &mut Store<'_>) -> Result<Vec<ReleaseError>, Error> {
    let holdings = store.certain_holdings(owner)?;
    Ok(holdings.own().iter().filter_map(|position| store.release(*position).err()).collect())
}
