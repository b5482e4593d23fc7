//! Probes: an echo request, a page served and fetched. Real packets, and no program outside.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::Error;

const DEADLINE: Duration = Duration::from_secs(1);
const TRANSFER_DEADLINE: Duration = Duration::from_secs(5);
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// What tells our request's reply from another's: identifier and sequence number of RFC 792.
const MARK: [u8; 4] = [0x70, 0x6e, 0, 1];

/// Sends one echo request from the calling thread's namespace and returns the round-trip time.
///
/// # Errors
/// [`Error::NoReply`] after one second; [`Error::Probe`] without a route, or without `CAP_NET_RAW`.
pub fn ping(target: IpAddr) -> Result<Duration, Error> {
    let failed = |source| Error::Probe { action: "ping", target: target.to_string(), source };
    let begun = Instant::now();
    let socket = echo_socket(target).map_err(failed)?;
    let packet = echo_request(target);
    socket.send_to(&packet, &SocketAddr::new(target, 0).into()).map_err(failed)?;
    let reply_type = if target.is_ipv4() { ECHO_REPLY } else { ECHO_REPLY_V6 };
    while begun.elapsed() < DEADLINE {
        match receive(&socket) {
            Ok(answer) if is_reply(&answer, target, reply_type) => return Ok(begun.elapsed()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Error::NoReply { target, waited: begun.elapsed() })
}

fn echo_socket(target: IpAddr) -> io::Result<Socket> {
    let (domain, protocol) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn echo_request(target: IpAddr) -> [u8; 8] {
    let [a, b, c, d] = MARK;
    if target.is_ipv6() {
        // The kernel fills in the checksum of ICMPv6 (RFC 3542, section 3.1).
        return [ECHO_REQUEST_V6, 0, 0, 0, a, b, c, d];
    }
    let unsummed = [ECHO_REQUEST, 0, 0, 0, a, b, c, d];
    let [high, low] = checksum(unsummed).to_be_bytes();
    [ECHO_REQUEST, 0, high, low, a, b, c, d]
}

/// The internet checksum (RFC 1071) of an eight-byte message.
fn checksum(message: [u8; 8]) -> u16 {
    let words = message.as_chunks::<2>().0;
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(folded & 0xffff).unwrap_or_default()
}

fn receive(mut socket: &Socket) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 128];
    let length = socket.read(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// A raw IPv4 socket delivers the IP header too, an IPv6 one does not.
fn is_reply(packet: &[u8], target: IpAddr, reply_type: u8) -> bool {
    let header = match (target, packet.first()) {
        (IpAddr::V4(_), Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    let Some(message) = packet.get(header..) else { return false };
    message.first() == Some(&reply_type) && message.get(4..8) == Some(&MARK)
}

/// A page that is being served, until the value is dropped.
#[derive(Debug)]
pub struct Page {
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Serves `body` over HTTP/1.0 at `address`, from the calling thread's namespace.
    ///
    /// # Errors
    /// [`Error::Probe`] when nothing can listen there.
    pub fn serve(address: SocketAddr, body: &str) -> Result<Self, Error> {
        let failed =
            |source| Error::Probe { action: "serve on", target: address.to_string(), source };
        let listener = Arc::new(TcpListener::bind(address).map_err(failed)?);
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let accepting = Arc::clone(&listener);
        let thread = std::thread::Builder::new()
            .name("podnet-page".to_owned())
            .spawn(move || {
                accepting
                    .incoming()
                    .map_while(Result::ok)
                    .for_each(|client| reply(client, &answer));
            })
            .map_err(failed)?;
        Ok(Self { listener, thread: Some(thread) })
    }

    /// Where it is served; the port that the system chose where none was asked for.
    ///
    /// # Errors
    /// [`Error::Probe`] when the system cannot tell.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        let address = self.listener.local_addr();
        address.map_err(|source| Error::Probe {
            action: "serve on",
            target: "a port".to_owned(),
            source,
        })
    }
}

/// A client that goes away is its own affair.
fn reply(mut client: TcpStream, answer: &str) {
    let mut request = [0; 1024];
    let answered = client
        .set_read_timeout(Some(TRANSFER_DEADLINE))
        .and_then(|()| client.read(&mut request))
        .and_then(|_| client.write_all(answer.as_bytes()));
    drop(answered);
}

impl Drop for Page {
    fn drop(&mut self) {
        // Wakes the thread that waits for clients; one that has ended already needs no waking.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Fetches the page at `address` from the calling thread's namespace and returns its body.
///
/// # Errors
/// [`Error::Probe`].
pub fn fetch(address: SocketAddr) -> Result<String, Error> {
    let failed =
        |source| Error::Probe { action: "fetch from", target: address.to_string(), source };
    let mut stream = TcpStream::connect_timeout(&address, TRANSFER_DEADLINE).map_err(failed)?;
    stream.set_read_timeout(Some(TRANSFER_DEADLINE)).map_err(failed)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| failed(io::Error::other("the answer has no body")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_summed_message_is_zero() {
        let summed = echo_request("192.0.2.1".parse().unwrap());
        assert_eq!(checksum(summed), 0);
    }

    #[test]
    fn only_our_own_reply_counts() {
        let target: IpAddr = "192.0.2.1".parse().unwrap();
        let mut packet = vec![0x45; 20];
        packet.extend([ECHO_REPLY, 0, 0, 0]);
        packet.extend(MARK);
        assert!(is_reply(&packet, target, ECHO_REPLY));
        assert!(!is_reply(&packet[..24], target, ECHO_REPLY));
        packet[20] = ECHO_REQUEST;
        assert!(!is_reply(&packet, target, ECHO_REPLY));
    }
}
