//! Routes of the main table.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol,
    RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::RouteMessageBuilder;

use crate::error::{Error, RequestError};
use crate::link::Link;
use crate::netlink::Netlink;

/// A route out of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads; a prefix of length 0 makes it the default route of its family.
    pub destination: IpNetwork,
    /// The next hop; without one the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// MTU for packets that take it, in bytes.
    pub mtu: Option<u32>,
    /// Maximum segment size that TCP advertises, in bytes.
    pub advmss: Option<u32>,
    /// Its metric: the smaller, the sooner taken.
    pub priority: Option<u32>,
    /// The table it stands in; the main one where none is given.
    pub table: Option<u32>,
    /// Its scope as the kernel numbers it (0 universe, 253 link, 254 host); by the gateway where none is given.
    pub scope: Option<u8>,
    /// The address from which packets that take it are sent; the kernel's choice where none is given.
    pub source: Option<IpAddr>,
}

impl Route {
    /// A route to `destination` by `gateway`, or to a destination on the link itself.
    #[must_use]
    pub fn new(destination: IpNetwork, gateway: Option<IpAddr>) -> Self {
        Self {
            destination,
            gateway,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            source: None,
        }
    }
}

impl Netlink {
    /// Adds a route out of `link`. There may be others to the same destination, out of other links.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when there is this very route, and with the kernel's words where
    /// the gateway cannot be reached.
    pub async fn add_route(&self, link: &Link, route: &Route) -> Result<(), Error> {
        let action = || match route.gateway {
            Some(gateway) => format!("add route {} by {gateway} out of {link}", route.destination),
            None => format!("add route {} out of {link}", route.destination),
        };
        let message = message(link, route).map_err(|error| Error::Netlink {
            action: action(),
            source: RequestError::Malformed(error),
        })?;
        let message = RouteNetlinkMessage::NewRoute(message);
        self.request(message, NLM_F_CREATE, action).await.map(drop)
    }

    /// Removes a route of the main table out of `link`, whatever its gateway and scope, whoever added it.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_gone`] when there is none to this destination.
    pub async fn delete_route(&self, link: &Link, destination: IpNetwork) -> Result<(), Error> {
        let action = || format!("remove route {destination} out of {link}");
        let mut message = message(link, &Route::new(destination, None)).map_err(|error| {
            Error::Netlink { action: action(), source: RequestError::Malformed(error) }
        })?;
        message.header.scope = RouteScope::NoWhere;
        message.header.protocol = RouteProtocol::Unspec;
        message.header.kind = RouteType::Unspec;
        self.request(RouteNetlinkMessage::DelRoute(message), 0, action).await.map(drop)
    }

    /// The routes of the main table that lead out of `link`, of both families.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn routes(&self, link: &Link) -> Result<Vec<Route>, Error> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            let request = RouteNetlinkMessage::GetRoute(message);
            let answers = self.dump(request, || format!("list routes of {link}")).await?;
            routes.extend(answers.iter().filter_map(|answer| route(answer, link.index)));
        }
        Ok(routes)
    }
}

fn message(link: &Link, route: &Route) -> Result<RouteMessage, String> {
    let destination = route.destination;
    let mut builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(destination.network(), destination.prefix())
        .map_err(|error| error.to_string())?
        .output_interface(link.index);
    builder = match route.gateway {
        Some(gateway) => builder.gateway(gateway).map_err(|error| error.to_string())?,
        None => builder.scope(RouteScope::Link),
    };
    if let Some(source) = route.source {
        builder = builder.pref_source(source).map_err(|error| error.to_string())?;
    }
    if let Some(priority) = route.priority {
        builder = builder.priority(priority);
    }
    if let Some(table) = route.table {
        builder = builder.table_id(table);
    }
    if let Some(scope) = route.scope {
        builder = builder.scope(RouteScope::from(scope));
    }
    let mut message = builder.build();
    let metrics = metrics(route);
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    Ok(message)
}

fn metrics(route: &Route) -> Vec<RouteMetric> {
    let mtu = route.mtu.map(RouteMetric::Mtu);
    let advmss = route.advmss.map(RouteMetric::Advmss);
    mtu.into_iter().chain(advmss).collect()
}

fn route(answer: &RouteNetlinkMessage, index: u32) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let header = &message.header;
    let any = match header.address_family {
        AddressFamily::Inet => IpAddr::from([0_u8; 4]),
        AddressFamily::Inet6 => IpAddr::from([0_u8; 16]),
        _ => return None,
    };
    if header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let mut found = Route::new(IpNetwork::new(any, header.destination_prefix_length).ok()?, None);
    let mut leads_out = false;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(oif) => leads_out = *oif == index,
            RouteAttribute::Destination(to) => {
                let prefix = header.destination_prefix_length;
                found.destination = IpNetwork::new(ip(to)?, prefix).ok()?;
            }
            RouteAttribute::Gateway(by) => found.gateway = ip(by),
            RouteAttribute::PrefSource(from) => found.source = ip(from),
            RouteAttribute::Priority(metric) => found.priority = Some(*metric),
            RouteAttribute::Metrics(metrics) => take_metrics(&mut found, metrics),
            _ => {}
        }
    }
    leads_out.then_some(found)
}

fn take_metrics(route: &mut Route, metrics: &[RouteMetric]) {
    for metric in metrics {
        match metric {
            RouteMetric::Mtu(mtu) => route.mtu = Some(*mtu),
            RouteMetric::Advmss(advmss) => route.advmss = Some(*advmss),
            _ => {}
        }
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
