//! The multi-call program `podnet-cni`: one file that is every standard CNI plugin, and kubenet as one.
//!
//! It is the plugin by whose name it is called (`/opt/cni/bin/bridge` as a link to it), or the one named by its first
//! argument (`podnet-cni bridge`). What it does is in `podnet-standard-plugins` and `podnet-kubenet`, how it is called in
//! `podnet-cni-skel`; here the two are joined.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use podnet_cni_invoke::{Exec as _, ProcessExec, SearchPath};
use podnet_cni_skel::{Call, Plugin};
use podnet_cni_spec::{AddResult, CniError, ErrorCode, PluginType};
use podnet_kubenet::cni_type;
use podnet_standard_plugins::{BuiltinExec, Firewall, Host, builtin};

const PROGRAM: &str = "podnet-cni";
/// Locks by which processes take turns; they may vanish at a reboot.
const RUNTIME_DIR: &str = "/run/podnet";

/// musl's own allocator gives memory back to the kernel and asks for it again dozens of times in a call.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The variable with the address of the system's bus.
const SYSTEM_BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// Exit status of a call that names no plugin, as for every command's usage errors.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Some(name) = plugin_name(std::env::args_os()) else { return usage() };
    let Ok(plugin_type) = name.parse::<PluginType>() else { return usage() };
    let plugin = Plugin {
        name,
        about: format!("CNI {name} plugin of podnet {}", env!("CARGO_PKG_VERSION")),
        versions: builtin::versions(name),
    };
    podnet_cni_skel::main(&plugin, |call| execute(&plugin_type, call))
}

/// The plugin that is meant, of those that exist.
fn plugin_name(mut arguments: impl Iterator<Item = OsString>) -> Option<&'static str> {
    let program = arguments.next()?;
    let called = Path::new(&program).file_name()?.to_owned();
    let wanted = if called == OsStr::new(PROGRAM) { arguments.next()? } else { called };
    cni_type::program_types().find(|name| OsStr::new(name) == wanted)
}

#[allow(clippy::print_stderr, reason = "a usage error is for the person at the terminal")]
fn usage() -> ExitCode {
    let types: Vec<_> = cni_type::program_types().collect();
    let types = types.join(", ");
    eprintln!("usage: {PROGRAM} TYPE, or call it by a link named TYPE; TYPE is one of {types}");
    ExitCode::from(USAGE)
}

fn execute(plugin: &PluginType, call: Call) -> Result<Option<AddResult>, CniError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CniError::new(ErrorCode::IO_FAILURE, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let runtime_dir = Path::new(RUNTIME_DIR);
        if plugin.as_str() == cni_type::TYPE {
            return cni_type::run(&call.request, runtime_dir).await;
        }
        let host = Host::open(runtime_dir)?;
        let mut others = ProcessExec::new(SearchPath::new(call.plugin_path));
        // A delegate gets all that the plugin got, and its stderr is the plugin's (CNI 1.1.0, section 4).
        others.environment = std::env::vars_os().collect();
        others.inherit_stderr = true;
        let exec = BuiltinExec::new(host).or_else(Arc::new(others)).with_firewall(firewall());
        Ok(exec.run(plugin, &call.request).await?)
    })
}

/// The bus of the system is where every D-Bus program looks for it.
fn firewall() -> Firewall {
    let named = std::env::var(SYSTEM_BUS).ok().filter(|address| !address.is_empty());
    named.map_or_else(Firewall::default, |bus| Firewall::default().with_system_bus(bus))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(arguments: &[&str]) -> Option<&'static str> {
        plugin_name(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_name_it_is_called_by_counts_and_then_the_first_argument() {
        assert_eq!(name(&["/opt/cni/bin/bridge"]), Some("bridge"));
        assert_eq!(name(&["/opt/cni/bin/bridge", "loopback"]), Some("bridge"));
        assert_eq!(name(&["/opt/cni/bin/kubenet"]), Some("kubenet"));
        assert_eq!(name(&["target/release/podnet-cni", "host-local"]), Some("host-local"));
        for unknown in [&["podnet-cni"][..], &["podnet-cni", "dhcp"], &["/opt/cni/bin/dhcp"], &[]] {
            assert_eq!(name(unknown), None);
        }
    }
}
