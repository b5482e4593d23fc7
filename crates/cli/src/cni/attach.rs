//! `podnet cni add`, `check` and `del`: one attachment.

use std::process::ExitCode;

use anyhow::anyhow;
use podnet_cni_invoke::ExecError;
use podnet_cni_plugin::{
    CachedAttachment, Cni, ConfError, ProgramProblem, RuntimeConf, UnusableNetwork,
};

use super::arguments::{Add, Existing};
use super::container::{describe, warn_of_undeclared};
use super::result::Attached;
use super::setting::Setting;
use crate::failure::Failure;
use crate::output::Output;

/// Attaches a namespace and prints the result.
pub(super) async fn add(
    setting: &Setting,
    arguments: &Add,
    output: Output,
) -> Result<ExitCode, Failure> {
    let conf = describe(&arguments.attachment, Some(&arguments.netns), &setting.environment)?;
    let loaded = setting.find(&arguments.network)?;
    let usable = setting.programs().validate(&loaded.list).await;
    usable.map(|usable| usable.warnings).or_else(excused)?.iter().for_each(warn);
    let network = setting.cni().network(loaded.list.clone());
    warn_of_undeclared(&network, &conf);
    let result = network.add(&conf).await?;
    Ok(output.print(&Attached::new(&result, network.list().version))?)
}

/// A chain that would end half way is not begun. A program that does not say its versions may work all the same.
fn excused(unusable: UnusableNetwork) -> Result<Vec<ProgramProblem>, Failure> {
    let is_certain = |problem: &ProgramProblem| match problem {
        ProgramProblem::Unusable { source, .. } => matches!(**source, ExecError::NotFound { .. }),
        _ => true,
    };
    if unusable.problems.iter().any(is_certain) {
        return Err(anyhow!("{unusable}").into());
    }
    Ok(unusable.problems)
}

fn warn(problem: &ProgramProblem) {
    tracing::warn!("{problem}");
}

/// Checks an attachment; prints nothing.
pub(super) async fn check(setting: &Setting, arguments: &Existing) -> Result<ExitCode, Failure> {
    let mut conf = existing(setting, arguments)?;
    let list = setting.find(&arguments.network)?.list.clone();
    let network = setting.cni().network(list);
    if network.list().disable_check {
        tracing::warn!("network {} has disableCheck: no plugin was asked", network.list().name);
    }
    let cached = network.cached_attachment(&conf).await.map_err(anyhow::Error::from)?;
    complete(&mut conf, cached.as_ref());
    network.check(&conf).await?;
    tracing::info!(container = %conf.attachment.container_id, "is as it was attached");
    Ok(ExitCode::SUCCESS)
}

/// Detaches a namespace; prints nothing.
pub(super) async fn del(setting: &Setting, arguments: &Existing) -> Result<ExitCode, Failure> {
    let mut conf = existing(setting, arguments)?;
    let cni = setting.cni();
    match setting.find(&arguments.network) {
        Ok(loaded) => {
            let network = cni.network(loaded.list.clone());
            // The deletion does without what is cached and cannot be read, and warns.
            let cached = network.cached_attachment(&conf).await.ok().flatten();
            complete(&mut conf, cached.as_ref());
            network.del(&conf).await?;
        }
        Err(error) => del_cached(&cni, &conf, &arguments.network, error).await?,
    }
    tracing::info!(container = %conf.attachment.container_id, "detached");
    Ok(ExitCode::SUCCESS)
}

/// Detaches from a network whose configuration has gone or is broken.
async fn del_cached(
    cni: &Cni,
    conf: &RuntimeConf,
    network: &str,
    error: ConfError,
) -> Result<(), Failure> {
    let attachment = &conf.attachment;
    let cached = cni.attachments_of(&attachment.container_id).await.map_err(anyhow::Error::from)?;
    let is_meant = |cached: &CachedAttachment| {
        cached.network.as_str() == network
            && cached.runtime.attachment.interface == attachment.interface
    };
    let Some(mut cached) = cached.into_iter().find(is_meant) else {
        return Err(anyhow::Error::from(error).into());
    };
    tracing::warn!("{error}; detaching with the configuration in the cache");
    let mut asked = conf.clone();
    complete(&mut asked, Some(&cached));
    cached.runtime.attachment.netns = asked.attachment.netns;
    Ok(cni.del_cached(&cached).await?)
}

fn existing(setting: &Setting, arguments: &Existing) -> Result<RuntimeConf, Failure> {
    describe(&arguments.attachment, arguments.netns.as_deref(), &setting.environment)
}

/// Takes the namespace's path from the cache where none was given. Not one under `/proc`: that process may have ended
/// since, and the path may lead to another namespace.
fn complete(conf: &mut RuntimeConf, cached: Option<&CachedAttachment>) {
    if conf.attachment.netns.is_none() {
        let netns = cached.and_then(|cached| cached.runtime.attachment.netns.clone());
        conf.attachment.netns = netns.filter(|path| !path.starts_with("/proc"));
    }
}
