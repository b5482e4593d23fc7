//! The option `mtu`, which bridge, ptp and tuning have in common.

use crate::error::Error;

/// The kernel's limits for an Ethernet device, in bytes.
const RANGE: std::ops::RangeInclusive<i64> = 68..=65535;

/// The MTU that a configuration asks for, in bytes; none for 0, which leaves it to the kernel.
pub(crate) fn mtu(mtu: i64) -> Result<Option<u32>, Error> {
    if mtu == 0 {
        return Ok(None);
    }
    let wrong = || Error::InvalidOption {
        option: "mtu",
        reason: format!("{mtu} is not between {} and {}", RANGE.start(), RANGE.end()),
    };
    if !RANGE.contains(&mtu) {
        return Err(wrong());
    }
    u32::try_from(mtu).map(Some).map_err(|_| wrong())
}
