//! A thousand host ports on two hundred and fifty pods: the last costs what the first did.

use std::time::{Duration, Instant};

use podnet_plugin_api::{PodSandbox, Protocol, Settings};
use podnet_testkit::Pod;

use super::bed::{
    Bed, CIDRS, Mirror, NODE4, NODE6, WORLD4, ask, port, sandbox, set_up, start_with,
};
use super::cost::{Cost, Meter, frames};

const PODS: u16 = 250;
const PORTS: u16 = 4;
/// So many at the beginning and at the end are compared. The very first makes the bridge and the table.
const COMPARED: usize = 25;

#[test]
fn a_thousand_host_ports_of_both_families_lead_to_their_pods_and_the_last_costs_what_the_first_did()
{
    let bed = Bed::new(None);
    let pods = attach_all(&bed, CIDRS);
    let last = 10_000 + PODS * PORTS - 1;
    let _mirrors = [Mirror::new(pods[0].netns(), 80), Mirror::new(pods[249].netns(), 80)];
    for port in [10_000, last] {
        let asked = |_| {
            let begun = Instant::now();
            assert_eq!(ask(bed.world.netns(), NODE4, port).as_deref(), Some(WORLD4));
            begun.elapsed()
        };
        let took: Vec<_> = (0..20).map(asked).collect();
        print(&format!("a connection to port {port}: {}", summary(&took)));
        assert!(ask(bed.world.netns(), NODE6, port).is_some(), "port {port} by IPv6");
    }
}

#[test]
fn the_last_of_many_ipv4_pods_costs_what_the_first_did() {
    attach_all(&Bed::new(None), "10.9.0.0/24");
}

#[test]
fn the_last_of_many_ipv6_pods_costs_what_the_first_did() {
    attach_all(&Bed::new(None), "fd00:9::/64");
}

#[allow(clippy::print_stderr, reason = "times are for whoever asks for them with --nocapture")]
fn print(line: &str) {
    eprintln!("{line}");
}

/// Counts what grows where something does: requests, what the kernel lists in answer, files, and what the bridge hands to
/// pods that have nothing to do with it. Times are printed; `cargo xtask bench` is where figures are compared.
fn attach_all(bed: &Bed, cidrs: &str) -> Vec<Pod> {
    let pods: Vec<_> =
        (0..PODS).map(|number| bed.host.add_pod(&format!("p{number}")).unwrap()).collect();
    let (took, costs, heard) = bed
        .host
        .run(async || {
            let kubenet = start_with(bed.options(), &Settings::default(), cidrs).await;
            set_up(&kubenet, &with_ports(0, &pods[0])).await;
            let (store, results) =
                (bed.host.networks_dir().join("kubenet"), bed.options().cache_dir.join("results"));
            let meter = Meter::new(&[&store, &results]);
            let before = frames(pods[0].netns(), "eth0");
            let (mut took, mut costs) = (Vec::new(), Vec::new());
            for (number, pod) in (1..PODS).zip(&pods[1..]) {
                let sandbox = with_ports(number, pod);
                meter.read();
                let (begun, worked) = (Instant::now(), on_cpu());
                set_up(&kubenet, &sandbox).await;
                took.push((begun.elapsed(), on_cpu().saturating_sub(worked)));
                costs.push(meter.read());
            }
            (took, costs, frames(pods[0].netns(), "eth0") - before)
        })
        .unwrap();
    let (first, last) = (0..COMPARED, took.len() - COMPARED..took.len());
    for (which, range) in [("first", first.clone()), ("last", last.clone())] {
        let (took, worked): (Vec<_>, Vec<_>) = took[range].iter().copied().unzip();
        let (took, worked) = (summary(&took), summary(&worked));
        print(&format!(
            "{cidrs}: set-up of the {which} {COMPARED} {took}; on the processor {worked}"
        ));
    }
    let cost = least(&costs[first.clone()]);
    print(&format!("{cidrs}: {cost:?}, {heard} frames to the first pod"));
    assert_eq!(least(&costs[first]), least(&costs[last]), "{cidrs}");
    assert!(heard < u64::from(PODS) / 10, "{cidrs}: the first pod got {heard} frames");
    pods
}

fn with_ports(number: u16, pod: &Pod) -> PodSandbox {
    let mut sandbox = sandbox(&format!("p{number}"), pod);
    let first = 10_000 + number * PORTS;
    sandbox.port_mappings = (0..PORTS).map(|next| port(first + next, 80, Protocol::Tcp)).collect();
    sandbox
}

/// Once a second all interfaces are listed, to see whether the host's MTU changed.
fn least(costs: &[Cost]) -> Cost {
    *costs.iter().min().unwrap()
}

/// How long this thread has had a processor: what others do on the machine counts less in it.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn summary(took: &[Duration]) -> String {
    let mut sorted = took.to_vec();
    sorted.sort();
    format!("least {:?}, median {:?}", sorted[0], sorted[sorted.len() / 2])
}
