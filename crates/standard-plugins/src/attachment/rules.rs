//! What an attachment has in the host's nftables: its masquerade, and the check of its MAC address.

use podnet_cni_spec::{NetworkName, PluginConfig, ValidAttachment};
use serde::Deserialize;

use crate::error::Error;
use crate::host::Host;
use crate::label::Label;
use crate::{masquerade, spoof_check};

/// The options that ask for rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Asked {
    ip_masq: bool,
    macspoofchk: bool,
}

impl Asked {
    /// What cannot be read asks for nothing: a pod must be deletable whatever became of its configuration.
    fn by(config: &PluginConfig) -> Self {
        config.options().unwrap_or_default()
    }
}

/// Removes them, whichever program made them and whatever the configuration says by now.
pub(super) async fn remove(host: &Host, config: &PluginConfig, label: &Label) -> Result<(), Error> {
    let asked = Asked::by(config);
    let masquerade = masquerade::remove(host, label, asked.ip_masq).await;
    let spoof_check = spoof_check::remove(host, label).await;
    expected(asked.ip_masq, masquerade).and(expected(asked.macspoofchk, spoof_check))
}

/// Removes those of attachments of a network that are no longer valid, as far as it can be told whose they are.
pub(super) async fn collect(
    host: &Host,
    config: &PluginConfig,
    network: &NetworkName,
    valid: &[ValidAttachment],
) -> Result<(), Error> {
    let asked = Asked::by(config);
    let masquerade = masquerade::collect(host, network, valid, asked.ip_masq).await;
    let spoof_check = spoof_check::collect_dead(host).await;
    expected(asked.ip_masq, masquerade).and(expected(asked.macspoofchk, spoof_check))
}

/// A kernel without nftables has no rules to be removed. That matters only where there are to be some.
fn expected(asked: bool, outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if !asked => {
            tracing::debug!(%error, "left alone: the configuration asks for no such rules");
            Ok(())
        }
        other => other,
    }
}
