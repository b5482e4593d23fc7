//! Executes one CNI plugin: hands it a request and reads what it answers.
//!
//! Both sides of CNI need this and nothing else of each other, hence a crate of its own: a runtime
//! runs a chain of plugins with it, and a plugin runs its IPAM plugin with it. The seam is the trait
//! [`Exec`], "something that executes a plugin of a given type with a request". [`ProcessExec`] does
//! it as the specification describes (CNI 1.1.0, section 2): it finds a program on a [`SearchPath`]
//! and runs it as a process that has a deadline, an environment of its own and bounded output.
//!
//! ```
//! use podnet_cni_invoke::{Exec, ProcessExec, SearchPath};
//! use podnet_cni_spec::{Attachment, CniArgs, ContainerId, InterfaceName, PluginConfig, PluginType};
//! use podnet_cni_spec::{Request, Verb};
//! # use std::os::unix::fs::PermissionsExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A plugin is any program: this one gives everybody the same address.
//! let bin = tempfile::tempdir()?;
//! let program = bin.path().join("fixed");
//! std::fs::write(
//!     &program,
//!     "#!/bin/sh\necho '{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"10.1.2.3/24\"}]}'\n",
//! )?;
//! std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
//!
//! let exec = ProcessExec::new(SearchPath::new(vec![bin.path().to_owned()]));
//! let request = Request {
//!     verb: Verb::Add,
//!     attachment: Some(Attachment {
//!         container_id: ContainerId::new("c0ffee")?,
//!         interface: InterfaceName::new("eth0")?,
//!         netns: Some("/run/netns/web".into()),
//!         args: CniArgs::default(),
//!     }),
//!     config: PluginConfig::from_json(
//!         br#"{"cniVersion": "1.1.0", "name": "pods", "type": "fixed"}"#,
//!     )?,
//! };
//! let result = exec.run(&PluginType::new("fixed")?, &request).await?;
//! let ips = result.map(|result| result.ips).unwrap_or_default();
//! assert_eq!(ips[0].address.to_string(), "10.1.2.3/24");
//!
//! let missing = exec.run(&PluginType::new("macvlan")?, &request).await.unwrap_err();
//! assert!(missing.to_string().starts_with("plugin macvlan: no such program in "));
//! # Ok(())
//! # }
//! ```
//!
//! Futures of this crate run on a tokio runtime with its I/O and time drivers enabled. Dropping one
//! ends the plugin and every process of its group.

mod exec;
mod search_path;

mod process;

mod call;
mod reply;

mod error;
mod excerpt;

mod require;

pub use error::ExecError;
pub use exec::Exec;
pub use process::ProcessExec;
pub use require::{accept_versions, require_version};
pub use search_path::SearchPath;
