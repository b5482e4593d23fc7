//! Probes: an echo request, a page served and fetched. Real packets, and no program outside.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::Error;

const REQUESTS: u8 = 40;
const INTERVAL: Duration = Duration::from_millis(250);
const TRANSFER_DEADLINE: Duration = Duration::from_secs(5);
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// The identifier of our requests (RFC 792).
const IDENTIFIER: [u8; 2] = [0x70, 0x6e];

/// Sends echo requests from the calling thread's namespace until one is answered, and returns its round-trip time.
///
/// The first may be lost while a busy machine still makes the target's neighbours known; the system asks for them again
/// after a second.
///
/// # Errors
/// [`Error::NoReply`] after ten seconds; [`Error::Probe`] without a route, or without `CAP_NET_RAW`.
pub fn ping(target: IpAddr) -> Result<Duration, Error> {
    let failed = |source| Error::Probe { action: "ping", target: target.to_string(), source };
    let begun = Instant::now();
    let socket = echo_socket(target).map_err(failed)?;
    for sequence in 1..=REQUESTS {
        let sent = Instant::now();
        let packet = echo_request(target, sequence);
        socket.send_to(&packet, &SocketAddr::new(target, 0).into()).map_err(failed)?;
        if await_reply(&socket, target, sequence).map_err(failed)? {
            return Ok(sent.elapsed());
        }
    }
    Err(Error::NoReply { target, waited: begun.elapsed() })
}

/// Whether the reply to this request comes before the next is due.
fn await_reply(socket: &Socket, target: IpAddr, sequence: u8) -> io::Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < INTERVAL {
        match receive(socket) {
            Ok(answer) if is_reply(&answer, target, sequence) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn echo_socket(target: IpAddr) -> io::Result<Socket> {
    let (domain, protocol) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(INTERVAL))?;
    Ok(socket)
}

fn echo_request(target: IpAddr, sequence: u8) -> [u8; 8] {
    let [first, second] = IDENTIFIER;
    if target.is_ipv6() {
        // The kernel fills in the checksum of ICMPv6 (RFC 3542, section 3.1).
        return [ECHO_REQUEST_V6, 0, 0, 0, first, second, 0, sequence];
    }
    let unsummed = [ECHO_REQUEST, 0, 0, 0, first, second, 0, sequence];
    let [high, low] = checksum(unsummed).to_be_bytes();
    [ECHO_REQUEST, 0, high, low, first, second, 0, sequence]
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
fn is_reply(packet: &[u8], target: IpAddr, sequence: u8) -> bool {
    let (header, reply_type) = match (target, packet.first()) {
        (IpAddr::V4(_), Some(first)) => (usize::from(first & 0x0f) * 4, ECHO_REPLY),
        _ => (0, ECHO_REPLY_V6),
    };
    let Some(message) = packet.get(header..) else { return false };
    let [first, second] = IDENTIFIER;
    message.first() == Some(&reply_type) && message.get(4..8) == Some(&[first, second, 0, sequence])
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
        let summed = echo_request("192.0.2.1".parse().unwrap(), 7);
        assert_eq!(checksum(summed), 0);
    }

    #[test]
    fn only_the_reply_to_this_request_counts() {
        let target: IpAddr = "192.0.2.1".parse().unwrap();
        let mut packet = vec![0x45; 20];
        packet.extend([ECHO_REPLY, 0, 0, 0]);
        packet.extend(IDENTIFIER);
        packet.extend([0, 3]);
        assert!(is_reply(&packet, target, 3));
        assert!(!is_reply(&packet, target, 4));
        assert!(!is_reply(&packet[..24], target, 3));
        packet[20] = ECHO_REQUEST;
        assert!(!is_reply(&packet, target, 3));
    }
}
