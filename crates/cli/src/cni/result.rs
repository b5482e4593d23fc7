//! The result of an ADD, as a table and as JSON.

use std::fmt::{self, Display};

use podnet_cni_spec::{AddResult, Dns, IpConfig, Route, SpecVersion};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::table::Table;

/// What a network gave to a container.
pub(super) struct Attached<'a> {
    result: &'a AddResult,
    version: SpecVersion,
}

impl<'a> Attached<'a> {
    /// A result, with the version of its network's configuration.
    pub(super) fn new(result: &'a AddResult, version: SpecVersion) -> Self {
        Self { result, version }
    }

    fn interfaces(&self) -> Table<5> {
        let rows = self.result.interfaces.iter().map(|interface| {
            let extras = [("socket", &interface.socket_path), ("PCI", &interface.pci_id)];
            [
                interface.name.clone(),
                interface.mac.clone().unwrap_or_default(),
                or_empty(interface.mtu),
                interface.sandbox.clone().unwrap_or_else(|| "host".to_owned()),
                details(extras.map(|(name, value)| (name, value.as_deref()))),
            ]
        });
        Table::new(["INTERFACE", "MAC", "MTU", "NAMESPACE", "DETAILS"], rows)
    }

    fn addresses(&self) -> Table<3> {
        let rows = self.result.ips.iter().map(|ip| {
            [ip.address.to_string(), self.interface_of(ip).to_owned(), or_empty(ip.gateway)]
        });
        Table::new(["ADDRESS", "INTERFACE", "GATEWAY"], rows)
    }

    fn interface_of(&self, ip: &IpConfig) -> &str {
        let index = ip.interface.and_then(|index| usize::try_from(index).ok());
        let interface = index.and_then(|index| self.result.interfaces.get(index));
        interface.map_or("", |interface| &interface.name)
    }

    fn routes(&self) -> Table<3> {
        let rows = self
            .result
            .routes
            .iter()
            .map(|route| [route.dst.to_string(), or_empty(route.gw), route_details(route)]);
        Table::new(["ROUTE", "VIA", "DETAILS"], rows)
    }

    fn dns(&self) -> Table<4> {
        let Dns { nameservers, domain, search, options } = &self.result.dns;
        let domain = domain.clone().unwrap_or_default();
        let row = [nameservers.join(" "), domain, search.join(" "), options.join(" ")];
        let row = Some(row).filter(|row| row.iter().any(|cell| !cell.is_empty()));
        Table::new(["NAMESERVERS", "DOMAIN", "SEARCH", "OPTIONS"], row)
    }
}

impl Display for Attached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interfaces, addresses) = (self.interfaces(), self.addresses());
        let (routes, dns) = (self.routes(), self.dns());
        let parts: [(&dyn Display, bool); 4] = [
            (&interfaces, interfaces.is_empty()),
            (&addresses, addresses.is_empty()),
            (&routes, routes.is_empty()),
            (&dns, dns.is_empty()),
        ];
        let parts = parts.iter().filter(|(_, is_empty)| !is_empty);
        let texts: Vec<String> = parts.map(|(part, _)| part.to_string()).collect();
        f.write_str(if texts.is_empty() { "attached; the result is empty" } else { "" })?;
        f.write_str(&texts.join("\n\n"))
    }
}

/// As a plugin of the network's version prints it. Before 0.3.0 there are no words for a result without an address.
impl Serialize for Attached<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let silent = |_| json!({"cniVersion": self.version});
        self.result.to_json(self.version).unwrap_or_else(silent).serialize(serializer)
    }
}

fn or_empty(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn details<const N: usize>(values: [(&str, Option<impl Display>); N]) -> String {
    let given = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn route_details(route: &Route) -> String {
    details([
        ("mtu", route.mtu),
        ("advmss", route.advmss),
        ("priority", route.priority),
        ("table", route.table),
        ("scope", route.scope.map(u32::from)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> AddResult {
        let value = json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                { "name": "br0", "mac": "02:00:00:00:00:01" },
                { "name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 1450, "sandbox": "/run/netns/web" },
            ],
            "ips": [
                { "interface": 1, "address": "10.1.0.2/24", "gateway": "10.1.0.1" },
                { "interface": 1, "address": "fd00::2/64" },
            ],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "10.2.0.0/16", "gw": "10.1.0.9", "mtu": 1400, "priority": 5 }],
            "dns": { "nameservers": ["10.0.0.10", "10.0.0.11"], "search": ["example"] },
        });
        AddResult::from_json(&value, SpecVersion::LATEST).unwrap()
    }

    #[test]
    fn a_person_reads_interfaces_addresses_routes_and_dns() {
        let expected = "\
INTERFACE  MAC                MTU   NAMESPACE
br0        02:00:00:00:00:01        host
eth0       02:00:00:00:00:02  1450  /run/netns/web

ADDRESS      INTERFACE  GATEWAY
10.1.0.2/24  eth0       10.1.0.1
fd00::2/64   eth0

ROUTE        VIA       DETAILS
0.0.0.0/0
10.2.0.0/16  10.1.0.9  mtu 1400, priority 5

NAMESERVERS          SEARCH
10.0.0.10 10.0.0.11  example";
        assert_eq!(Attached::new(&result(), SpecVersion::LATEST).to_string(), expected);
    }

    #[test]
    fn a_program_reads_the_networks_version() {
        let result = result();
        let json = |version| serde_json::to_value(Attached::new(&result, version)).unwrap();
        assert_eq!(json(SpecVersion::V0_4_0)["ips"][0]["version"], "4");
        assert_eq!(json(SpecVersion::V0_2_0)["ip4"]["ip"], "10.1.0.2/24");
    }

    #[test]
    fn an_empty_result_says_so() {
        let empty = AddResult::default();
        let attached = Attached::new(&empty, SpecVersion::V0_2_0);
        assert_eq!(attached.to_string(), "attached; the result is empty");
        assert_eq!(serde_json::to_value(&attached).unwrap(), json!({"cniVersion": "0.2.0"}));
    }
}
