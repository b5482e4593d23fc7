//! firewalld: a pod's addresses are sources of one of its zones.

use std::net::IpAddr;

use super::bus::{Bus, BusError, MethodCall, Returned};
use super::layout::network_of;
use crate::error::Error;

const SERVICE: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONE_INTERFACE: &str = "org.fedoraproject.FirewallD1.zone";

/// How firewalld begins what it has to say.
const ALREADY_SET: &str = "ZONE_ALREADY_SET";
/// Of a source that is in no zone, in another one, or of a zone that there is not.
const NOT_THERE: [&str; 3] = ["UNKNOWN_SOURCE", "ZONE_CONFLICT", "INVALID_ZONE"];
/// What a bus says of a service that does not run and cannot be started.
const NOT_RUNNING: [&str; 2] =
    ["org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.ServiceUnknown"];

/// A connection to firewalld.
#[derive(Debug)]
pub(super) struct Firewalld {
    bus: Bus,
}

impl Firewalld {
    /// The one that runs on the bus, if one does.
    pub(super) async fn running(address: &str) -> Result<Option<Self>, Error> {
        let mut bus = match Bus::connect(address).await {
            Err(BusError::Unreachable { .. }) => return Ok(None),
            bus => bus.map_err(|error| failed("reach firewalld".to_owned(), &error))?,
        };
        match bus.call(Bus::own("GetNameOwner", &[SERVICE])).await {
            Ok(_) => Ok(Some(Self { bus })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("ask whether firewalld runs".to_owned(), &error)),
        }
    }

    /// The one on the bus, which the bus may start when it is called.
    pub(super) async fn on_bus(address: &str) -> Result<Self, Error> {
        let bus = Bus::connect(address).await;
        let bus = bus.map_err(|error| failed("reach firewalld".to_owned(), &error))?;
        Ok(Self { bus })
    }

    /// Whether it runs.
    pub(super) async fn probe(&mut self) -> Result<(), Error> {
        let owner = self.bus.call(Bus::own("GetNameOwner", &[SERVICE])).await;
        owner.map(drop).map_err(|error| failed("reach firewalld".to_owned(), &error))
    }

    /// Adds an address to a zone; `false` if it was there.
    pub(super) async fn add(&mut self, zone: &str, address: IpAddr) -> Result<bool, Error> {
        match self.call("addSource", zone, address, true).await {
            Ok(_) => Ok(true),
            Err(BusError::Refused { words, .. }) if words.starts_with(ALREADY_SET) => Ok(false),
            Err(error) => Err(failed(format!("add {address} to zone {zone}"), &error)),
        }
    }

    /// Removes an address from a zone. One that is not there is success, and so is firewalld not running.
    pub(super) async fn remove(&mut self, zone: &str, address: IpAddr) -> Result<(), Error> {
        match self.call("removeSource", zone, address, false).await {
            Err(error) if !is_absent(&error) && !is_not_there(&error) => {
                Err(failed(format!("remove {address} from zone {zone}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// Whether an address is in a zone.
    pub(super) async fn has(&mut self, zone: &str, address: IpAddr) -> Result<bool, Error> {
        match self.call("querySource", zone, address, false).await {
            Ok(returned) => Ok(returned == Returned::Flag(true)),
            Err(error) => Err(failed(format!("look for {address} in zone {zone}"), &error)),
        }
    }

    async fn call(
        &mut self,
        member: &str,
        zone: &str,
        address: IpAddr,
        may_start: bool,
    ) -> Result<Returned, BusError> {
        let arguments = [zone, &network_of(address)];
        let call = MethodCall {
            destination: SERVICE,
            path: PATH,
            interface: ZONE_INTERFACE,
            member,
            arguments: &arguments,
            may_start,
        };
        self.bus.call(call).await
    }
}

fn is_absent(error: &BusError) -> bool {
    matches!(error, BusError::Refused { name, .. } if NOT_RUNNING.contains(&name.as_str()))
}

fn is_not_there(error: &BusError) -> bool {
    let begins = |words: &str| NOT_THERE.iter().any(|beginning| words.starts_with(beginning));
    matches!(error, BusError::Refused { words, .. } if begins(words))
}

fn failed(action: String, error: &BusError) -> Error {
    let reason = if is_absent(error) { "it does not run".to_owned() } else { error.to_string() };
    Error::Firewalld { action, reason }
}
