//! Reboots that did not happen: another id, a machine that has been up for no time, files that were there before.

use std::time::Instant;

use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::host_local::HostLocal;

struct Machine {
    dir: TempDir,
}

impl Machine {
    /// One with reservations of a boot before, which are older than the margin.
    fn with(reservations: &[(&str, &str)]) -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        machine.boot("first", "0.00 0.00");
        machine.write(reservations);
        machine
    }

    fn write(&self, reservations: &[(&str, &str)]) {
        fs::create_dir_all(self.store()).unwrap();
        for (address, content) in reservations {
            fs::write(self.store().join(address), content).unwrap();
        }
        pass_the_margin();
    }

    fn boot(&self, id: &str, uptime: &str) {
        fs::write(self.dir.path().join("boot_id"), format!("{id}\n")).unwrap();
        fs::write(self.dir.path().join("uptime"), uptime).unwrap();
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    fn source(&self) -> BootSource {
        let in_dir = |name| self.dir.path().join(name);
        BootSource {
            id: in_dir("boot_id"),
            uptime: in_dir("uptime"),
            made_at_boot: in_dir("nowhere"),
            markers: in_dir("run"),
        }
    }

    /// A process of its own that gives `container` an address.
    async fn add(&self, container: &str, more: &Value) -> String {
        self.add_from(&self.source(), container, more).await
    }

    async fn add_from(&self, source: &BootSource, container: &str, more: &Value) -> String {
        let mut ipam = json!({ "subnet": "10.1.0.0/24", "dataDir": self.dir.path() });
        ipam.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config =
            json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam });
        let request = Request {
            verb: Verb::Add,
            attachment: Some(Attachment {
                container_id: container.parse().unwrap(),
                interface: "eth0".parse().unwrap(),
                netns: None,
                args: CniArgs::default(),
            }),
            config: PluginConfig::from_value(config).unwrap(),
        };
        let process = HostLocal::new().reclaiming_after_reboot(source.clone());
        process.add(&request).await.unwrap().ips[0].address.ip().to_string()
    }

    fn reserved(&self) -> Vec<String> {
        let entries = fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("10."));
        names.sort();
        names
    }
}

fn pass_the_margin() {
    let begun = Instant::now();
    while begun.elapsed() < MARGIN * 2 {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_was_reserved_before_the_boot_is_reclaimed_at_the_first_add_after_it() {
    let machine = Machine::with(&[("10.1.0.2", "dead\r\neth0"), ("10.1.0.3", "gone\r\neth0")]);
    assert_eq!(machine.add("a1", &json!({})).await, "10.1.0.2");
    assert_eq!(machine.reserved(), ["10.1.0.2"]);
    machine.add("a2", &json!({})).await;
    assert_eq!(machine.reserved(), ["10.1.0.2", "10.1.0.3"]);
}

#[tokio::test]
async fn a_boot_that_was_seen_to_reclaims_nothing_more() {
    let machine = Machine::with(&[]);
    machine.add("a1", &json!({})).await;
    pass_the_margin();
    // By its uptime the machine was booted just now; its id says that it was not.
    machine.add("a2", &json!({})).await;
    assert_eq!(machine.reserved(), ["10.1.0.2", "10.1.0.3"]);
    pass_the_margin();
    machine.boot("second", "0.00 0.00");
    machine.add("a3", &json!({})).await;
    assert_eq!(machine.reserved(), ["10.1.0.4"]);
}

#[tokio::test]
async fn what_another_program_reserved_in_this_boot_stays() {
    let machine = Machine::with(&[("10.1.0.2", "go\r\neth0")]);
    machine.boot("first", "3600.00 0.00");
    machine.add("a1", &json!({})).await;
    assert_eq!(machine.reserved(), ["10.1.0.2", "10.1.0.3"]);
}

#[tokio::test]
async fn a_clock_that_was_set_forward_since_the_boot_reclaims_nothing() {
    let machine = Machine::with(&[]);
    let run = machine.dir.path().join("made-at-boot");
    fs::create_dir(&run).unwrap();
    let known = run.metadata().unwrap().created().is_ok();
    machine.write(&[("10.1.0.2", "go\r\neth0")]);
    let source = BootSource { made_at_boot: run, ..machine.source() };
    machine.add_from(&source, "a1", &json!({})).await;
    assert_eq!(machine.reserved().len(), if known { 2 } else { 1 });
}

#[tokio::test]
async fn an_operator_may_keep_addresses_over_a_reboot() {
    let machine = Machine::with(&[("10.1.0.2", "vm\r\neth0"), ("10.1.0.9", "router")]);
    machine.add("a1", &json!({ "reclaimAfterReboot": false })).await;
    assert_eq!(machine.reserved(), ["10.1.0.2", "10.1.0.3", "10.1.0.9"]);
    machine.add("a2", &json!({})).await;
    // Kept by hand: no attachment has it.
    assert!(machine.reserved().contains(&"10.1.0.9".to_owned()), "{:?}", machine.reserved());
    assert!(!machine.reserved().contains(&"10.1.0.2".to_owned()), "{:?}", machine.reserved());
}

#[tokio::test]
async fn two_processes_at_once_reclaim_once_and_keep_what_they_gave() {
    let machine = Machine::with(&[("10.1.0.2", "dead\r\neth0")]);
    let adds = (0..16).map(|number| {
        let (machine, id) = (&machine, format!("c{number}"));
        async move { machine.add(&id, &json!({})).await }
    });
    let given = futures_util::future::join_all(adds).await;
    assert_eq!(machine.reserved().len(), given.len());
    assert!(given.iter().all(|address| machine.reserved().contains(address)), "{given:?}");
}

#[tokio::test]
async fn a_boot_that_cannot_be_told_reclaims_nothing() {
    let machine = Machine::with(&[("10.1.0.2", "dead\r\neth0")]);
    for (id, uptime) in [("", "0.00 0.00"), ("first", "soon")] {
        machine.boot(id, uptime);
        machine.add(&format!("a-{}", id.len()), &json!({})).await;
    }
    assert!(machine.reserved().contains(&"10.1.0.2".to_owned()), "{:?}", machine.reserved());
}
