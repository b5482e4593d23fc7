//! A case: a host, what is there before, and calls one after the other.

use serde_json::{Value, json};

/// Stands in a text for the side's own: the folder of the stores, the case's container id, the host's folder, the path of
/// the namespace that a call is about.
pub(crate) const DATA_DIR: &str = "$DATA";
pub(crate) const HOST_DIR: &str = "$HOST";
pub(crate) const CONTAINER: &str = "$ID";
pub(crate) const NETNS: &str = "$NETNS";

/// The cases of one plugin.
#[derive(Debug)]
pub(crate) struct Table {
    /// Rows of docs/differences.md that any of the cases may show; at least one does.
    pub(crate) everywhere: &'static [&'static str],
    pub(crate) cases: Vec<Case>,
}

impl Table {
    /// Every row that the table names.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static str> {
        let named = self.cases.iter().flat_map(|case| case.differs.iter().copied());
        self.everywhere.iter().copied().chain(named)
    }
}

/// The same steps for both sides.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    /// Rows of docs/differences.md that this case shows; it fails when it does not.
    pub(crate) differs: Vec<&'static str>,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, steps: Vec<Step>) -> Self {
        Self { name: name.into(), steps, differs: Vec::new() }
    }

    /// How many pods the steps are about.
    pub(crate) fn pods(&self) -> usize {
        let is_about_two = |step: &Step| match step {
            Step::Call(call) => call.pod == Some(1),
            Step::Reach { .. } => true,
            _ => false,
        };
        if self.steps.iter().any(is_about_two) { 2 } else { 1 }
    }
}

/// One step of a case.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A plugin is called.
    Call(Box<Call>),
    /// `ip` is run on the host, or in the first pod, with these arguments.
    Ip { inside: bool, arguments: &'static str },
    /// Another program is run on the host; it must succeed.
    Tool { program: &'static str, arguments: &'static str },
    /// The host is joined to a namespace that stands for the world outside.
    Uplink,
    /// Both pods are attached to a bridge, in the same way on both sides, by none of the programs that are compared.
    Base,
    /// The pods serve, and these ports of the host are asked for from everywhere, on the host also by these addresses.
    Reach { ports: &'static [u16], addresses: &'static [&'static str] },
    /// A file is written below the host's folder.
    File { path: &'static str, content: &'static str },
    /// A file below the host's folder is removed.
    Remove { path: &'static str },
    /// The first pod's namespace is deleted.
    DeletePod,
}

/// What `prevResult` a call gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Previous {
    None,
    /// The result of the pod's last ADD that succeeded.
    Last,
    /// This one.
    Given(Value),
}

/// The call of a plugin.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The other side's program is called.
    pub(crate) by_other: bool,
    pub(crate) verb: &'static str,
    pub(crate) plugin: &'static str,
    /// What is on standard input, before `prevResult` is added to it.
    pub(crate) input: Input,
    pub(crate) previous: Previous,
    /// Number of the pod whose namespace is meant; `None` for a path where there is none.
    pub(crate) pod: Option<usize>,
    /// Variables set beside or instead of the usual ones; `None` takes one away.
    pub(crate) environment: Vec<(&'static str, Option<String>)>,
}

/// Standard input.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Config(Value),
    Text(String),
}

impl Call {
    pub(crate) fn new(verb: &'static str, plugin: &'static str, config: &Value) -> Self {
        let previous = if verb == "CHECK" { Previous::Last } else { Previous::None };
        Self {
            by_other: false,
            verb,
            plugin,
            input: Input::Config(config.clone()),
            previous,
            pod: Some(0),
            environment: Vec::new(),
        }
    }

    /// For another container in another pod.
    pub(crate) fn of_pod(mut self, pod: usize) -> Self {
        self.pod = Some(pod);
        self
    }

    /// With another value of a variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, Some(value.to_owned())));
        self
    }

    /// Without a variable.
    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.environment.push((name, None));
        self
    }

    pub(crate) fn previous(mut self, previous: Previous) -> Self {
        self.previous = previous;
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.input = Input::Text(text.to_owned());
        self
    }

    pub(crate) fn step(self) -> Step {
        Step::Call(Box::new(self))
    }
}

/// Calls of these verbs for the plugins of a chain: from the first to the last, and DEL from the last to the first.
pub(crate) fn chain(verbs: &[&'static str], plugins: &[(&'static str, Value)]) -> Vec<Step> {
    let mut steps = Vec::new();
    for verb in verbs {
        let mut called: Vec<Step> = plugins
            .iter()
            .enumerate()
            .map(|(place, (plugin, config))| {
                let first = *verb == "ADD" && place == 0;
                let previous = if first { Previous::None } else { Previous::Last };
                Call::new(verb, plugin, config).previous(previous).step()
            })
            .collect();
        if *verb == "DEL" {
            called.reverse();
        }
        steps.extend(called);
    }
    steps
}

/// Calls of these verbs with one configuration.
pub(crate) fn calls(verbs: &[&'static str], plugin: &'static str, config: &Value) -> Vec<Step> {
    verbs.iter().map(|verb| Call::new(verb, plugin, config).step()).collect()
}

/// The configuration with these keys set, or taken away where they are null.
pub(crate) fn with(config: &Value, keys: Value) -> Value {
    let mut config = config.clone();
    let Value::Object(keys) = keys else { panic!("keys are an object") };
    let object = config.as_object_mut().expect("a configuration is an object");
    for (key, value) in keys {
        if value.is_null() {
            object.remove(&key);
        } else {
            object.insert(key, value);
        }
    }
    config
}

/// A configuration of nothing but what all have.
pub(crate) fn plain(plugin: &str, version: &str) -> Value {
    json!({ "cniVersion": version, "name": "net", "type": plugin })
}
