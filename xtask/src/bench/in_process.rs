//! Our kubenet in this process: what a runtime in Rust has, without starting a program.

use std::net::IpAddr;

use anyhow::{Context, Result};
use podnet_kubenet::{Kubenet, KubenetOptions};
use podnet_plugin_api::{Event, Mtu, NetworkPlugin as _, PodSandbox, Settings};
use podnet_testkit::{Pod, TestHost};

use super::contender::Step;
use super::field::{MTU, POD_CIDR};

/// A kubenet that serves one host.
pub(super) struct InProcess {
    kubenet: Kubenet,
}

impl InProcess {
    /// Starts it as a runtime does. Must be called in the host's namespace.
    pub(super) async fn start(host: &TestHost) -> Result<Self> {
        let kubenet = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
        kubenet.init(&Settings::default().with_mtu(Mtu::new(MTU)?)).await?;
        kubenet.event(Event::PodCidrChange { cidrs: POD_CIDR.parse()? }).await?;
        Ok(Self { kubenet })
    }

    /// Sets a pod up and reports its address, or tears it down.
    pub(super) async fn perform(&self, step: Step, pod: &Pod) -> Result<Option<IpAddr>> {
        let sandbox = PodSandbox::new("bench", pod.name(), pod.name())?.with_netns(pod.path());
        if step == Step::TearDown {
            self.kubenet.tear_down_pod(&sandbox).await?;
            return Ok(None);
        }
        let status = self.kubenet.set_up_pod(&sandbox).await?;
        Ok(Some(status.context("kubenet reports an address for each pod")?.ip()))
    }
}
