//! What was played in random schedules, counted.

use crate::support::fake_node::Said;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use watchfire::model::HealthIssue;

/// Counts of one schedule, or of many.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) schedules: usize,
    /// Schedules by number of nodes.
    nodes: BTreeMap<usize, usize>,
    pub(crate) heads: usize,
    /// Fewest heads, reorgs and restarts of a schedule.
    fewest: Option<(usize, usize, usize)>,
    /// Reorgs by depth.
    reorgs: BTreeMap<usize, usize>,
    /// Restarts by blocks that went by meanwhile.
    restarts: BTreeMap<usize, usize>,
    pub(crate) outages: usize,
    pub(crate) cuts: usize,
    pub(crate) lags: usize,
    pub(crate) strays: usize,
    pub(crate) lost: usize,
    pub(crate) errors: usize,
    pub(crate) nulls: usize,
    /// Lies that were said, by kind.
    lies: BTreeMap<String, usize>,
    /// Nodes that said what contradicts a block's own hash, and those of them that were told on.
    liars: (usize, usize),
    /// Troubles that were told, by kind.
    told: BTreeMap<&'static str, usize>,
    /// Blocks taken back at once, at most.
    pub(crate) deepest: usize,
    pub(crate) simulated: Duration,
}

impl Tally {
    /// Of one schedule with so many nodes.
    pub(crate) fn of(n_nodes: usize) -> Self {
        Self { schedules: 1, nodes: [(n_nodes, 1)].into(), ..Self::default() }
    }

    pub(crate) fn reorg(&mut self, depth: usize) {
        *self.reorgs.entry(depth).or_default() += 1;
    }

    pub(crate) fn restart(&mut self, blocks: usize) {
        *self.restarts.entry(blocks).or_default() += 1;
    }

    pub(crate) fn lies(&mut self, said: &[Said]) {
        for said in said {
            *self.lies.entry(format!("{:?}", said.fault)).or_default() += 1;
        }
    }

    pub(crate) fn liars(&mut self, lied: bool, told: bool) {
        self.liars.0 += usize::from(lied);
        self.liars.1 += usize::from(lied && told);
    }

    pub(crate) fn told(&mut self, told: &[HealthIssue]) {
        for trouble in told {
            *self.told.entry(trouble.kind.name()).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        let counts = (other.heads, other.reorgs.values().sum(), other.restarts.values().sum());
        let (heads, reorgs, restarts) = self.fewest.unwrap_or(counts);
        self.fewest = Some((heads.min(counts.0), reorgs.min(counts.1), restarts.min(counts.2)));
        self.schedules += other.schedules;
        self.heads += other.heads;
        self.outages += other.outages;
        self.cuts += other.cuts;
        self.lags += other.lags;
        self.strays += other.strays;
        self.lost += other.lost;
        self.errors += other.errors;
        self.nulls += other.nulls;
        self.liars = (self.liars.0 + other.liars.0, self.liars.1 + other.liars.1);
        self.deepest = self.deepest.max(other.deepest);
        self.simulated += other.simulated;
        for (into, from) in
            [(&mut self.nodes, other.nodes), (&mut self.reorgs, other.reorgs), (&mut self.restarts, other.restarts)]
        {
            from.into_iter().for_each(|(key, n)| *into.entry(key).or_default() += n);
        }
        other.lies.into_iter().for_each(|(key, n)| *self.lies.entry(key).or_default() += n);
        other.told.into_iter().for_each(|(key, n)| *self.told.entry(key).or_default() += n);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3_600.0;
        writeln!(f, "{} schedules by number of nodes: {}", self.schedules, list(&self.nodes))?;
        let (heads, reorgs, restarts) = self.fewest.unwrap_or_default();
        writeln!(
            f,
            "{} heads in {hours:.0} simulated hours; at least {heads} heads, {reorgs} reorgs and {restarts} restarts in each",
            self.heads
        )?;
        writeln!(f, "reorgs by depth: {}; at most {} blocks taken back at once", list(&self.reorgs), self.deepest)?;
        writeln!(f, "restarts by blocks missed: {}", list(&self.restarts))?;
        writeln!(
            f,
            "{} outages, {} cuts, {} lags, {} strays; {} heads not announced, {} errors, {} nulls",
            self.outages, self.cuts, self.lags, self.strays, self.lost, self.errors, self.nulls
        )?;
        writeln!(f, "false answers: {}", list(&self.lies))?;
        writeln!(f, "nodes that contradicted a hash: {}; told on: {}", self.liars.0, self.liars.1)?;
        write!(f, "troubles told: {}", list(&self.told))
    }
}

fn list<K: fmt::Display>(counts: &BTreeMap<K, usize>) -> String {
    let counts: Vec<String> = counts.iter().map(|(key, n)| format!("{key}: {n}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
