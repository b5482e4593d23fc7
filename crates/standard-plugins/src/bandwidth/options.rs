//! The rates and bursts that a configuration asks for.

use podnet_cni_spec::PluginConfig;
use serde::Deserialize;

use crate::error::Error;
use crate::shaping::{Limit, Limits};

/// The options of the reference's `bandwidth` plugin, at the top of the configuration or in `runtimeConfig.bandwidth`:
/// bits a second, and bits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    ingress_rate: Option<u64>,
    ingress_burst: Option<u64>,
    egress_rate: Option<u64>,
    egress_burst: Option<u64>,
}

/// The limits that a configuration asks for. What the runtime sends counts only where the configuration itself has no
/// such option, be it zero.
pub(super) fn limits(config: &PluginConfig) -> Result<Limits, Error> {
    let written: Options = config.options()?;
    let options = match config.runtime_config("bandwidth")? {
        Some(sent) if written == Options::default() => sent,
        _ => written,
    };
    Ok(Limits {
        to_pod: limit("ingressRate", options.ingress_rate, options.ingress_burst)?,
        from_pod: limit("egressRate", options.egress_rate, options.egress_burst)?,
    })
}

fn limit(
    option: &'static str,
    rate: Option<u64>,
    burst: Option<u64>,
) -> Result<Option<Limit>, Error> {
    let refuse = |reason: &str| Err(Error::InvalidOption { option, reason: reason.to_owned() });
    match (rate.unwrap_or_default(), burst.unwrap_or_default()) {
        (0, 0) => Ok(None),
        (_, 0) => refuse("if rate is set, burst must also be set"),
        (0, _) => refuse("if burst is set, rate must also be set"),
        (_, burst) if burst / 8 >= u64::from(u32::MAX) => refuse("burst cannot be more than 4GB"),
        (bits_per_second, burst) => Ok(Some(Limit { bits_per_second, burst_bits: Some(burst) })),
    }
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::ErrorCode;
    use serde_json::{Value, json};

    use super::*;

    fn read(config: Value) -> Result<Limits, Error> {
        limits(&PluginConfig::from_value(config).unwrap())
    }

    fn wanted(bits_per_second: u64, burst: u64) -> Limit {
        Limit { bits_per_second, burst_bits: Some(burst) }
    }

    #[test]
    fn what_is_written_counts_and_else_what_the_runtime_sends() {
        // As containerd spells it.
        let sent = json!({ "bandwidth": { "IngressRate": 5, "IngressBurst": 6 } });
        let only_sent = read(json!({ "runtimeConfig": sent })).unwrap();
        assert_eq!(only_sent, Limits { to_pod: Some(wanted(5, 6)), from_pod: None });
        let both = json!({ "egressRate": 7, "egressBurst": 8, "runtimeConfig": sent });
        assert_eq!(read(both).unwrap(), Limits { to_pod: None, from_pod: Some(wanted(7, 8)) });
        let switched_off = json!({ "ingressRate": 0, "runtimeConfig": sent });
        assert!(read(switched_off).unwrap().is_unlimited());
        assert!(read(json!({})).unwrap().is_unlimited());
    }

    #[test]
    fn rates_and_bursts_come_in_pairs_and_in_bounds() {
        for (config, reason) in [
            (json!({"ingressRate": 1}), "if rate is set, burst must also be set"),
            (json!({"egressBurst": 1}), "if burst is set, rate must also be set"),
            (
                json!({"egressRate": 1, "egressBurst": 8 * 4_294_967_295_u64}),
                "burst cannot be more than 4GB",
            ),
            (
                json!({"runtimeConfig": {"bandwidth": {"ingressRate": 1}}}),
                "if rate is set, burst must also be set",
            ),
        ] {
            let error = read(config).unwrap_err();
            assert_eq!(error.code(), ErrorCode::INVALID_NETWORK_CONFIG, "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        for malformed in [json!({"ingressRate": -1}), json!({"ingressRate": "1M"})] {
            assert_eq!(read(malformed).unwrap_err().code(), ErrorCode::DECODING_FAILURE);
        }
    }
}
