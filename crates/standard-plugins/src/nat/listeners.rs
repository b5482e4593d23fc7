//! Processes of the host that have a port already: a pod's host port would take their clients away.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;

use super::layout::any_address;
use super::{Protocol, Published};
use crate::error::Error;

const LISTENING: &str = "0A";
const UNCONNECTED: &str = "07";

/// A socket that takes what comes to a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Refuses ports that a process in the calling thread's network namespace has.
pub(super) fn refuse_conflicts(added: &[Published]) -> Result<(), Error> {
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        // Trying is quick; the system's list of sockets, by which they are named, is long.
        let taken = |port: &&Published| port.protocol == protocol && !is_free(port);
        let wanted: Vec<_> = added.iter().filter(taken).collect();
        if wanted.is_empty() {
            continue;
        }
        for listener in listeners(protocol) {
            if let Some(port) = wanted.iter().find(|port| takes(&listener, port)) {
                return Err(in_use(port, &listener));
            }
        }
    }
    Ok(())
}

fn in_use(port: &Published, listener: &Listener) -> Error {
    Error::HostPortInUse {
        port: port.host_port,
        protocol: port.protocol,
        address: listener.address,
        process: process(listener.inode).unwrap_or_else(|| "a process".to_owned()),
    }
}

fn takes(listener: &Listener, port: &Published) -> bool {
    if listener.port != port.host_port {
        return false;
    }
    match (listener.address, port.pod_ip) {
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            // A socket of IPv6 takes IPv4 too, unless it was told not to, which only trying shows.
            address.is_unspecified() && !is_free(port)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
        (address, _) => {
            let any = address.is_unspecified() || port.host_ip.is_none();
            any || port.host_ip == Some(address)
        }
    }
}

/// Sockets that only send from the port, or that are closing, take nothing away and may make this false too.
fn is_free(port: &Published) -> bool {
    let address = port.host_ip.unwrap_or_else(|| any_address(port.family()));
    let address = (address, port.host_port);
    match port.protocol {
        Protocol::Tcp => TcpListener::bind(address).is_ok(),
        Protocol::Udp => UdpSocket::bind(address).is_ok(),
        // No trying without a socket of SCTP: only the list, which is short or does not exist, tells.
        Protocol::Sctp => false,
    }
}

/// A kernel without one of the families has no such file, and nobody listens.
fn listeners(protocol: Protocol) -> Vec<Listener> {
    let folder = Path::new("/proc/thread-self/net");
    let (files, state) = match protocol {
        Protocol::Tcp => (["tcp", "tcp6"], LISTENING),
        Protocol::Udp => (["udp", "udp6"], UNCONNECTED),
        Protocol::Sctp => {
            let listed = fs::read_to_string(folder.join("sctp/eps")).unwrap_or_default();
            return listed.lines().flat_map(endpoint).collect();
        }
    };
    let files = files.iter().filter_map(|name| File::open(folder.join(name)).ok());
    let rows = files.flat_map(|file| {
        let rows = BufReader::new(file).lines().map_while(Result::ok).skip(1);
        // Those that listen stand before all connections of TCP, of which there may be very many.
        rows.map_while(move |row| match listener(&row, state) {
            None if protocol == Protocol::Tcp => None,
            found => Some(found),
        })
    });
    rows.flatten().collect()
}

/// A row reads `0: 0100007F:1F90 00000000:0000 0A tx:rx tr:when retransmits uid timeout inode ...`.
fn listener(row: &str, wanted_state: &str) -> Option<Listener> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let (address, port) = local.split_once(':')?;
    if *state != wanted_state {
        return None;
    }
    Some(Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: inode.parse().ok()?,
    })
}

/// The listeners that an endpoint of SCTP is, one an address. A row of `sctp/eps` reads `endpoint socket style state
/// bucket port uid inode address ...`, with addresses as one writes them; 10 is the state of those that listen.
fn endpoint(row: &str) -> Vec<Listener> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let [_, _, _, "10", _, port, _, inode, addresses @ ..] = fields.as_slice() else {
        return Vec::new();
    };
    let (Ok(port), Ok(inode)) = (port.parse(), inode.parse()) else { return Vec::new() };
    let addresses = addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
    addresses.map(|address| Listener { address: address.to_canonical(), port, inode }).collect()
}

/// Each four bytes are printed as a number of this machine.
fn parse_address(digits: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = digits
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        words => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
    }
}

/// The process that has the socket, where it can be seen.
fn process(inode: u64) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut pids = pids.filter(|pid| has_open(*pid, &socket));
    let pid = pids.next()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim_end()))
}

fn has_open(pid: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| target.as_os_str() == socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernel_are_read() {
        let word = u32::from_ne_bytes([127, 0, 0, 1]);
        let row = format!("  0: {word:08X}:1F90 00000000:0000 0A 0:0 00:0 0 0 0 4242 1 x");
        let expected = Listener { address: "127.0.0.1".parse().unwrap(), port: 8080, inode: 4242 };
        assert_eq!(listener(&row, LISTENING), Some(expected));
        assert_eq!(listener(&row, UNCONNECTED), None);
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let word = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let six = [word([0xfd, 0, 0, 0]), word([0; 4]), word([0; 4]), word([0, 0, 0, 1])].concat();
        assert_eq!(parse_address(&six), Some("fd00::1".parse().unwrap()));
        let mapped = [word([0; 4]), word([0; 4]), word([0, 0, 0xff, 0xff]), word([10, 0, 0, 1])];
        assert_eq!(parse_address(&mapped.concat()), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(parse_address("xyz"), None);
    }

    #[test]
    fn endpoints_of_sctp_are_read() {
        let recorded = " ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
ffff8881 ffff8882 2   10  36   36412     0 61234 10.9.0.1 192.0.2.10 
ffff8883 ffff8884 0   7   12   5000      0 61235 0.0.0.0 
ffff8885 ffff8886 2   10  10   2905   1000 61236 0000:0000:0000:0000:0000:0000:0000:0000 
";
        let found: Vec<_> = recorded.lines().flat_map(endpoint).collect();
        let listener = |address: &str, port, inode| Listener {
            address: address.parse().unwrap(),
            port,
            inode,
        };
        let expected = [
            listener("10.9.0.1", 36412, 61234),
            listener("192.0.2.10", 36412, 61234),
            listener("::", 2905, 61236),
        ];
        assert_eq!(found, expected);
        let port = |host_ip: Option<&str>, host_port, pod_ip: &str| Published {
            label: String::new(),
            protocol: Protocol::Sctp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port,
            pod_ip: pod_ip.parse().unwrap(),
            container_port: 1,
            conditions: None,
        };
        for (wanted, is_taken) in [
            (port(None, 36412, "10.1.0.2"), true),
            (port(Some("192.0.2.10"), 36412, "10.1.0.2"), true),
            (port(Some("192.0.2.11"), 36412, "10.1.0.2"), false),
            (port(None, 36412, "fd00::2"), false),
            (port(None, 2905, "10.1.0.2"), true),
            (port(None, 2905, "fd00::2"), true),
            (port(None, 5000, "10.1.0.2"), false),
        ] {
            let taken = found.iter().any(|listener| takes(listener, &wanted));
            assert_eq!(taken, is_taken, "{wanted} of {}", wanted.pod_ip);
        }
    }

    #[test]
    fn a_listener_is_named_with_its_process() {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listeners(Protocol::Tcp).into_iter().find(|found| found.port == port).unwrap();
        let process = process(found.inode).unwrap();
        assert!(process.ends_with(&format!("(pid {})", std::process::id())), "{process}");
    }
}
