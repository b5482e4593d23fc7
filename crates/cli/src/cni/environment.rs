//! The variables of cnitool, read once.

use std::ffi::OsString;

use anyhow::anyhow;
use podnet_cni_spec::{CniArgs, InterfaceName};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// What cnitool's variables say. An empty one is as good as none.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) conf_dir: Option<OsString>,
    pub(super) bin_dirs: Option<OsString>,
    pub(super) interface: Option<InterfaceName>,
    pub(super) args: CniArgs,
    pub(super) capability_args: Map<String, Value>,
}

impl Environment {
    pub(super) fn read() -> Result<Self, Failure> {
        Self::of(|name| std::env::var_os(name)).map_err(Failure::usage)
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).map(|value| utf8(name, value)).transpose();
        let interface = text("CNI_IFNAME")?.map(|name| name.parse::<InterfaceName>());
        let capability_args = text("CAP_ARGS")?.map(|json| serde_json::from_str(&json));
        Ok(Self {
            conf_dir: variable("NETCONFPATH"),
            bin_dirs: variable("CNI_PATH"),
            interface: interface.transpose().map_err(|error| anyhow!("CNI_IFNAME: {error}"))?,
            args: CniArgs::parse(&text("CNI_ARGS")?.unwrap_or_default())?,
            capability_args: capability_args
                .transpose()
                .map_err(|error| anyhow!("CAP_ARGS is no JSON object: {error}"))?
                .unwrap_or_default(),
        })
    }
}

fn utf8(name: &str, value: OsString) -> anyhow::Result<String> {
    value.into_string().map_err(|value| anyhow!("{name} is not UTF-8: {}", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> anyhow::Result<Environment> {
        Environment::of(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn variables_are_read_as_cnitool_reads_them() {
        let read = environment(&[
            ("NETCONFPATH", "/etc/nets"),
            ("CNI_PATH", "/a:/b"),
            ("CNI_IFNAME", "net1"),
            ("CNI_ARGS", "A=1;B=2"),
            ("CAP_ARGS", r#"{"mac": "02:00:00:00:00:05"}"#),
        ])
        .unwrap();
        assert_eq!(read.conf_dir.unwrap(), "/etc/nets");
        assert_eq!(read.bin_dirs.unwrap(), "/a:/b");
        assert_eq!(read.interface.unwrap().as_str(), "net1");
        assert_eq!(read.args.get("B"), Some("2"));
        assert_eq!(read.capability_args["mac"], "02:00:00:00:00:05");
    }

    #[test]
    fn an_empty_variable_is_none() {
        let read = environment(&[("NETCONFPATH", ""), ("CNI_IFNAME", ""), ("CAP_ARGS", "")]);
        let read = read.unwrap();
        assert!(read.conf_dir.is_none() && read.interface.is_none());
        assert!(read.args.is_empty() && read.capability_args.is_empty());
    }

    #[test]
    fn what_cannot_be_read_names_the_variable() {
        let cases = [
            (("CNI_IFNAME", "a/b"), "CNI_IFNAME: "),
            (("CNI_ARGS", "A"), "cannot read CNI_ARGS: "),
            (("CAP_ARGS", "[]"), "CAP_ARGS is no JSON object: "),
        ];
        for (variable, beginning) in cases {
            let said = environment(&[variable]).unwrap_err().to_string();
            assert!(said.starts_with(beginning), "{said}");
        }
    }
}
