//! A server that says who it is and who asked, and its clients.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use podnet_netutil::Netns;

const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 8;

/// Answers `NAME CLIENT` over TCP and UDP at a port of a namespace, until it is dropped.
pub(crate) struct Echo {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(netns: &Netns, name: &str, address: SocketAddr) -> Self {
        let sockets = netns.run(|| (TcpListener::bind(address), UdpSocket::bind(address)));
        let (tcp, udp) = sockets.unwrap();
        let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let serve = |mut once: Box<dyn FnMut() -> io::Result<()> + Send>| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if once().is_err() {
                        thread::park_timeout(PAUSE);
                    }
                }
            })
        };
        let (tcp_name, udp_name) = (name.to_owned(), name.to_owned());
        let threads = vec![
            serve(Box::new(move || {
                let (mut client, peer) = tcp.accept()?;
                client.write_all(format!("{tcp_name} {}", peer.ip().to_canonical()).as_bytes())
            })),
            serve(Box::new(move || {
                let (_, peer) = udp.recv_from(&mut [0; 64])?;
                let answer = format!("{udp_name} {}", peer.ip().to_canonical());
                udp.send_to(answer.as_bytes(), peer).map(drop)
            })),
        ];
        Self { stop, threads }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

/// Asks over TCP from a namespace.
pub(crate) fn tcp(from: &Netns, target: SocketAddr) -> io::Result<String> {
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    })
    .unwrap()
}

/// A client over UDP that keeps its port.
pub(crate) struct Client(UdpSocket);

impl Client {
    pub(crate) fn new(from: &Netns, target: SocketAddr) -> Self {
        let any: IpAddr = if target.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
        let socket = from.run(|| UdpSocket::bind((any, 0)).unwrap()).unwrap();
        socket.connect(target).unwrap();
        socket.set_read_timeout(Some(PATIENCE / 8)).unwrap();
        Self(socket)
    }

    pub(crate) fn ask(&self) -> io::Result<String> {
        let mut outcome = Err(io::ErrorKind::TimedOut.into());
        for _ in 0..TRIES {
            let mut answer = [0; 64];
            outcome = self.0.send(b"?").and_then(|_| self.0.recv(&mut answer));
            if let Ok(length) = outcome {
                return Ok(String::from_utf8_lossy(&answer[..length]).into_owned());
            }
        }
        outcome.map(|_| String::new())
    }
}

/// Asks over UDP from a namespace.
pub(crate) fn udp(from: &Netns, target: SocketAddr) -> io::Result<String> {
    Client::new(from, target).ask()
}
