//! Metrics of the source, under the chain's name.

use super::rpc::NodeError;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;

/// Metrics, and the name that a chain has in them.
#[derive(Clone)]
pub struct SourceMetrics {
    pub(super) metrics: Metrics,
    pub(super) chain: Arc<str>,
}

impl SourceMetrics {
    /// Creates a meter that records in `metrics` under the name `chain`.
    #[must_use]
    pub fn new(metrics: Metrics, chain: Arc<str>) -> Self {
        Self { metrics, chain }
    }

    /// Records a finished request to an endpoint.
    pub(super) fn record_request<T>(
        &self,
        endpoint: &str,
        method: &'static str,
        answer: &Result<T, NodeError>,
        took: Duration,
    ) {
        let outcome = match answer {
            Ok(_) => "ok",
            Err(NodeError::TimedOut { .. }) => "timeout",
            Err(NodeError::Unreachable(_)) => "unreachable",
            Err(_) => "error",
        };
        self.metrics.record_rpc_request(&self.chain, endpoint, method, outcome, took);
    }
}

impl Default for SourceMetrics {
    /// Creates a meter whose metrics are not exported.
    fn default() -> Self {
        Self { metrics: Metrics::default(), chain: "".into() }
    }
}

impl std::fmt::Debug for SourceMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meter({})", self.chain)
    }
}
