//! Limits of a pod's traffic, on the pod's own host end: no class, filter or queue is shared by pods.
//!
//! What the pod receives is what its host end sends: a token bucket at the root of the host end limits it. What the pod
//! sends is what its host end receives, which has no queue: it is redirected to an ifb of the pod's own, named after the
//! [`Label`], whose root has a bucket. Both work for every address family, and nothing of it needs the pod's namespace.
//!
//! The host end takes its queues along when it goes; the ifb has to be deleted, by [`unshape`], which finds it by its
//! name, or by GC, which finds it by the alias that it shares with the host end.

mod buckets;
mod device;

use podnet_netutil::{Link, Netlink, RootQdisc};

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;

pub(crate) use device::Ifb;

/// What a pod may send and receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// What it may receive (`kubernetes.io/ingress-bandwidth`); none is no limit.
    pub to_pod: Option<Limit>,
    /// What it may send (`kubernetes.io/egress-bandwidth`); none is no limit.
    pub from_pod: Option<Limit>,
}

/// How fast traffic may flow in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The rate in bits a second, Ethernet headers included; multiples of 8 are kept exactly.
    pub bits_per_second: u64,
    /// What may flow at once after a pause, in bits. None has it derived from the rate: 10 ms of it, and never less than
    /// eight full packets.
    pub burst_bits: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.to_pod.is_none() && self.from_pod.is_none()
    }
}

impl Limit {
    /// A limit with a burst that is derived from the rate.
    #[must_use]
    pub fn new(bits_per_second: u64) -> Self {
        Self { bits_per_second, burst_bits: None }
    }
}

/// The name of the ifb by which what a pod sends is limited: `pifb` and eleven letters and digits.
#[must_use]
pub fn ifb_name(label: &Label) -> String {
    label.link_name("pifb")
}

/// Gives a pod exactly these limits: sets what is missing, changes what differs, removes what is not wanted any more.
///
/// `host_end` is the host's end of the pod's interface. A limit that is there already is left alone with what flows
/// through it; a change of one takes effect at once. Whatever an earlier call left that did not finish is mended. When it
/// fails, [`unshape`] undoes it; operations on one attachment must not run at the same time.
///
/// # Errors
/// [`Error::Net`]; [`Error::HostEndTaken`] when the ifb's name belongs to somebody else.
pub async fn shape(
    host: &Host,
    label: &Label,
    host_end: &Link,
    limits: &Limits,
) -> Result<(), Error> {
    let ifb = Ifb { name: ifb_name(label), alias: label.alias() };
    shape_by(host, &ifb, host_end, limits).await.map(drop)
}

/// As [`shape`], by an ifb of another name. Returns the ifb if there is one now.
pub(crate) async fn shape_by(
    host: &Host,
    ifb: &Ifb,
    host_end: &Link,
    limits: &Limits,
) -> Result<Option<Link>, Error> {
    limit_sent(host, host_end, limits.to_pod, host_end.mtu).await?;
    if let Some(limit) = limits.from_pod {
        return limit_received(host, ifb, host_end, limit).await.map(Some);
    }
    // The redirect goes first: what is redirected to a link that is gone is lost.
    if !host.netlink.ingress_redirects(host_end).await?.is_empty() {
        host.netlink.remove_ingress(host_end).await?;
    }
    ifb.delete(host).await.map(|()| None)
}

/// Deletes what limits a pod and does not go with its host end: the ifb. Until the host end goes as well, nothing comes
/// out of the pod.
///
/// Succeeds when there is none, at the price of one lookup by name.
///
/// # Errors
/// [`Error::Net`].
pub async fn unshape(host: &Host, label: &Label) -> Result<(), Error> {
    Ifb { name: ifb_name(label), alias: label.alias() }.delete(host).await
}

/// The limits that a pod has now, each with its burst as the kernel tells it: to within what flows in 64 ns.
///
/// # Errors
/// [`Error::Net`].
pub async fn limits_of(host: &Host, label: &Label, host_end: &Link) -> Result<Limits, Error> {
    limits_by(host, &ifb_name(label), host_end).await
}

/// As [`limits_of`], by an ifb of another name.
pub(crate) async fn limits_by(host: &Host, ifb: &str, host_end: &Link) -> Result<Limits, Error> {
    let mut limits = Limits { to_pod: limit_at(host, host_end).await?, from_pod: None };
    let targets = host.netlink.ingress_redirects(host_end).await?;
    if targets.is_empty() {
        return Ok(limits);
    }
    let ifb = host.netlink.link_by_name(ifb).await?;
    if let Some(ifb) = ifb.filter(|ifb| ifb.up && targets.contains(&ifb.index)) {
        limits.from_pod = limit_at(host, &ifb).await?;
    }
    Ok(limits)
}

async fn limit_at(host: &Host, link: &Link) -> Result<Option<Limit>, Error> {
    match host.netlink.root_qdisc(link).await? {
        RootQdisc::TokenBucket(bucket) => Ok(Some(buckets::limit(&bucket))),
        _ => Ok(None),
    }
}

/// Limits what a link sends. A queue of another kind is somebody's choice and stays where there is no limit.
async fn limit_sent(host: &Host, link: &Link, limit: Option<Limit>, mtu: u32) -> Result<(), Error> {
    let wanted = limit.map(|limit| buckets::bucket(&limit, mtu));
    match (host.netlink.root_qdisc(link).await?, wanted) {
        (RootQdisc::TokenBucket(told), Some(wanted)) if told.is_told_of(&wanted) => {}
        (_, Some(wanted)) => host.netlink.set_token_bucket(link, &wanted).await?,
        (RootQdisc::TokenBucket(_), None) => host.netlink.remove_root_qdisc(link).await?,
        (_, None) => {}
    }
    Ok(())
}

/// Limits what the host end receives. Nothing is redirected before the bucket is there and the ifb enabled.
async fn limit_received(
    host: &Host,
    ifb: &Ifb,
    host_end: &Link,
    limit: Limit,
) -> Result<Link, Error> {
    let netlink = &host.netlink;
    let Some(link) = ifb.usable(host).await? else {
        let link = ifb.create(host, host_end.mtu).await?;
        netlink.set_token_bucket(&link, &buckets::bucket(&limit, host_end.mtu)).await?;
        netlink.commit_ifb(&link, &ifb.alias).await?;
        redirect(netlink, host_end, &link).await?;
        return Ok(link);
    };
    limit_sent(host, &link, Some(limit), host_end.mtu).await?;
    if netlink.ingress_redirects(host_end).await? != [link.index] {
        redirect(netlink, host_end, &link).await?;
    }
    Ok(link)
}

/// Redirects what the host end receives, in place of a redirect to a link that is gone, or of an ingress qdisc whose filter
/// is still missing.
async fn redirect(netlink: &Netlink, host_end: &Link, ifb: &Link) -> Result<(), Error> {
    match netlink.redirect_ingress(host_end, ifb).await {
        Err(error) if error.is_already_there() => {
            netlink.remove_ingress(host_end).await?;
            Ok(netlink.redirect_ingress(host_end, ifb).await?)
        }
        redirected => Ok(redirected?),
    }
}
