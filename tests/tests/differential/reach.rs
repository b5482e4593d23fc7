//! Who is reached by a port of the host, from where, and which client is seen there: by real connections.
//!
//! By that and not by their rules are host ports compared: they are in tables of each side's own.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use podnet_netutil::Netns;
use podnet_testkit::Pod;
use serde_json::{Map, Value};

use crate::base::{HOST, HOST6};

/// Where the pods serve.
const SERVED: [u16; 3] = [53, 80, 81];
const PAUSE: Duration = Duration::from_millis(2);
/// A busy machine may be silent for a while: asked again, with more patience each time.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(600), Duration::from_millis(1200)];

/// The places that clients are in.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) host: &'a Netns,
    pub(crate) world: Option<&'a Pod>,
    pub(crate) pods: &'a [Option<Pod>],
}

impl Places<'_> {
    /// Asks for each port everywhere, all at once: who answered, and whom it saw.
    pub(crate) fn ask(&self, ports: &[u16], addresses: &[&'static str]) -> Value {
        let _served: Vec<Server> = self
            .pods
            .iter()
            .flatten()
            .flat_map(|pod| SERVED.map(|port| Server::start(pod.netns(), pod.name(), port)))
            .collect();
        let answers: Map<String, Value> = thread::scope(|scope| {
            let mut asked = Vec::new();
            for (place, netns, address) in self.questions(addresses) {
                for port in ports {
                    let target = SocketAddr::new(address.parse().unwrap(), *port);
                    for (protocol, ask) in [("tcp", tcp as Ask), ("udp", udp)] {
                        let title = format!("{place} {protocol} {target}");
                        asked.push((title, scope.spawn(move || patiently(netns, target, ask))));
                    }
                }
            }
            asked
                .into_iter()
                .map(|(title, answer)| (title, answer.join().unwrap().into()))
                .collect()
        });
        Value::Object(answers)
    }

    /// From where to which address.
    fn questions(&self, addresses: &[&'static str]) -> Vec<(&str, &Netns, &'static str)> {
        let mut all = Vec::new();
        if let Some(world) = self.world {
            all.extend([HOST, HOST6].map(|address| ("world", world.netns(), address)));
        }
        let own = [HOST, HOST6, "127.0.0.1"].into_iter().chain(addresses.iter().copied());
        all.extend(own.map(|address| ("host", self.host, address)));
        for pod in self.pods.iter().flatten() {
            all.extend([HOST, HOST6].map(|address| (pod.name(), pod.netns(), address)));
        }
        all
    }
}

/// The question, by one of the protocols.
type Ask = fn(SocketAddr, Duration) -> io::Result<String>;

fn patiently(from: &Netns, target: SocketAddr, ask: Ask) -> String {
    let answer = || {
        let answers = PATIENCE.iter().map(|patience| told(ask(target, *patience)));
        let mut answers = answers.skip_while(|answer| answer == SILENCE);
        answers.next().unwrap_or_else(|| SILENCE.to_owned())
    };
    from.run(answer).unwrap()
}

const SILENCE: &str = "silence";

fn told(answer: io::Result<String>) -> String {
    answer.unwrap_or_else(|error| match error.kind() {
        ErrorKind::ConnectionRefused => "refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => SILENCE.to_owned(),
        // Without an address of the family, or without a route.
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => "no way".to_owned(),
        _ => error.to_string(),
    })
}

fn tcp(target: SocketAddr, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

fn udp(target: SocketAddr, patience: Duration) -> io::Result<String> {
    let any: IpAddr = if target.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    socket.set_read_timeout(Some(patience))?;
    let mut answer = [0; 64];
    match socket.send(b"?").and_then(|_| socket.recv(&mut answer)) {
        Ok(length) => Ok(String::from_utf8_lossy(&answer[..length]).into_owned()),
        // A host may say that nobody is there, and need not.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Err(ErrorKind::TimedOut.into())
        }
        Err(error) => Err(error),
    }
}

/// Answers `NAME:PORT saw CLIENT` over TCP and UDP at a port of a pod, until it is dropped.
struct Server {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    fn start(netns: &Netns, name: &str, port: u16) -> Self {
        let address = SocketAddr::new("::".parse().unwrap(), port);
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
        let name = format!("{name}:{port}");
        let says = move |peer: SocketAddr| format!("{name} saw {}", peer.ip().to_canonical());
        let says_too = says.clone();
        let threads = vec![
            serve(Box::new(move || {
                let (mut client, peer) = tcp.accept()?;
                client.write_all(says(peer).as_bytes())
            })),
            serve(Box::new(move || {
                let (_, peer) = udp.recv_from(&mut [0; 64])?;
                udp.send_to(says_too(peer).as_bytes(), peer).map(drop)
            })),
        ];
        Self { stop, threads }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}
