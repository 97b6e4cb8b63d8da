//! What the program says of itself while it runs: its metrics, and what its log tells of.

use super::support::watched_proxy::WatchedProxy;
use std::time::Duration;

/// Metrics as they were scraped.
pub(crate) struct Metrics(String);

impl Metrics {
    /// Scrapes the program on `stage`, whose console listens wherever it found room.
    pub(crate) async fn of(stage: &WatchedProxy) -> Self {
        let log = stage.watch.log();
        let address = log.split("metrics and readiness at ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let url = format!("{}/metrics", address.expect("the console says where it is"));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client");
        let answer = client.get(url).send().await.expect("the console answers");
        Self(answer.text().await.expect("text"))
    }

    /// The sum of all series of this name whose labels contain all of these, such as `endpoint="a"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let series = self.series(name).filter(|(with, _)| labels.iter().all(|label| with.contains(label)));
        series.map(|(_, value)| value).sum()
    }

    /// How many times, and the bucket edges that half and 99 of 100 stayed within, in milliseconds.
    pub(crate) fn histogram(&self, name: &str) -> Option<(u64, f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (labels, count) in self.series(&format!("{name}_bucket")) {
            let edge = labels.split("le=\"").nth(1)?.split('"').next()?.parse().unwrap_or(f64::INFINITY);
            match buckets.iter_mut().find(|(known, _)| *known == edge) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((edge, count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = buckets.last()?.1;
        let within = |share: f64| buckets.iter().find(|(_, n)| *n >= total * share).map(|(edge, _)| edge * 1_000.0);
        (total > 0.0).then_some((total as u64, within(0.5)?, within(0.99)?))
    }

    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, value.parse().ok()?))
        })
    }
}
