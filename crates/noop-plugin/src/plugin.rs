//! The plugin itself.

use podnet_netutil::bridge_filter;
use podnet_plugin_api::selection::DEFAULT_PLUGIN;
use podnet_plugin_api::{
    BoxFuture, Error, NetworkPlugin, NotReady, PluginName, PodNetworkStatus, PodSandbox, Settings,
};

/// The plugin `kubernetes.io/no-op`.
///
/// Its [`init`](NetworkPlugin::init) sets `net/bridge/bridge-nf-call-iptables` to 1, and
/// `net/bridge/bridge-nf-call-ip6tables` where the kernel has it, in the network namespace of the calling thread, so
/// that a service proxy's rules see what passes over a bridge. Where that cannot be done it warns and goes on. All
/// else succeeds and does nothing; addresses are for the runtime to tell.
///
/// Source: kubelet `NoopNetworkPlugin`, which also ran `modprobe br-netfilter`; this one starts no process, and says
/// so where the module is missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopPlugin;

impl NetworkPlugin for NoopPlugin {
    fn name(&self) -> &PluginName {
        static NAME: PluginName = DEFAULT_PLUGIN;
        &NAME
    }

    fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            for warning in bridge_filter::enable() {
                tracing::warn!("{warning}");
            }
            Ok(())
        })
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
