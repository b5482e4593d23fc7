//! GC: releases what no valid attachment holds.

use podnet_cni_spec::ValidAttachment;

use super::position::Position;
use super::record::Owner;
use super::store::{Access, Store};
use crate::error::{Error, ReleaseError};

/// Releases the addresses of every attachment that is not among the valid ones. A store that does not exist is success.
pub(super) fn gc(valid: &[ValidAttachment], access: Access<'_>) -> Result<(), Error> {
    let Some(mut store) = access.open()? else { return Ok(()) };
    let failures = release_invalid(valid, &mut store);
    store.close();
    match failures? {
        none if none.is_empty() => Ok(()),
        failures => Err(Error::NotReleased { failures }),
    }
}

fn release_invalid(
    valid: &[ValidAttachment],
    store: &mut Store<'_>,
) -> Result<Vec<ReleaseError>, Error> {
    // Whose an address is must be certain before it is taken away.
    store.scan_anew()?;
    let owned = store.index().owned();
    let invalid = owned.filter(|(_, owner)| !is_valid(owner, valid)).map(|(position, _)| position);
    let invalid: Vec<Position> = invalid.collect();
    Ok(invalid.into_iter().filter_map(|position| store.release(position).err()).collect())
}

/// A file of an old version names no interface: one valid attachment of its container keeps it.
fn is_valid(owner: &Owner, valid: &[ValidAttachment]) -> bool {
    valid.iter().any(|attachment| {
        let is_interface = |name: &String| name == attachment.interface.as_str();
        owner.container == attachment.container_id.as_str()
            && owner.interface.as_ref().is_none_or(is_interface)
    })
}
