//! A container runtime in its smallest form: a network namespace, a network, a command.
//!
//! Makes a network namespace, attaches it to the network of a configuration file, runs a command in it and detaches it
//! again, whatever happened in between. It exits as the command did.
//!
//! ```sh
//! echo '{"cniVersion": "1.0.0", "name": "mini", "type": "bridge", "bridge": "mini0", "isGateway": true,
//!        "ipam": {"type": "host-local", "subnet": "10.88.77.0/24"}}' > mini.conf
//! cargo build --package podnet-cni-plugin --example minirun
//! sudo CNI_PATH=/usr/lib/cni target/debug/examples/minirun mini.conf ip address show eth0
//! ```
//!
//! To try it without touching the machine's network, run the last line in namespaces that vanish with it:
//!
//! ```sh
//! sudo unshare --net --mount sh -c 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib &&
//!     CNI_PATH=/usr/lib/cni target/debug/examples/minirun mini.conf ping -c 1 10.88.77.1'
//! ```
//!
//! The programs are looked for in `CNI_PATH`, or in `/opt/cni/bin`. What it leaves behind when it is killed, `podnet cni
//! list` shows and `podnet cni del mini.conf --id ID` removes.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_plugin::{Cni, Network, ResultCache, RuntimeConf, conf_dir};
use podnet_cni_spec::{AddResult, ContainerId, InterfaceName};
use podnet_netutil::{Netlink, Netns};

// An operation waits for programs, and some for netlink; one thread is enough for that.
#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr, reason = "a program says why it failed")]
async fn main() -> ExitCode {
    minirun().await.unwrap_or_else(|error| {
        eprintln!("minirun: {error}");
        ExitCode::FAILURE
    })
}

async fn minirun() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(file), Some(program)) = (arguments.next(), arguments.next()) else {
        return Err("usage: minirun NETWORK-FILE COMMAND [ARGUMENT]..".into());
    };
    let network = network(Path::new(&file))?;

    // The id is all that tells our containers apart: it must be new each time, and must not be reused while something
    // of the old one may be left.
    let id = ContainerId::new(format!("minirun-{}", std::process::id()))?;
    std::fs::create_dir_all("/run/netns")?;
    let netns = Netns::create(Path::new("/run/netns").join(id.as_str()))?;

    let outcome = run_attached(&network, id, &netns, &program, arguments.collect()).await;
    Netns::remove(netns.path())?;
    outcome
}

/// The network of the file. Its chain is executed by the programs that are installed.
fn network(file: &Path) -> Result<Network, Box<dyn Error>> {
    let bin_dirs = std::env::var_os("CNI_PATH").unwrap_or_else(|| "/opt/cni/bin".into());
    let exec = ProcessExec::new(SearchPath::parse(&bin_dirs));
    // The cache is what a later `del` needs, in another process as well: see `podnet cni list`.
    let cni = Cni::new(Arc::new(exec), ResultCache::default());
    Ok(cni.network(conf_dir::load_file(file)?.list))
}

/// Runs the command between attaching and detaching.
async fn run_attached(
    network: &Network,
    id: ContainerId,
    netns: &Netns,
    program: &OsStr,
    arguments: Vec<OsString>,
) -> Result<ExitCode, Box<dyn Error>> {
    let container = RuntimeConf::new(id, InterfaceName::new("eth0")?).with_netns(netns.path());
    enable_loopback(netns).await?;
    // An ADD that fails is undone by the library: there is nothing to detach then.
    let result = network.add(&container).await?;
    announce(&result);

    // The command runs in the namespace, and in that alone: its files and processes are the machine's.
    let status = netns.run(|| Command::new(program).args(arguments).status());

    // Whatever became of the command, what was attached is detached.
    network.del(&container).await?;
    let cannot_run = |error| format!("cannot run {}: {error}", program.display());
    let code = status?.map_err(cannot_run)?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A new namespace has a loopback that is switched off. Runtimes switch it on with the plugin `loopback`, or like this.
async fn enable_loopback(netns: &Netns) -> Result<(), podnet_netutil::Error> {
    let inside = Netlink::open_in(netns)?;
    let lo = inside.require_link("lo").await?;
    inside.set_link_up(lo.index).await
}

#[allow(clippy::print_stderr, reason = "stdout is the command's")]
fn announce(result: &AddResult) {
    for ip in &result.ips {
        eprintln!("minirun: attached with address {}", ip.address);
    }
}
