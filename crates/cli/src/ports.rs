//! A host port as it is written on the command line.

use std::net::IpAddr;
use std::num::NonZeroU16;

use anyhow::Context as _;
use podnet::{PortMapping, Protocol};

const FORM: &str = "write [ADDRESS:]HOST:POD[/PROTOCOL], such as 8080:80 or [fd00::1]:53:53/udp";

/// Reads `[ADDRESS:]HOST:POD[/PROTOCOL]`.
pub(crate) fn parse(text: &str) -> anyhow::Result<PortMapping> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container_port) = ports.rsplit_once(':').context(FORM)?;
    let (host_ip, host_port) = match rest.rsplit_once(':') {
        Some((address, port)) => (Some(address_of(address)?), port),
        None => (None, rest),
    };
    Ok(PortMapping {
        host_ip: host_ip.filter(|ip| !ip.is_unspecified()),
        host_port: port(host_port)?,
        container_port: port(container_port)?,
        protocol: match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            other => anyhow::bail!("protocol {other:?} is none of tcp, udp and sctp"),
        },
    })
}

fn address_of(text: &str) -> anyhow::Result<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().with_context(|| format!("{bare:?} is no address; {FORM}"))
}

fn port(text: &str) -> anyhow::Result<NonZeroU16> {
    text.parse().with_context(|| format!("{text:?} is no port from 1 to 65535; {FORM}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_with_and_without_address_and_protocol() {
        let mapping = |text| {
            let it = parse(text).unwrap();
            (
                it.host_ip.map(|ip| ip.to_string()),
                it.host_port.get(),
                it.container_port.get(),
                it.protocol,
            )
        };
        assert_eq!(mapping("8080:80"), (None, 8080, 80, Protocol::Tcp));
        assert_eq!(mapping("53:5353/UDP"), (None, 53, 5353, Protocol::Udp));
        assert_eq!(
            mapping("[fd00::1]:53:53/sctp"),
            (Some("fd00::1".to_owned()), 53, 53, Protocol::Sctp)
        );
        assert_eq!(mapping("0.0.0.0:1:2").0, None);
        for wrong in ["80", "0:80", "80:x", "80:80/icmp", "host:80:80", "70000:1", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
