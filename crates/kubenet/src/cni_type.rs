//! Kubenet as a CNI plugin: what a runtime asks of a chain of programs, done by one call of one program.
//!
//! The configuration is read by `options`; what the call then does is what [`Kubenet`] does for a runtime that links it, always
//! with the plugins built in. A call is one process: it opens only what its verb needs.

mod check;
mod failure;
mod options;

use std::collections::BTreeSet;
use std::path::Path;

use podnet_cni_spec::{AddResult, CniError, ErrorCode, Request, Verb};
use podnet_netutil::bridge_filter;
use podnet_plugin_api::{PodCidrs, PodSandbox};
use podnet_standard_plugins::{BUILTIN_TYPES, Error as StandardError, PluginChoice};

use self::failure::cni_error;
use self::options::Options;
use crate::error::Error;
use crate::options::KubenetOptions;
use crate::plugin::{Kubenet, POD_INTERFACE};
use crate::promise::Promise;

/// The plugin's type.
pub const TYPE: &str = "kubenet";

/// Every type that the program `podnet-cni` is: the standard ones, and this one.
pub fn program_types() -> impl Iterator<Item = &'static str> {
    BUILTIN_TYPES.into_iter().chain([TYPE])
}

/// Does what a CNI request asks for. `runtime_dir` is the folder for locks.
///
/// The thread must be in the host's network namespace, and the runtime must have I/O and time enabled.
///
/// # Errors
/// Code 7 for a configuration that kubenet cannot serve, 4 for an interface that is not `eth0`, 50 from `STATUS` while no pod
/// could be attached, otherwise the code of the plugin that failed.
pub async fn run(request: &Request, runtime_dir: &Path) -> Result<Option<AddResult>, CniError> {
    let options = Options::read(request)?;
    match request.verb {
        Verb::Add => add(request, options, runtime_dir).await.map(Some),
        Verb::Del => del(request, options, runtime_dir).await.map(|()| None),
        Verb::Check => check(request, options, runtime_dir).await.map(|()| None),
        Verb::Gc => gc(request, options, runtime_dir).await.map(|()| None),
        Verb::Status => status(options, runtime_dir).await.map(|()| None),
        verb => {
            let text = format!("{TYPE} has no {}", verb.as_str());
            Err(CniError::new(ErrorCode::INVALID_ENVIRONMENT, text))
        }
    }
}

async fn add(request: &Request, options: Options, dir: &Path) -> Result<AddResult, CniError> {
    refuse_another_interface(request)?;
    options.cidrs()?;
    let (sandbox, promise) = (sandbox(request)?, Promise::requested(&request.config)?);
    request.netns()?;
    let kubenet = open(options, dir).await?;
    // A node without such a service proxy works all the same.
    for warning in bridge_filter::enable() {
        tracing::warn!("{warning}");
    }
    let entered = kubenet.enter().await;
    let (cidrs, _in_force) =
        entered.map_err(|reason| CniError::new(ErrorCode::INTERNAL, reason.to_string()))?;
    let attached = kubenet.attach_by(&sandbox, &promise, &cidrs).await;
    let attached = attached.map_err(cni_error)?;
    attached.result.ok_or_else(|| cni_error(Error::NoAddress))
}

/// Needs neither the namespace nor a subnet nor prevResult.
async fn del(request: &Request, options: Options, dir: &Path) -> Result<(), CniError> {
    if refuse_another_interface(request).is_err() {
        // Nothing but eth0 was ever made.
        return Ok(());
    }
    let sandbox = sandbox(request)?;
    let kubenet = open(options, dir).await?;
    kubenet.detach(&sandbox).await.map_err(cni_error)
}

async fn check(request: &Request, options: Options, dir: &Path) -> Result<(), CniError> {
    refuse_another_interface(request)?;
    let cidrs: PodCidrs = options.cidrs()?.clone();
    let (sandbox, promise) = (sandbox(request)?, Promise::requested(&request.config)?);
    let result = request.config.prev_result()?;
    let result = result.ok_or_else(|| CniError::from(StandardError::NoPrevResult))?;
    let kubenet = open(options, dir).await?;
    let checked = check::check(&kubenet, &sandbox, &promise, &cidrs, &result).await;
    checked.map_err(cni_error)
}

/// Without a pod CIDR nothing is made by it.
async fn gc(request: &Request, mut options: Options, dir: &Path) -> Result<(), CniError> {
    let valid = request.config.valid_attachments()?;
    let valid = valid.ok_or_else(|| CniError::from(StandardError::NoValidAttachments))?;
    let valid = valid.iter().filter(|it| it.interface.as_str() == POD_INTERFACE);
    let keep: BTreeSet<String> = valid.map(|it| it.container_id.to_string()).collect();
    options.pod_cidrs = None;
    let kubenet = open(options, dir).await?;
    let collected = kubenet.collect(Some(&keep)).await;
    let collected = collected.map_err(cni_error)?;
    if collected.left.is_empty() {
        return Ok(());
    }
    Err(CniError::new(ErrorCode::INTERNAL, collected.left.join("; ")))
}

async fn status(options: Options, dir: &Path) -> Result<(), CniError> {
    let has_subnet = options.pod_cidrs.is_some();
    let kubenet = open(options, dir).await?;
    match kubenet.readiness().await {
        Err(reason) if has_subnet => {
            Err(CniError::new(ErrorCode::PLUGIN_NOT_AVAILABLE, reason.to_string()))
        }
        // The runtime may send the subnet with each pod.
        _ => Ok(()),
    }
}

async fn open(options: Options, runtime_dir: &Path) -> Result<Kubenet, CniError> {
    let folders = KubenetOptions::new(options.networks_dir, runtime_dir)
        .with_plugins(PluginChoice::Builtin, Vec::new());
    let opened = async {
        let kubenet = Kubenet::for_call(folders, &options.settings, options.call).await?;
        if let Some(cidrs) = options.pod_cidrs {
            kubenet.take_pod_cidrs(cidrs)?;
        }
        Ok::<_, Error>(kubenet)
    };
    opened.await.map_err(cni_error)
}

/// A pod has one interface of kubenet's, and every name on the host follows from the pod.
fn refuse_another_interface(request: &Request) -> Result<(), CniError> {
    let interface = &request.attachment()?.interface;
    if interface.as_str() == POD_INTERFACE {
        return Ok(());
    }
    let text = format!("{TYPE} attaches {POD_INTERFACE} and no other interface, not {interface}");
    Err(CniError::new(ErrorCode::INVALID_ENVIRONMENT, text))
}

/// The pod by its Kubernetes names where the runtime sends them.
fn sandbox(request: &Request) -> Result<PodSandbox, CniError> {
    let attachment = request.attachment()?;
    let id = attachment.container_id.as_str();
    let sent = |key, otherwise| attachment.args.get(key).unwrap_or(otherwise);
    let (namespace, name) = (sent("K8S_POD_NAMESPACE", TYPE), sent("K8S_POD_NAME", "container"));
    let sandbox = PodSandbox::new(namespace, name, id)
        .or_else(|_| PodSandbox::new(TYPE, "container", id))
        .map_err(|error| CniError::new(ErrorCode::INVALID_ENVIRONMENT, error.to_string()))?;
    Ok(match &attachment.netns {
        Some(netns) => sandbox.with_netns(netns),
        None => sandbox,
    })
}
