//! SCTP without the kernel's SCTP: the first two packets of an association, written and read as bytes (RFC 9260).

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use podnet_netutil::Netns;
use podnet_standard_plugins::nat::{HostPort, Protocol};
use socket2::{Domain, SockAddr, Socket, Type};

use super::stage::{HOST, HOST6, Stage, WORLD, WORLD6, network, port};

const SCTP: i32 = 132;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const CLIENT_TAG: u32 = 0x1234_5678;
const SERVER_TAG: u32 = 0x8765_4321;
const PATIENCE: Duration = Duration::from_millis(1500);

/// A client outside, the host's address and port that it knows, and the pod behind them.
#[derive(Clone, Copy)]
pub(crate) struct Association<'a> {
    pub(crate) client: (&'a Netns, IpAddr, u16),
    pub(crate) host: (IpAddr, u16),
    pub(crate) server: (&'a Netns, IpAddr, u16),
}

/// What an SCTP packet says, with where it came from.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    from: (IpAddr, u16),
    port: u16,
    tag: u32,
    chunk: u8,
    its_tag: u32,
}

impl Association<'_> {
    /// Opens it half: the client's INIT arrives at the pod, and the pod's INIT ACK at the client.
    pub(crate) fn open(&self) -> io::Result<()> {
        let ((client_netns, client_ip, client_port), (host_ip, host_port)) =
            (self.client, self.host);
        let (server_netns, server_ip, server_port) = self.server;
        let server = server_netns.run(|| raw(server_ip)).unwrap()?;
        let client = client_netns.run(|| raw(client_ip)).unwrap()?;

        let init = written(client_port, host_port, 0, INIT, CLIENT_TAG);
        client.send_to(&init, &SockAddr::from(SocketAddr::new(host_ip, 0)))?;
        let arrived = read(&server, server_ip)?;
        let expected = Packet {
            from: (client_ip, client_port),
            port: server_port,
            tag: 0,
            chunk: INIT,
            its_tag: CLIENT_TAG,
        };
        assert_eq!(arrived, expected, "as it arrives at the pod");

        let answer = written(server_port, client_port, CLIENT_TAG, INIT_ACK, SERVER_TAG);
        server.send_to(&answer, &SockAddr::from(SocketAddr::new(client_ip, 0)))?;
        let arrived = read(&client, client_ip)?;
        let expected = Packet {
            from: (host_ip, host_port),
            port: client_port,
            tag: CLIENT_TAG,
            chunk: INIT_ACK,
            its_tag: SERVER_TAG,
        };
        assert_eq!(arrived, expected, "as it comes back to the client");
        Ok(())
    }
}

fn raw(address: IpAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(SCTP.into()))?;
    // To this address and no other.
    socket.bind(&SocketAddr::new(address, 0).into())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn written(from: u16, to: u16, tag: u32, chunk: u8, own_tag: u32) -> Vec<u8> {
    let mut packet = [from.to_be_bytes(), to.to_be_bytes()].concat();
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    // A window of 64 KiB, one stream out and one in, the first number of sequence.
    let mut body = own_tag.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    if chunk == INIT_ACK {
        // The cookie, which an answer must have.
        body.extend([0, 7, 0, 8, 1, 2, 3, 4]);
    }
    let length = u16::try_from(body.len() + 4).unwrap();
    packet.extend([chunk, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend(body);
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet
}

/// The next packet; its sum must be right.
fn read(mut socket: &Socket, own: IpAddr) -> io::Result<Packet> {
    let from = socket.peek_sender()?;
    let mut bytes = vec![0; 512];
    let length = socket.read(&mut bytes)?;
    bytes.truncate(length);
    if let IpAddr::V4(own) = own {
        // A raw socket of IPv4 delivers the IP header too.
        let header: Vec<u8> = bytes.drain(..usize::from(bytes[0] & 0x0f) * 4).collect();
        assert_eq!(header[16..20], own.octets(), "the destination");
    }
    let sum = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    let mut unsummed = bytes.clone();
    unsummed[8..12].fill(0);
    assert_eq!(sum, crc32c(&unsummed), "the sum of {bytes:02x?}");
    let two = |at: usize| u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap());
    let four = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    Ok(Packet {
        from: (from.as_socket().unwrap().ip(), two(0)),
        port: two(2),
        tag: four(4),
        chunk: bytes[12],
        its_tag: four(16),
    })
}

/// RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
        }
    }
    !sum
}

#[test]
fn associations_reach_a_pod_until_its_port_is_withdrawn() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    let wanted = HostPort { container_port: 2905, ..port(Protocol::Sctp, 36412) };
    stage.publish(&web, &[wanted]);
    let associations =
        [(HOST, WORLD, 0), (HOST6, WORLD6, 1)].map(|(host, world, index)| Association {
            client: (stage.world.netns(), world.parse().unwrap(), 40000),
            host: (host.parse().unwrap(), 36412),
            server: (web.pod.netns(), web.ips[index], 2905),
        });
    for association in &associations {
        association.open().unwrap();
    }
    stage.withdraw(&web);
    for association in &associations {
        assert!(association.open().is_err(), "the connection was not forgotten");
    }
    stage.publish(&web, &[HostPort { host_ip: Some(HOST.parse().unwrap()), ..wanted }]);
    associations[0].open().unwrap();
    assert!(associations[1].open().is_err(), "of one address only");
}
