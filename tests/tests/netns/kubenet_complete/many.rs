//! A thousand host ports on two hundred and fifty pods.

use std::time::{Duration, Instant};

use podnet_plugin_api::{Protocol, Settings};

use super::bed::{Bed, Mirror, NODE4, WORLD4, ask, port, sandbox, set_up};

const PODS: u16 = 250;
const PORTS: u16 = 4;

/// Prints what it measures; `cargo xtask bench` is where figures are compared.
#[test]
fn a_thousand_host_ports_lead_to_their_pods() {
    let bed = Bed::new(None);
    let pods: Vec<_> =
        (0..PODS).map(|number| bed.host.add_pod(&format!("p{number}")).unwrap()).collect();
    bed.host
        .run(async || {
            let kubenet = bed.start(&Settings::default()).await;
            let mut took = Vec::new();
            for (number, pod) in (0..PODS).zip(&pods) {
                let mut sandbox = sandbox(&format!("p{number}"), pod);
                let first = 10_000 + number * PORTS;
                sandbox.port_mappings =
                    (0..PORTS).map(|next| port(first + next, 80, Protocol::Tcp)).collect();
                let begun = Instant::now();
                set_up(&kubenet, &sandbox).await;
                took.push(begun.elapsed());
            }
            eprintln!(
                "set-up, median of the first 25 pods {:?}, of the last {:?}",
                median(&took[1..26]),
                median(&took[225..])
            );
            let last = 10_000 + PODS * PORTS - 1;
            let _mirrors = [Mirror::new(pods[0].netns(), 80), Mirror::new(pods[249].netns(), 80)];
            for port in [10_000, last] {
                let asked = |_| {
                    let begun = Instant::now();
                    assert_eq!(ask(bed.world.netns(), NODE4, port).as_deref(), Some(WORLD4));
                    begun.elapsed()
                };
                let took: Vec<_> = (0..20).map(asked).collect();
                eprintln!("a connection to port {port}: median {:?}", median(&took));
            }
        })
        .unwrap();
}

fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}
