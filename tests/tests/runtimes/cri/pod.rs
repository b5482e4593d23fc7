//! A pod as the kubelet has one: a sandbox, then containers in it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::client::Client;
use super::messages::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, CreateContainerResponse, Empty,
    ExecSyncRequest, ExecSyncResponse, ImageSpec, LinuxPodSandboxConfig, PodSandboxConfig,
    PodSandboxId, PodSandboxMetadata, PodSandboxStatusResponse, PortMapping, RunPodSandboxRequest,
    StartContainerRequest,
};
use crate::image::IMAGE;
use crate::node::wait_for;

const POD_NAMESPACE: &str = "default";
/// Seconds for a command in a container.
const EXEC_LIMIT: i64 = 30;
const SERVED_PORT: i32 = 80;

/// What a test says of a pod.
#[derive(Debug)]
pub(super) struct PodSpec<'a> {
    pub(super) name: &'a str,
    pub(super) cgroup: &'a str,
    /// A port of the node that leads to the pod's page.
    pub(super) host_port: Option<u16>,
    /// The annotation `kubernetes.io/egress-bandwidth`.
    pub(super) egress: Option<&'a str>,
}

impl PodSpec<'_> {
    fn config(&self) -> PodSandboxConfig {
        let metadata = PodSandboxMetadata {
            name: self.name.to_owned(),
            uid: format!("uid-{}", self.name),
            namespace: POD_NAMESPACE.to_owned(),
            attempt: 0,
        };
        let mapping =
            |port: u16| PortMapping { container_port: SERVED_PORT, host_port: i32::from(port) };
        let limit = |limit: &str| ("kubernetes.io/egress-bandwidth".to_owned(), limit.to_owned());
        PodSandboxConfig {
            metadata: Some(metadata),
            hostname: self.name.to_owned(),
            port_mappings: self.host_port.map(mapping).into_iter().collect(),
            annotations: self.egress.map(limit).into_iter().collect::<HashMap<_, _>>(),
            linux: Some(LinuxPodSandboxConfig { cgroup_parent: format!("/{}", self.cgroup) }),
        }
    }
}

/// A pod whose sandbox runs; the image's own command serves a page from there.
#[derive(Debug)]
pub(super) struct SandboxedPod<'a> {
    client: &'a Client,
    config: PodSandboxConfig,
    id: PodSandboxId,
    container: std::cell::OnceCell<String>,
}

impl<'a> SandboxedPod<'a> {
    pub(super) fn run(client: &'a Client, spec: &PodSpec<'_>) -> Self {
        let config = spec.config();
        let request = RunPodSandboxRequest { config: Some(config.clone()) };
        let id = client.call("RunPodSandbox", &request).unwrap();
        Self { client, config, id, container: std::cell::OnceCell::new() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id.pod_sandbox_id
    }

    /// The address in the pod's status.
    pub(super) fn address(&self) -> IpAddr {
        let response: PodSandboxStatusResponse =
            self.client.call("PodSandboxStatus", &self.id).unwrap();
        response.status.unwrap().network.unwrap().ip.parse().unwrap()
    }

    /// Adds a container that sleeps, for commands to be executed in.
    pub(super) fn add_container(&self) {
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: "sleeper".to_owned(), attempt: 0 }),
            image: Some(ImageSpec { image: IMAGE.to_owned() }),
            command: vec!["/bin/sleep".to_owned(), "3600".to_owned()],
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: self.id().to_owned(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let created: CreateContainerResponse =
            self.client.call("CreateContainer", &request).unwrap();
        let container_id = created.container_id.clone();
        let _: Empty =
            self.client.call("StartContainer", &StartContainerRequest { container_id }).unwrap();
        self.container.set(created.container_id).unwrap();
    }

    /// Executes a command, which must succeed, in the pod's container, and returns what it printed.
    pub(super) fn execute(&self, command: &[&str]) -> String {
        let request = ExecSyncRequest {
            container_id: self.container.get().unwrap().clone(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: EXEC_LIMIT,
        };
        let answer: ExecSyncResponse = self.client.call("ExecSync", &request).unwrap();
        let [out, error] =
            [&answer.stdout, &answer.stderr].map(|text| String::from_utf8_lossy(text));
        assert_eq!(answer.exit_code, 0, "{}: {out}{error}", command.join(" "));
        out.into_owned()
    }

    /// Stops it, which detaches it from its network.
    ///
    /// Asked again, as the kubelet does, while containerd finds that the program that kept the pod is just ending.
    pub(super) fn stop(&self) {
        wait_for("the pod is stopped", || match self.client.call("StopPodSandbox", &self.id) {
            Err(error) if error.contains("ttrpc: closed") => None,
            Err(error) => panic!("{error}"),
            Ok(Empty {}) => Some(()),
        });
    }

    pub(super) fn remove(&self) {
        let _: Empty = self.client.call("RemovePodSandbox", &self.id).unwrap();
    }
}
