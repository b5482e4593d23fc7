//! The limits of a pod's traffic, as its annotations ask for them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::quantity::Quantity;

/// The annotation that limits what a pod receives, in bits a second.
pub const INGRESS_ANNOTATION: &str = "kubernetes.io/ingress-bandwidth";
/// The annotation that limits what a pod sends, in bits a second.
pub const EGRESS_ANNOTATION: &str = "kubernetes.io/egress-bandwidth";
/// 1k to 1P, as the kubelet has it.
const RATES: RangeInclusive<u128> = 1_000..=1_000_000_000_000_000;

/// The limits of a pod's traffic.
///
/// ```
/// use podnet_plugin_api::{PodBandwidth, PodSandbox};
///
/// let web = PodSandbox::new("default", "web", "4f2a9c")?
///     .with_annotation("kubernetes.io/ingress-bandwidth", "10M");
/// let limits = PodBandwidth::from_annotations(&web.annotations)?;
/// assert_eq!((limits.ingress, limits.egress), (Some(10_000_000), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PodBandwidth {
    /// What it may receive, in bits a second; `None` is no limit.
    pub ingress: Option<u64>,
    /// What it may send, in bits a second; `None` is no limit.
    pub egress: Option<u64>,
}

impl PodBandwidth {
    /// Reads [`INGRESS_ANNOTATION`] and [`EGRESS_ANNOTATION`]: Kubernetes quantities from `1k` to `1P`.
    ///
    /// # Errors
    /// [`InvalidBandwidth`] names the annotation and says the rule.
    pub fn from_annotations(
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, InvalidBandwidth> {
        let limit = |key: &'static str| {
            let value = annotations.get(key);
            value.map(|value| rate(key, value)).transpose()
        };
        Ok(Self { ingress: limit(INGRESS_ANNOTATION)?, egress: limit(EGRESS_ANNOTATION)? })
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// An annotation that is no rate which a pod can be limited to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "annotation {annotation}: {value:?} is no rate from 1k to 1P bits a second; write a quantity such as 10M"
)]
pub struct InvalidBandwidth {
    /// The annotation's key.
    pub annotation: &'static str,
    /// Its value.
    pub value: String,
}

fn rate(annotation: &'static str, value: &str) -> Result<u64, InvalidBandwidth> {
    let quantity = Quantity::parse(value).filter(|quantity| quantity.is_within(&RATES));
    let rate = quantity.and_then(|quantity| u64::try_from(quantity.rounded_up()).ok());
    rate.ok_or_else(|| InvalidBandwidth { annotation, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress(value: &str) -> Result<Option<u64>, InvalidBandwidth> {
        let annotations = BTreeMap::from([(INGRESS_ANNOTATION.to_owned(), value.to_owned())]);
        PodBandwidth::from_annotations(&annotations).map(|limits| limits.ingress)
    }

    #[test]
    fn rates_are_accepted_from_1k_to_1_p() {
        for (value, rate) in [("1k", 1_000), ("1P", 1_000_000_000_000_000), ("1.5M", 1_500_000)] {
            assert_eq!(ingress(value), Ok(Some(rate)), "{value}");
        }
        for value in ["999", "999.5", "1.001P", "1E", "0", "-1M", "10 M", "fast", ""] {
            let error = ingress(value).unwrap_err().to_string();
            let quoted = format!("annotation {INGRESS_ANNOTATION}: {value:?} is no rate");
            assert!(error.starts_with(&quoted), "{error}");
        }
    }

    #[test]
    fn a_pod_without_annotations_is_unlimited() {
        let limits = PodBandwidth::from_annotations(&BTreeMap::new()).unwrap();
        assert!(limits.is_unlimited());
    }
}
