//! Limits of a pod's traffic: what they leave on the host, and how fast real TCP is under them.

mod bandwidth;
mod goodput;

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use podnet_netutil::{Link, Netlink, RootQdisc};
use podnet_standard_plugins::shaping::{ifb_name, limits_of, shape, unshape};
use podnet_standard_plugins::{BuiltinExec, Host, Label, Limit, Limits};
use podnet_testkit::{Pod, TestHost};
use serde_json::json;

const NETWORK: &str = "net";

fn request(host: &TestHost, pod: &Pod, verb: Verb) -> Request {
    let config = json!({
        "cniVersion": "1.1.0", "name": NETWORK, "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": { "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir() },
    });
    Request {
        verb,
        attachment: Some(Attachment {
            container_id: pod.name().parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: Some(pod.path().to_owned()),
            args: CniArgs::default(),
        }),
        config: PluginConfig::from_value(config).unwrap(),
    }
}

/// A pod on the bridge, and what the shaper needs of it.
struct Attached {
    host: Host,
    label: Label,
    host_end: Link,
    address: std::net::IpAddr,
}

async fn attach(host: &TestHost, pod: &Pod) -> Attached {
    let request = request(host, pod, Verb::Add);
    let exec = BuiltinExec::new(Host::open(&host.runtime_dir()).unwrap());
    let result = exec.run(&"bridge".parse().unwrap(), &request).await.unwrap().unwrap();
    let label = Label::of(&request).unwrap();
    let host_end = exec.host().netlink().require_link(&label.host_end()).await.unwrap();
    Attached { host: exec.host().clone(), label, host_end, address: result.ips[0].address.ip() }
}

impl Attached {
    async fn shape(&self, limits: Limits) {
        shape(&self.host, &self.label, &self.host_end, &limits).await.unwrap();
    }

    /// The rates to and from the pod, in bits a second.
    async fn rates(&self) -> (Option<u64>, Option<u64>) {
        let limits = limits_of(&self.host, &self.label, &self.host_end).await.unwrap();
        let rate = |limit: Option<Limit>| limit.map(|limit| limit.bits_per_second);
        (rate(limits.to_pod), rate(limits.from_pod))
    }

    async fn ifb(&self) -> Option<Link> {
        self.host.netlink().link_by_name(&ifb_name(&self.label)).await.unwrap()
    }

    async fn assert_nothing_is_left(&self) {
        let netlink = self.host.netlink();
        assert_eq!(netlink.root_qdisc(&self.host_end).await.unwrap(), RootQdisc::Default);
        assert!(netlink.ingress_redirects(&self.host_end).await.unwrap().is_empty());
        assert_eq!(self.ifb().await, None);
    }
}

fn limits(to_pod: Option<u64>, from_pod: Option<u64>) -> Limits {
    Limits { to_pod: to_pod.map(Limit::new), from_pod: from_pod.map(Limit::new) }
}

#[test]
fn limits_are_set_kept_changed_and_removed() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    host.run(async || {
        let web = attach(&host, &pod).await;
        assert_eq!(web.rates().await, (None, None));
        web.shape(limits(None, None)).await;
        web.assert_nothing_is_left().await;

        web.shape(limits(Some(10_000_000), Some(20_000_000))).await;
        assert_eq!(web.rates().await, (Some(10_000_000), Some(20_000_000)));
        let ifb = web.ifb().await.unwrap();
        assert_eq!((ifb.alias, ifb.mtu), (Some(web.label.alias()), web.host_end.mtu));
        pod.ping("10.1.0.1".parse().unwrap()).unwrap();

        web.shape(limits(Some(10_000_000), Some(20_000_000))).await;
        assert_eq!(web.ifb().await.map(|again| again.index), Some(ifb.index));
        web.shape(limits(Some(1_000), Some(1_000_000_000_000_000))).await;
        assert_eq!(web.rates().await, (Some(1_000), Some(1_000_000_000_000_000)));
        assert_eq!(web.ifb().await.map(|again| again.index), Some(ifb.index));

        web.shape(limits(None, Some(2_000_000))).await;
        assert_eq!(web.rates().await, (None, Some(2_000_000)));
        web.shape(limits(Some(2_000_000), None)).await;
        assert_eq!(web.rates().await, (Some(2_000_000), None));
        assert_eq!(web.ifb().await, None);
        pod.ping("10.1.0.1".parse().unwrap()).unwrap();
        web.shape(Limits::default()).await;
        web.assert_nothing_is_left().await;
    })
    .unwrap();
}

#[test]
fn a_tear_down_leaves_nothing_whatever_comes_first() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    host.run(async || {
        for limits_first in [true, false] {
            let web = attach(&host, &pod).await;
            web.shape(limits(Some(1_000_000), Some(1_000_000))).await;
            let exec = BuiltinExec::new(web.host.clone());
            let (bridge, del) = ("bridge".parse().unwrap(), request(&host, &pod, Verb::Del));
            if limits_first {
                unshape(&web.host, &web.label).await.unwrap();
            }
            exec.run(&bridge, &del).await.unwrap();
            unshape(&web.host, &web.label).await.unwrap();
            unshape(&web.host, &web.label).await.unwrap();
            let links = web.host.netlink().links().await.unwrap();
            let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
            assert_eq!(names, ["lo", "br0"]);
        }
    })
    .unwrap();
}

#[test]
fn whatever_a_crash_left_is_mended() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    host.run(async || {
        let web = attach(&host, &pod).await;
        let netlink = web.host.netlink();
        let name = ifb_name(&web.label);
        let wanted = limits(None, Some(5_000_000));
        let mended = async || {
            web.shape(wanted).await;
            assert_eq!(web.rates().await, (None, Some(5_000_000)));
            pod.ping("10.1.0.1".parse().unwrap()).unwrap();
        };
        // The ifb was made, and nothing else.
        netlink.create_ifb(&name, 1500).await.unwrap();
        mended().await;
        // The redirect is missing, and so is the bucket.
        netlink.remove_ingress(&web.host_end).await.unwrap();
        netlink.remove_root_qdisc(&web.ifb().await.unwrap()).await.unwrap();
        mended().await;
        // The ifb is gone, and the redirect leads nowhere.
        unshape(&web.host, &web.label).await.unwrap();
        mended().await;
        // Somebody disabled the ifb.
        netlink.set_link_down(web.ifb().await.unwrap().index).await.unwrap();
        mended().await;
        // Only the ifb was made, and the pod is no longer limited.
        netlink.remove_ingress(&web.host_end).await.unwrap();
        web.shape(Limits::default()).await;
        web.assert_nothing_is_left().await;
    })
    .unwrap();
}

#[test]
fn an_ifb_of_somebody_else_is_refused_and_left_alone() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    host.run(async || {
        let web = attach(&host, &pod).await;
        let foreign = web.host.netlink().create_ifb(&ifb_name(&web.label), 1500).await.unwrap();
        Netlink::open().unwrap().commit_ifb(&foreign, "uplink").await.unwrap();
        let limits = limits(None, Some(5_000_000));
        let refused = shape(&web.host, &web.label, &web.host_end, &limits).await.unwrap_err();
        assert!(refused.to_string().contains("\"uplink\""), "{refused}");
        unshape(&web.host, &web.label).await.unwrap();
        assert_eq!(web.ifb().await.unwrap().index, foreign.index);
    })
    .unwrap();
}
