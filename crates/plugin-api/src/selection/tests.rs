//! Selecting among candidates with good and bad names.

use futures_core::future::BoxFuture;

use super::*;
use crate::{Error, NotReady, PodNetworkStatus, PodSandbox, Settings};

/// A plugin that can do nothing but be selected.
struct Named(PluginName);

impl NetworkPlugin for Named {
    fn name(&self) -> &PluginName {
        &self.0
    }
    fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
    fn set_up_pod<'a>(
        &'a self,
        _: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(async { Ok(None) })
    }
    fn tear_down_pod<'a>(&'a self, _: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
    fn pod_network_status<'a>(
        &'a self,
        _: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(async { Ok(None) })
    }
    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(async { Ok(()) })
    }
}

fn candidate(name: &str, origin: &str) -> Candidate {
    let plugin = Arc::new(Named(PluginName::from_static("whatever")));
    Candidate { name: name.to_owned(), ..Candidate::new(origin, plugin) }
}

fn candidates() -> Vec<Candidate> {
    vec![candidate("kubernetes.io/no-op", "built in"), candidate("kubenet", "built in")]
}

#[test]
fn no_name_selects_the_no_op_plugin() {
    for requested in [None, Some("")] {
        let selection = select(candidates(), requested).unwrap();
        assert_eq!(selection.chosen.name, DEFAULT_PLUGIN.as_str());
    }
}

#[test]
fn of_two_with_one_name_the_first_is_selected() {
    let mut all = candidates();
    all.push(candidate("kubenet", "/plugins/kubenet"));
    let selection = select(all, Some("kubenet")).unwrap();
    assert_eq!(selection.chosen.origin, "built in");
    assert!(matches!(selection.warnings.as_slice(), [SelectionWarning::Duplicate { .. }]));
}

#[test]
fn a_badly_named_neighbour_is_a_warning() {
    let mut all = candidates();
    all.insert(0, candidate("a/b/c", "/plugins/a~b~c"));
    let selection = select(all, Some("kubenet")).unwrap();
    let [warning] = selection.warnings.as_slice() else { panic!("{:?}", selection.warnings) };
    assert!(warning.to_string().starts_with("network plugin from /plugins/a~b~c is ignored: "));
}

#[test]
fn a_name_not_found_says_what_was_found_and_what_was_meant() {
    let cases = [
        (
            "kubnet",
            "no network plugin is called kubnet: found kubernetes.io/no-op, kubenet; did you mean kubenet?",
        ),
        (
            "no-op",
            "no network plugin is called no-op: found kubernetes.io/no-op, kubenet; did you mean kubernetes.io/no-op?",
        ),
        ("weave", "no network plugin is called weave: found kubernetes.io/no-op, kubenet"),
    ];
    for (requested, message) in cases {
        assert_eq!(select(candidates(), Some(requested)).unwrap_err().to_string(), message);
    }
    let none = select(Vec::new(), Some("cni")).unwrap_err();
    assert_eq!(none.to_string(), "no network plugin is called cni: none was found at all");
}

#[test]
fn a_requested_name_is_checked() {
    let error = select(candidates(), Some("no such")).unwrap_err();
    assert!(matches!(error, SelectionError::InvalidName(_)));
}
