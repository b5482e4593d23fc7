//! What podnet promises, and whether a run shows it.

use serde::Serialize;

use super::figures::Row;

/// A figure that is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// `podnet-cni` is to be so many times better than Go.
    PodnetCniTimes(f64),
    /// `kubenet` is to be so many times better than Go.
    KubenetTimes(f64),
    /// Both, as far as they are in the row, are to be below this.
    Below(f64),
}

/// A goal, and whether it was met; unknown where a figure is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) goal: String,
    pub(super) met: Option<bool>,
}

impl Goal {
    /// Whether a row meets it.
    pub(super) fn judge(self, row: &Row) -> Verdict {
        let (goal, met) = match self {
            Self::PodnetCniTimes(times) => {
                (format!("podnet-cni:Go >= {times}"), row.podnet_cni_to_go.map(|it| it >= times))
            }
            Self::KubenetTimes(times) => {
                (format!("kubenet:Go >= {times}"), row.kubenet_to_go.map(|it| it >= times))
            }
            Self::Below(limit) => {
                let ours = [row.podnet_cni, row.kubenet].into_iter().flatten().reduce(f64::max);
                (format!("< {limit} {}", row.unit), ours.map(|it| it < limit))
            }
        };
        Verdict { goal, met }
    }
}
