//! Series by label values, and their text format for Prometheus.

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::text;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::AtomicU64;

/// A counter of events.
pub(super) type Count = Counter<u64, AtomicU64>;
/// A counter of seconds.
pub(super) type Seconds = Counter<f64, AtomicU64>;
/// A number that can rise and fall. All our values are exact in an `f64`, including block numbers.
pub(super) type LevelGauge = Gauge<f64, AtomicU64>;

type Labels<const N: usize> = [(&'static str, String); N];

/// Metrics with one name, one for each combination of label values.
#[derive(Clone, Debug)]
pub(super) struct SeriesFamily<M, const N: usize> {
    names: [&'static str; N],
    family: Family<Labels<N>, M, fn() -> M>,
}

impl<M: Clone, const N: usize> SeriesFamily<M, N> {
    /// Returns the metric with these label values, in the order of the label names; created at zero on first use.
    pub(super) fn with_labels(&self, values: [&str; N]) -> M {
        self.family.get_or_create_owned(&self.label_set(values))
    }

    /// Removes the metric with these label values.
    pub(super) fn remove_labels(&self, values: [&str; N]) {
        self.family.remove(&self.label_set(values));
    }

    fn label_set(&self, values: [&str; N]) -> Labels<N> {
        let mut values = values.into_iter();
        self.names.map(|name| (name, values.next().unwrap_or_default().to_owned()))
    }
}

/// A registry that accepts the names of counters as they are scraped.
pub(super) struct MetricsRegistry(Registry);

impl MetricsRegistry {
    pub(super) fn new() -> Self {
        Self(Registry::with_prefix("watchfire"))
    }

    pub(super) fn counter_family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: [&'static str; N],
    ) -> SeriesFamily<Count, N> {
        self.register_family(name, help, names, Count::default)
    }

    pub(super) fn seconds_counter_family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: [&'static str; N],
    ) -> SeriesFamily<Seconds, N> {
        self.register_family(name, help, names, Seconds::default)
    }

    pub(super) fn gauge_family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: [&'static str; N],
    ) -> SeriesFamily<LevelGauge, N> {
        self.register_family(name, help, names, LevelGauge::default)
    }

    pub(super) fn histogram_family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: [&'static str; N],
        buckets: fn() -> Histogram,
    ) -> SeriesFamily<Histogram, N> {
        self.register_family(name, help, names, buckets)
    }

    pub(super) fn single_counter(&mut self, name: &str, help: &str) -> Count {
        let count = Count::default();
        self.register_metric(name, help, count.clone());
        count
    }

    pub(super) fn single_gauge(&mut self, name: &str, help: &str) -> LevelGauge {
        let level = LevelGauge::default();
        self.register_metric(name, help, level.clone());
        level
    }

    pub(super) fn into_registry(self) -> Registry {
        self.0
    }

    fn register_family<M, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: [&'static str; N],
        make: fn() -> M,
    ) -> SeriesFamily<M, N>
    where
        M: EncodeMetric + TypedMetric + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::new_with_constructor(make);
        self.register_metric(name, help, family.clone());
        SeriesFamily { names, family }
    }

    fn register_metric(&mut self, name: &str, help: &str, metric: impl Metric) {
        // The library itself appends `_total` to counters.
        self.0.register(name.strip_suffix("_total").unwrap_or(name), help, metric);
    }
}

/// Buckets from a millisecond to half a minute, for operations of a machine.
pub(super) fn short_duration_histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// Buckets from a quarter of a millisecond to half a minute, finest up to our targets of 5 and 20 milliseconds.
pub(super) fn fine_duration_histogram() -> Histogram {
    let below = [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.012, 0.015, 0.02];
    Histogram::new(below.into_iter().chain([0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]))
}

/// Buckets from half a second to two hours, for waits that people notice.
pub(super) fn long_duration_histogram() -> Histogram {
    Histogram::new([0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0])
}

/// Buckets of block counts, from one to more than any chain of today undoes.
pub(super) fn block_count_histogram() -> Histogram {
    Histogram::new([1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0, 64.0, 128.0])
}

/// Returns a registry in Prometheus' text format, version 0.0.4, which every version of Prometheus reads.
///
/// The library writes OpenMetrics, which names a counter's family without `_total`; the older format has no families
/// and requires the name of the samples. For the features used here, nothing else differs.
pub(super) fn render_prometheus_text(registry: &Registry) -> String {
    let mut written = String::new();
    if text::encode_registry(&mut written, registry).is_err() {
        // Writing into a string cannot fail.
        return String::new();
    }
    let mut out = String::with_capacity(written.len() + written.len() / 16);
    let mut help: Option<(&str, &str)> = None;
    for line in written.lines() {
        if let Some((name, text)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            // The next line contains the metric's type.
            help = Some((name, text));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                out.push_str(&format!("# HELP {name}{total} {text}\n"));
            }
            out.push_str(&format!("# TYPE {name}{total} {kind}\n"));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
