//! What every operation works with: folders, who executes plugins, the cache.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use podnet::NodeOptions;
use podnet_cni_invoke::{ExecError, ProcessExec, SearchPath};
use podnet_cni_plugin::{Cni, ConfError, Loaded, Programs, ResultCache, conf_dir};
use podnet_cni_spec::PluginType;
use podnet_standard_plugins::ChosenExec;

use super::environment::Environment;

/// Where our locks are, unless the options name a folder for all state.
const RUNTIME_DIR: &str = "/run/podnet";

/// The node options, and which of the folders among them were given on the command line.
pub(crate) struct Said<'a> {
    options: &'a NodeOptions,
    conf_dir: bool,
    bin_dir: bool,
}

impl<'a> Said<'a> {
    pub(crate) fn new(options: &'a NodeOptions, matches: &ArgMatches) -> Self {
        let given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        Self { options, conf_dir: given("cni_conf_dir"), bin_dir: given("cni_bin_dir") }
    }

    fn conf_dir(&self, environment: Option<&OsStr>) -> PathBuf {
        match environment {
            Some(folder) if !self.conf_dir => folder.into(),
            _ => self.options.cni_conf_dir.clone(),
        }
    }

    fn search_path(&self, environment: Option<&OsStr>) -> SearchPath {
        match environment {
            Some(folders) if !self.bin_dir => SearchPath::parse(folders),
            _ => {
                let folders = self.options.cni_bin_dir.iter().map(ToOwned::to_owned);
                SearchPath::new(folders.collect())
            }
        }
    }
}

/// What every operation works with.
pub(super) struct Setting {
    pub(super) conf_dir: PathBuf,
    pub(super) cache: ResultCache,
    pub(super) environment: Environment,
    exec: Arc<ChosenExec>,
}

impl Setting {
    /// The command line, then the environment, then the defaults.
    pub(super) fn new(said: &Said<'_>, environment: Environment, cache: Option<&PathBuf>) -> Self {
        let options = said.options;
        let runtime_dir = options.state_dir.as_ref().map(|dir| dir.join("run"));
        let runtime_dir = runtime_dir.unwrap_or_else(|| RUNTIME_DIR.into());
        let programs = ProcessExec::new(said.search_path(environment.bin_dirs.as_deref()));
        let cache_dir = cache.or(options.state_dir.as_ref());
        Self {
            conf_dir: said.conf_dir(environment.conf_dir.as_deref()),
            cache: cache_dir.map_or_else(ResultCache::default, ResultCache::new),
            environment,
            exec: Arc::new(ChosenExec::new(options.cni_plugins, programs, runtime_dir)),
        }
    }

    pub(super) fn cni(&self) -> Cni {
        Cni::new(self.exec.clone(), self.cache.clone())
    }

    pub(super) fn programs(&self) -> Programs {
        Programs::new(self.exec.clone(), self.exec.search_path().clone())
    }

    /// The network of a name in the configuration folder, or of a file.
    pub(super) fn find(&self, network: &str) -> Result<Arc<Loaded>, ConfError> {
        conf_dir::load(&self.conf_dir, network)
    }

    /// The program that a plugin is run as; none where it is built in.
    pub(super) async fn program(&self, plugin: &PluginType) -> Result<Option<PathBuf>, ExecError> {
        self.exec.program(plugin).await
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::arguments::Cli;

    /// The folders that the command line and the environment together name.
    fn folders(line: &str, conf_dir: Option<&str>, bin_dirs: Option<&str>) -> [String; 2] {
        let matches = Cli::command().get_matches_from(line.split(' '));
        let cli = Cli::from_arg_matches(&matches).unwrap();
        let said = Said::new(&cli.options, &matches);
        let search_path = said.search_path(bin_dirs.map(OsStr::new)).to_os_string();
        let conf_dir = said.conf_dir(conf_dir.map(OsStr::new));
        [conf_dir.display().to_string(), search_path.display().to_string()]
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_defaults() {
        let (conf, bin) = (Some("/env"), Some("/env/a:/env/b"));
        let cases = [
            ("podnet cni list", None, None, ["/etc/cni/net.d", "/opt/cni/bin"]),
            ("podnet cni list", conf, bin, ["/env", "/env/a:/env/b"]),
            ("podnet cni list --cni-conf-dir /x", conf, bin, ["/x", "/env/a:/env/b"]),
            ("podnet --cni-bin-dir=/x,/y cni list", conf, bin, ["/env", "/x:/y"]),
            // Said is said, even if it is what it would have been.
            (
                "podnet cni list --cni-conf-dir /etc/cni/net.d",
                conf,
                None,
                ["/etc/cni/net.d", "/opt/cni/bin"],
            ),
        ];
        for (line, conf, bin, expected) in cases {
            assert_eq!(folders(line, conf, bin), expected, "{line}");
        }
    }
}
