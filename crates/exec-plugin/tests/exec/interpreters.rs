//! Plugins in another language than the shell's.

use std::process::Command;

use podnet_plugin_api::NetworkPlugin;

use crate::bed::{Bed, skip, web};

/// Keeps the pods' addresses in a file of its own.
const POOL: &str = r#"
import json, os, sys

verb, pod, path = sys.argv[1], sys.argv[2:], "@/pool.json"
pool = json.load(open(path)) if os.path.exists(path) else {}
print("python:", verb, file=sys.stderr)
if verb == "setup":
    assert os.environ["PODNET_NETNS"] == "/run/netns/web"
    pool.setdefault(pod[2], "10.20.30.%d" % (len(pool) + 2))
elif verb == "teardown":
    pool.pop(pod[2], None)
elif verb == "status" and pod[2] in pool:
    ips = [pool[pod[2]], "fd00::2"]
    json.dump({"kind": "PodNetworkStatus", "apiVersion": "v1beta1", "ips": ips}, sys.stdout)
json.dump(pool, open(path, "w"))
"#;

/// The interpreter itself, not what may stand for it in a developer's `PATH`.
fn python() -> Option<String> {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let answer = asked.ok().filter(|answer| answer.status.success())?;
    Some(String::from_utf8(answer.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn a_plugin_in_python_keeps_addresses() {
    let Some(python) = python() else {
        return skip("a_plugin_in_python_keeps_addresses", "there is no python3");
    };
    let bed = Bed::empty();
    bed.install("example.org~pool/pool", &format!("#!{python}\n{POOL}"));
    let (plugin, pod) = (bed.ready().await, web().with_netns("/run/netns/web"));
    assert_eq!(plugin.pod_network_status(&pod).await.unwrap(), None);

    let status = plugin.set_up_pod(&pod).await.unwrap().unwrap();
    let ips: Vec<_> = status.ips().iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["10.20.30.2", "fd00::2"]);
    assert_eq!(plugin.set_up_pod(&pod).await.unwrap(), Some(status));

    plugin.tear_down_pod(&pod).await.unwrap();
    plugin.tear_down_pod(&pod).await.unwrap();
    assert_eq!(plugin.pod_network_status(&pod).await.unwrap(), None);
}
