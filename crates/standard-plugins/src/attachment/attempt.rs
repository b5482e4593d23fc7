//! The frame of an ADD: what comes before an attachment is made, and what is taken back when that fails.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, Request};
use podnet_netutil::{NamedLock, Netns};

use super::{clear_remains, delete_host_end, reserve, rules, undone};
use crate::delegate::Ipam;
use crate::error::Error;
use crate::host::{Host, pod_netns};
use crate::label::Label;

/// An attachment that is being made, under its lock.
pub(crate) struct Attempt<'a> {
    host: &'a Host,
    request: &'a Request,
    label: &'a Label,
    ipam: Ipam<'a>,
    /// The pod's namespace.
    pub(crate) netns: Netns,
    _lock: NamedLock,
}

impl<'a> Attempt<'a> {
    /// Begins: refuses an attachment that exists, mends what a crashed one left, and gets addresses.
    pub(crate) async fn begin(
        host: &'a Host,
        exec: &'a dyn Exec,
        request: &'a Request,
        label: &'a Label,
    ) -> Result<(Self, AddResult), Error> {
        let ipam = Ipam::of(exec, request)?;
        let netns = pod_netns(request)?;
        let lock = host.lock(label).await?;
        clear_remains(host, label).await?;
        let addresses = reserve(&ipam, label, &netns).await?;
        Ok((Self { host, request, label, ipam, netns, _lock: lock }, addresses))
    }

    /// Ends with what became of it. What failed first is what the caller hears, after everything is taken back.
    pub(crate) async fn end(self, attached: Result<AddResult, Error>) -> Result<AddResult, Error> {
        let Err(first) = attached else { return attached };
        let undo = async {
            delete_host_end(self.host, self.label).await?;
            let rules = rules::remove(self.host, &self.request.config, self.label).await;
            self.ipam.del().await.and(rules)
        };
        Err(undone(first, undo.await))
    }
}
