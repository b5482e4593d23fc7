//! Counters and latencies of the operations, under the kubelet's names.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::operation::Operation;

/// Upper bounds in seconds: the Go client's default, which the kubelet took.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

type Labels = [(&'static str, &'static str); 1];

/// What is counted, for each operation.
#[derive(Debug)]
pub(super) struct Metrics {
    set_up: Series,
    tear_down: Series,
    status: Series,
}

#[derive(Debug)]
struct Series {
    operations: Counter,
    errors: Counter,
    seconds: Histogram,
}

impl Metrics {
    /// Makes the metrics, each at zero, and registers them. The registry adds the endings `_total` and `_seconds`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let operations = Family::<Labels, Counter>::default();
        let errors = Family::<Labels, Counter>::default();
        let seconds = Family::<Labels, Histogram, fn() -> Histogram>::new_with_constructor(|| {
            Histogram::new(BUCKETS)
        });
        let series = |operation: Operation| {
            let labels = [("operation_type", operation.as_str())];
            Series {
                operations: operations.get_or_create_owned(&labels),
                errors: errors.get_or_create_owned(&labels),
                seconds: seconds.get_or_create_owned(&labels),
            }
        };
        let metrics = Self {
            set_up: series(Operation::SetUpPod),
            tear_down: series(Operation::TearDownPod),
            status: series(Operation::PodNetworkStatus),
        };
        let counted = "Number of network plugin operations by operation type";
        registry.register("kubelet_network_plugin_operations", counted, operations);
        let failed = "Number of network plugin operation errors by operation type";
        registry.register("kubelet_network_plugin_operations_errors", failed, errors);
        let took = "Latency of network plugin operations by operation type";
        let duration = "kubelet_network_plugin_operations_duration";
        registry.register_with_unit(duration, took, Unit::Seconds, seconds);
        metrics
    }

    /// Starts the clock of an operation.
    pub(super) fn begin(&self, operation: Operation) -> Running<'_> {
        let series = match operation {
            Operation::SetUpPod => &self.set_up,
            Operation::TearDownPod => &self.tear_down,
            Operation::PodNetworkStatus => &self.status,
        };
        Running { series, begun: Instant::now(), succeeded: false }
    }
}

/// An operation that is under way. It is counted when dropped, so that one that nobody waits for any longer is counted
/// too, as one that failed.
#[derive(Debug)]
pub(super) struct Running<'a> {
    series: &'a Series,
    begun: Instant,
    succeeded: bool,
}

impl Running<'_> {
    /// Ends it as one that did not fail.
    pub(super) fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.series.operations.inc();
        if !self.succeeded {
            self.series.errors.inc();
        }
        self.series.seconds.observe(self.begun.elapsed().as_secs_f64());
    }
}
