//! The exec network plugin: a program in a folder, called for each pod that comes or goes.
//!
//! It is the way to give pods a network with a script. A crate of its own, as each flavour is; this one links neither
//! netlink nor CNI.
//!
//! # Example
//! A plugin called `lab`, found and used:
//! ```
//! use podnet_plugin_api::{NetworkPlugin, PodSandbox, Settings};
//! # use std::{fs, os::unix::fs::PermissionsExt};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let script = r#"#!/bin/sh
//! case $1 in
//!     setup) echo "pod $2/$3 is sandbox $4 in $PODNET_NETNS" >&2 ;;
//!     status) echo '{"ip": "10.20.30.40"}' ;;
//! esac
//! "#;
//! let dir = tempfile::tempdir()?;
//! let program = dir.path().join("lab/lab");
//! fs::create_dir(dir.path().join("lab"))?;
//! fs::write(&program, script)?;
//! fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
//!
//! let probed = podnet_exec_plugin::probe(dir.path());
//! let lab = probed.plugins.first().ok_or("one was found")?;
//! assert_eq!(lab.name().as_str(), "lab");
//! lab.init(&Settings::default()).await?;
//!
//! let web = PodSandbox::new("default", "web", "4f2a9c")?.with_netns("/run/netns/web");
//! let status = lab.set_up_pod(&web).await?.ok_or("an address")?;
//! assert_eq!(status.ip().to_string(), "10.20.30.40");
//! lab.tear_down_pod(&web).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! It needs a tokio runtime with its I/O and time drivers.
//!
//! # Writing a plugin
//! The program of the plugin `lab` is `DIR/lab/lab`; that of `example.org/lab` is `DIR/example.org~lab/lab`. It is
//! called so:
//!
//! | arguments | when | what it does |
//! | --- | --- | --- |
//! | `init` | once, at the start of the node's agent | prepares the node |
//! | `setup NAMESPACE NAME ID` | the pod's network namespace exists, no container runs in it yet | connects the pod |
//! | `teardown NAMESPACE NAME ID` | the pod's containers have ended, or a `setup` failed | removes what `setup` made |
//! | `status NAMESPACE NAME ID` | after `setup`, and as often as somebody asks | prints the pod's addresses |
//!
//! - Exit status 0 is success. Anything else is a failure, and the end of stderr is the reason that people see.
//! - `status` prints a JSON object to stdout: `{"ip": "10.20.30.40"}`, or `{"ips": ["10.20.30.40", "fd00::2"]}` with
//!   the primary address first. `kind`, if there, is `PodNetworkStatus` and `apiVersion` is `v1beta1`. No output, or
//!   white space only, means that the program does not know and the runtime is to be asked.
//! - The environment is `PATH`; `PODNET_NETNS`, the path of the pod's network namespace, unless it is gone; and
//!   `PODNET_POD_UID`, if the runtime told it. Nothing of the caller's environment. stdin is empty.
//! - A `setup` that fails, or whose `status` does, is followed by `teardown`. A second `setup` of a pod and a second
//!   `teardown` succeed and change nothing; so does the `teardown` of a pod that never was.
//! - Each call has a deadline. At the deadline, after a failure and when the caller gives up, all processes of the
//!   program's process group are killed. What a successful call leaves running in the background stays.
//! - stdout may have 4 MiB; of stderr the last 64 KiB are kept.
//! - Program and folders belong to root or to the user that calls, and are not writable by everybody.
//!
//! Changes of the node's pod CIDR are not passed on: the interface has no call for them.
//!
//! # Source
//! The exec plugin of the kubelet, `pkg/kubelet/network/exec/exec.go`, Kubernetes 1.5, removed in 1.6. What differs:
//! stderr is no part of the status; there is a deadline; blank output is no status; the caller's environment is not
//! inherited, and `PODNET_NETNS`, `PODNET_POD_UID` and `ips` are new; ownership is checked; a link to a folder counts
//! as a folder; one badly named folder does not keep the others from being used; `status` is called after `setup`, and
//! a failed set-up is undone.

pub mod probe;

pub mod plugin;

pub mod error;
pub mod status;

mod call;
mod capture;
mod child;
mod excerpt;
mod program;

pub use error::Error;
pub use plugin::ExecPlugin;
pub use probe::{Probed, Unusable, probe};
pub use status::InvalidStatus;
