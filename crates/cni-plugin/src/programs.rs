//! What the installed programs say of themselves, asked once for each program.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use podnet_cni_invoke::{Exec, ExecError, SearchPath};
use podnet_cni_spec::{
    NetworkConfigList, NetworkName, PluginConfig, PluginType, PluginVersions, SpecVersion, Verb,
};
use tokio::sync::OnceCell;

use crate::conf_dir::Stamp;

#[cfg(test)]
mod tests;

/// How long a program may take to say its versions. It does nothing else meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a failure is believed without asking again.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// How many programs are asked at a time.
const AT_ONCE: usize = 4;
/// How many versions of a program are mentioned in a message.
const MENTIONED: usize = 10;

/// A program that a network needs and that cannot serve it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramProblem {
    /// It is missing, or did not answer when asked for its versions.
    #[error("{source}")]
    Unusable {
        /// The plugin's type.
        plugin: PluginType,
        /// What happened.
        source: Arc<ExecError>,
    },
    /// It does not speak the network's version of the specification.
    #[error("plugin {plugin} does not speak CNI {needed}, only {}", beginning(.supported))]
    Version {
        /// The plugin's type.
        plugin: PluginType,
        /// The network's version.
        needed: SpecVersion,
        /// What the program speaks.
        supported: Vec<String>,
    },
}

/// A network that cannot be used now, with everything that is wrong with its programs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("network {network} cannot be used: {}", joined(.problems))]
pub struct UnusableNetwork {
    /// The network.
    pub network: NetworkName,
    /// At least one, in the order of the plugins' names.
    pub problems: Vec<ProgramProblem>,
}

/// A network whose programs can serve it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Usable {
    /// Every capability that one of its plugins declares.
    pub capabilities: BTreeSet<String>,
    /// What is wrong with its IPAM programs. A warning only: there are plugins with a built-in IPAM, whose type is no
    /// program.
    pub warnings: Vec<ProgramProblem>,
}

impl Usable {
    /// What the configuration alone says.
    pub(crate) fn unasked(list: &NetworkConfigList) -> Self {
        let capabilities = list.plugins.iter().flat_map(PluginConfig::capabilities);
        let capabilities = capabilities.map(str::to_owned).collect();
        Self { capabilities, warnings: Vec::new() }
    }
}

type Answer = Result<Arc<PluginVersions>, Arc<ExecError>>;

struct Question {
    /// The program's file when it was asked; none for what is no file.
    program: Option<(PathBuf, Stamp)>,
    answer: OnceCell<(Answer, Instant)>,
}

impl Question {
    fn new(program: Option<(PathBuf, Stamp)>) -> Self {
        Self { program, answer: OnceCell::new() }
    }

    fn stands(&self, program: Option<&(PathBuf, Stamp)>) -> bool {
        let outlived =
            |(answer, at): &(Answer, Instant)| answer.is_err() && at.elapsed() > FAILURE_KEPT;
        self.program.as_ref() == program && !self.answer.get().is_some_and(outlived)
    }
}

/// The programs that networks run, and what they said when asked for their versions.
///
/// A program is asked again when the search path leads to another file or the file has changed; a failure is believed
/// for 5 s. However many ask at once, a program is started once.
pub struct Programs {
    exec: Arc<dyn Exec>,
    search_path: SearchPath,
    questions: Mutex<HashMap<PluginType, Arc<Question>>>,
}

impl Programs {
    /// Asks through `exec`. `search_path` is where `exec` finds programs; only looked at, to see whether they changed.
    #[must_use]
    pub fn new(exec: Arc<dyn Exec>, search_path: SearchPath) -> Self {
        Self { exec, search_path, questions: Mutex::default() }
    }

    /// Whether every program of the network is there and speaks the network's version (CNI 1.1.0, section 2, VERSION).
    ///
    /// Nothing is set up by this. Costs a look at each program's file where they have been asked before.
    ///
    /// # Errors
    /// [`UnusableNetwork`], with all that is wrong, not the first alone.
    pub async fn validate(&self, list: &NetworkConfigList) -> Result<Usable, UnusableNetwork> {
        let types = list.plugins.iter().filter_map(|plugin| plugin.plugin_type().ok());
        let problems = self.problems(types.collect(), list.version).await;
        if !problems.is_empty() {
            return Err(UnusableNetwork { network: list.name.clone(), problems });
        }
        let ipam = list.plugins.iter().filter_map(|plugin| plugin.ipam_type().ok().flatten());
        let warnings = self.problems(ipam.collect(), list.version).await;
        Ok(Usable { warnings, ..Usable::unasked(list) })
    }

    /// The versions that a program speaks.
    ///
    /// # Errors
    /// Whatever [`Exec::versions`] returned; a timeout after 10 s.
    pub async fn versions(
        &self,
        plugin: &PluginType,
    ) -> Result<Arc<PluginVersions>, Arc<ExecError>> {
        let question = self.question(plugin);
        let asked = || async { (self.ask(plugin).await, Instant::now()) };
        question.answer.get_or_init(asked).await.0.clone()
    }

    async fn problems(
        &self,
        types: BTreeSet<PluginType>,
        needed: SpecVersion,
    ) -> Vec<ProgramProblem> {
        let checks = types.into_iter().map(|plugin| self.problem(plugin, needed));
        stream::iter(checks).buffered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn problem(&self, plugin: PluginType, needed: SpecVersion) -> Option<ProgramProblem> {
        match self.versions(&plugin).await {
            Ok(versions) if versions.supports(needed) => None,
            Ok(versions) => {
                let supported = versions.supported.clone();
                Some(ProgramProblem::Version { plugin, needed, supported })
            }
            Err(source) => Some(ProgramProblem::Unusable { plugin, source }),
        }
    }

    fn question(&self, plugin: &PluginType) -> Arc<Question> {
        let program = self.search_path.find(plugin).ok();
        let program = program.and_then(|path| Stamp::of(&path).map(|stamp| (path, stamp)));
        let mut questions = self.lock();
        match questions.get(plugin) {
            Some(question) if question.stands(program.as_ref()) => Arc::clone(question),
            _ => {
                let question = Arc::new(Question::new(program));
                questions.insert(plugin.clone(), Arc::clone(&question));
                question
            }
        }
    }

    async fn ask(&self, plugin: &PluginType) -> Answer {
        match tokio::time::timeout(PATIENCE, self.exec.versions(plugin)).await {
            Ok(answer) => answer.map(Arc::new).map_err(Arc::new),
            Err(_) => Err(Arc::new(ExecError::Timeout {
                plugin: plugin.clone(),
                verb: Verb::Version,
                container: None,
                after: PATIENCE,
                stderr_tail: String::new(),
            })),
        }
    }

    /// What is behind the lock is whole at any time, so that a panic of another holder does not matter.
    fn lock(&self) -> MutexGuard<'_, HashMap<PluginType, Arc<Question>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beginning(supported: &[String]) -> String {
    let mentioned: Vec<String> = supported
        .iter()
        .take(MENTIONED)
        .map(|version| version.chars().take(20).flat_map(char::escape_default).collect())
        .collect();
    let more = if supported.len() > MENTIONED { ", .." } else { "" };
    format!("{}{more}", mentioned.join(", "))
}

fn joined(problems: &[ProgramProblem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
