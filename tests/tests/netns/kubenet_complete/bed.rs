//! A node with an uplink to the world outside, of both families, and what its pods say to each other.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use podnet_kubenet::{Kubenet, KubenetOptions};
use podnet_netutil::{Netlink, Netns};
use podnet_plugin_api::{
    Event, NetworkPlugin as _, PodNetworkStatus, PodSandbox, PortMapping, Protocol, Settings,
};
use podnet_standard_plugins::PluginChoice;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs;

pub(super) const CIDRS: &str = "10.9.0.0/24,fd00:9::/64";
pub(super) const NODE4: &str = "192.0.2.10";
pub(super) const NODE6: &str = "2001:db8::10";
pub(super) const WORLD4: &str = "192.0.2.1";
pub(super) const WORLD6: &str = "2001:db8::1";
const DEADLINE: Duration = Duration::from_secs(3);

pub(super) struct Bed {
    pub(super) host: TestHost,
    pub(super) world: Pod,
    bin_dir: Option<PathBuf>,
}

/// Runs a test with the plugins in process and with those of the Go programs.
pub(super) fn for_each_choice(test: &str, body: impl Fn(&Bed)) {
    body(&Bed::new(None));
    if let Some(bridge) = programs::peer("bridge", test) {
        body(&Bed::new(bridge.parent().map(PathBuf::from)));
    }
}

impl Bed {
    pub(super) fn new(bin_dir: Option<PathBuf>) -> Self {
        let host = TestHost::new().unwrap();
        let world = host.add_uplink(1500, format!("{NODE4}/24").parse().unwrap()).unwrap();
        let bed = Self { host, world, bin_dir };
        bed.host
            .run(async || {
                let netlink = Netlink::open().unwrap();
                let uplink = netlink.require_link("eth0").await.unwrap();
                netlink.add_address(&uplink, format!("{NODE6}/64").parse().unwrap()).await.unwrap();
            })
            .unwrap();
        // Without an address of the link that is settled nobody is asked who has another.
        for (netns, last) in [(bed.world.netns(), "1"), (bed.host.netns(), "10")] {
            inside(netns, || {
                run("ip", "-6 address flush dev eth0 scope link");
                run("ip", &format!("address add fe80::{last}/64 dev eth0 nodad"));
            });
        }
        inside(bed.world.netns(), || {
            run("ip", "address replace 192.0.2.1/24 dev eth0");
            run("ip", "address replace 2001:db8::1/64 dev eth0 nodad");
            run("ip", "route replace 10.9.0.0/24 via 192.0.2.10");
        });
        inside(bed.host.netns(), || run("ip", "address replace 2001:db8::10/64 dev eth0 nodad"));
        bed
    }

    /// Whether the plugins run in this process.
    pub(super) fn is_builtin(&self) -> bool {
        self.bin_dir.is_none()
    }

    pub(super) fn options(&self) -> KubenetOptions {
        let options = KubenetOptions::new(self.host.networks_dir(), self.host.runtime_dir());
        match &self.bin_dir {
            Some(dir) => options.with_plugins(PluginChoice::Installed, vec![dir.clone()]),
            None => options.with_plugins(PluginChoice::Builtin, Vec::new()),
        }
    }

    pub(super) async fn start(&self, settings: &Settings) -> Kubenet {
        start(self.options(), settings).await
    }
}

pub(super) async fn start(options: KubenetOptions, settings: &Settings) -> Kubenet {
    start_with(options, settings, CIDRS).await
}

pub(super) async fn start_with(
    options: KubenetOptions,
    settings: &Settings,
    cidrs: &str,
) -> Kubenet {
    let kubenet = Kubenet::new(options);
    kubenet.init(settings).await.unwrap();
    kubenet.event(Event::PodCidrChange { cidrs: cidrs.parse().unwrap() }).await.unwrap();
    kubenet
}

pub(super) fn sandbox(id: &str, pod: &Pod) -> PodSandbox {
    PodSandbox::new("default", pod.name(), id).unwrap().with_netns(pod.path())
}

pub(super) fn port(host: u16, container: u16, protocol: Protocol) -> PortMapping {
    PortMapping {
        host_ip: None,
        host_port: NonZeroU16::new(host).unwrap(),
        container_port: NonZeroU16::new(container).unwrap(),
        protocol,
    }
}

pub(super) async fn set_up(kubenet: &Kubenet, pod: &PodSandbox) -> PodNetworkStatus {
    kubenet.set_up_pod(pod).await.unwrap().unwrap()
}

pub(super) fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {said}");
}

pub(super) fn output(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split(' ')).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn inside<T: Send>(netns: &Netns, work: impl FnOnce() -> T + Send) -> T {
    netns.run(work).unwrap()
}

/// Answers whoever asks, by TCP and UDP on one port, with the address it was asked from.
pub(super) struct Mirror {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Mirror {
    pub(super) fn new(netns: &Netns, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let any: SocketAddr = format!("[::]:{port}").parse().unwrap();
        let (tcp, udp) =
            inside(netns, || (TcpListener::bind(any).unwrap(), UdpSocket::bind(any).unwrap()));
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (tcp_stop, udp_stop) = (Arc::clone(&stop), Arc::clone(&stop));
        let tcp = std::thread::spawn(move || {
            while !tcp_stop.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((mut stream, from)) => {
                        let _ = stream.write_all(canonical(from).as_bytes());
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        let udp = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while !udp_stop.load(Ordering::Relaxed) {
                if let Ok((_, from)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(canonical(from).as_bytes(), from);
                }
            }
        });
        Self { stop, threads: vec![tcp, udp] }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn canonical(from: SocketAddr) -> String {
    from.ip().to_canonical().to_string()
}

/// Asks a mirror by TCP from inside a namespace; none where nobody answers.
pub(super) fn ask(netns: &Netns, ip: &str, port: u16) -> Option<String> {
    let address = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port);
    inside(netns, || {
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    })
}

/// As [`ask`], by UDP.
pub(super) fn ask_udp(netns: &Netns, ip: &str, port: u16) -> Option<String> {
    let address = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port);
    inside(netns, || {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.connect(address).ok()?;
        socket.send(b"who am I").ok()?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).ok()?;
        String::from_utf8(buffer[..length].to_vec()).ok()
    })
}
