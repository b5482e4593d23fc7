//! Pods set up and torn down while their network's configuration is replaced.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{
    AddResult, ContainerId, InterfaceName, PluginType, PluginVersions, Request, Verb,
};

use super::*;
use crate::{Cni, ResultCache, RuntimeConf};

const REPLACED: usize = 1000;

/// Which generations of the configuration a container's plugins were called with, by container and verb.
type Calls = HashMap<(String, &'static str), Vec<u64>>;

/// Plugins that only note what they are called with.
#[derive(Default)]
struct Notes(Mutex<Calls>);

impl Exec for Notes {
    fn run<'a>(
        &'a self,
        _: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        let id = request.attachment.as_ref().unwrap().container_id.to_string();
        let generation = request.config.as_map()["generation"].as_u64().unwrap();
        let mut calls = self.0.lock().unwrap();
        calls.entry((id, request.verb.as_str())).or_default().push(generation);
        Box::pin(async { Ok((request.verb == Verb::Add).then(AddResult::default)) })
    }

    fn versions<'a>(
        &'a self,
        _: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        panic!("nobody asks")
    }
}

/// A chain whose every plugin has the number, and whose length follows from it.
fn generation(number: usize) -> String {
    let plugin = format!(r#"{{"type": "x", "generation": {number}}}"#);
    let plugins = vec![plugin; length(number)].join(", ");
    format!(r#"{{"cniVersion": "1.0.0", "name": "pods", "plugins": [{plugins}]}}"#)
}

fn length(number: usize) -> usize {
    number % 4 + 1
}

/// Sets up and tears down a pod with whatever the store serves at the time.
async fn set_up_and_tear_down(store: &ConfStore, cni: &Cni, id: String) {
    let id = ContainerId::new(id).unwrap();
    let conf = RuntimeConf::new(id, InterfaceName::new("eth0").unwrap()).with_netns("/netns");
    let served = store.default_network().await.unwrap();
    cni.network(served.network.list.clone()).add(&conf).await.unwrap();
    let served = store.default_network().await.unwrap();
    cni.network(served.network.list.clone()).del(&conf).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_set_up_uses_one_whole_configuration_and_so_does_its_tear_down() {
    let folder = Arc::new(Folder::with(&[("10-pods.conflist", &generation(0))]));
    let (cache, notes) = (Folder::new(), Arc::new(Notes::default()));
    let mut cni = Cni::new(Arc::<Notes>::clone(&notes), ResultCache::new(cache.path()));
    cni.check_netns = false;
    let store = ConfStore::new(folder.path());
    let writer = std::thread::spawn(move || {
        (1..=REPLACED).for_each(|number| folder.replace("10-pods.conflist", &generation(number)));
        folder
    });
    let mut pods = 0;
    while !writer.is_finished() {
        set_up_and_tear_down(&store, &cni, format!("c{pods}")).await;
        pods += 1;
    }
    // The folder has to be there until the last pod is.
    drop(writer.join().unwrap());
    let calls = notes.0.lock().unwrap();
    assert!(pods > 10, "only {pods} pods");
    assert_eq!(calls.len(), 2 * pods);
    for ((id, verb), generations) in &*calls {
        let first = generations[0];
        let whole = vec![first; length(usize::try_from(first).unwrap())];
        assert_eq!(*generations, whole, "{verb} of {id}");
        assert_eq!(calls[&(id.clone(), "ADD")], whole, "{verb} of {id} and its ADD");
    }
}
