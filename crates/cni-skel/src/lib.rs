//! Writes a CNI plugin: which verb was called with what, and the answer as the specification wants it.
//!
//! A crate of its own because it is the one part of a plugin that reads variables and standard input
//! and writes standard output; what a plugin does is a function from a [`Call`] to a result, and
//! neither knows nor needs a process. What pkg/skel is to Go.
//!
//! A plugin's `main` is [`main`] with its name and that function:
//!
//! ```no_run
//! # use podnet_cni_skel::{Call, Plugin};
//! # use podnet_cni_spec::{AddResult, CniError, SpecVersion};
//! # fn handle(call: Call) -> Result<Option<AddResult>, CniError> { Ok(None) }
//! fn main() -> std::process::ExitCode {
//!     let about = "CNI plugin example".to_owned();
//!     let plugin = Plugin { name: "example", about, versions: SpecVersion::ALL };
//!     podnet_cni_skel::main(&plugin, handle)
//! }
//! ```
//!
//! [`run`] is the same over any environment and any streams:
//!
//! ```
//! use podnet_cni_skel::{Call, Environment, Plugin, run};
//! use podnet_cni_spec::{AddResult, CniError, Interface, SpecVersion, Verb};
//!
//! fn handle(call: Call) -> Result<Option<AddResult>, CniError> {
//!     let attachment = call.request.attachment()?;
//!     match call.request.verb {
//!         Verb::Add => {
//!             let name = attachment.interface.to_string();
//!             let interfaces = vec![Interface { name, ..Default::default() }];
//!             Ok(Some(AddResult { interfaces, ..Default::default() }))
//!         }
//!         _ => Ok(None),
//!     }
//! }
//!
//! let about = "CNI plugin example".to_owned();
//! let plugin = Plugin { name: "example", about, versions: SpecVersion::ALL };
//! let environment = Environment::new([
//!     ("CNI_COMMAND", "ADD"),
//!     ("CNI_CONTAINERID", "c0ffee"),
//!     ("CNI_NETNS", "/run/netns/web"),
//!     ("CNI_IFNAME", "eth0"),
//!     ("CNI_PATH", "/opt/cni/bin"),
//! ]);
//! let config = br#"{"cniVersion": "1.0.0", "name": "pods", "type": "example"}"#;
//!
//! let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
//! let status = run(&plugin, &environment, &config[..], &mut stdout, &mut stderr, handle);
//!
//! assert_eq!(status, 0);
//! let answer: serde_json::Value = serde_json::from_slice(&stdout)?;
//! let expected = serde_json::json!({"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}]});
//! assert_eq!(answer, expected);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod plugin;

mod environment;
mod input;
mod netns;

mod dispatch;

pub use dispatch::{main, run};
pub use environment::Environment;
pub use plugin::{Call, Plugin};
