//! Deliberate faults of a played tape, so that a setup can be tested against a faulty node.
//!
//! Each fault is one line: `drop-socket@block=114`, `lag=3@from=120,for=30s`, `delay=2s@method=eth_getBlockReceipts`,
//! `drop-log@block=117,times=1`. Connection faults are active while the newest block is within their range; answer
//! faults are active for answers about the blocks in their range.

use crate::runtime::monotonic_now;
use crate::settings::{parse_duration, show_duration};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// Kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Closes every socket when the range's first block appears; with `for` or `times`, later connections too.
    DropSocket,
    /// Keeps sockets open, but announces and answers nothing.
    Mute,
    /// Hides this number of the newest blocks.
    Lag(u64),
    /// Delays every answer by this time.
    Delay(Duration),
    /// Every request is refused with an internal error.
    Error,
    /// Answers requests for blocks and receipts with `null`.
    Null,
    /// Answers requests for a block's receipts with `[]`.
    EmptyReceipts,
    /// The last log of a block is left out of its receipts.
    DropLog,
}

/// Fault to inject, and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Kind of fault.
    pub kind: FaultKind,
    /// First block; without it, the first block of the tape.
    pub from: Option<u64>,
    /// Last block, included; without it, there is no end.
    pub until: Option<u64>,
    /// Duration, from the first time that the fault is active.
    pub lasts: Option<Duration>,
    /// Maximum number of times that the fault takes effect.
    pub times: Option<u32>,
    /// JSON-RPC method to which the fault is limited.
    pub method: Option<String>,
}

/// Treatment of a request, instead of its answer or before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    Answer,
    AnswerAfter(Duration),
    Refuse,
    Silence,
    HangUp,
}

/// Faults of one server, and the progress of each.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Running>>);

#[derive(Debug)]
struct Running {
    fault: Fault,
    since: Option<Instant>,
    n_times: u32,
}

impl FaultKind {
    /// Notation of each kind, with a description.
    pub const HELP: [(&str, &str); 8] = [
        (
            "drop-socket",
            "closes every socket when the block appears; with for= or times=, those that come afterwards too",
        ),
        ("mute", "keeps sockets open, announces and answers nothing"),
        ("lag=N", "does not know the newest N blocks yet"),
        ("delay=TIME", "answers so late"),
        ("error", "refuses with an internal error"),
        ("null", "answers null for blocks and receipts"),
        ("empty-receipts", "answers [] for a block's receipts"),
        ("drop-log", "leaves the last log of a block out of its receipts"),
    ];

    fn parse(name: &str, value: Option<&str>) -> Result<Self, String> {
        let plain = match name {
            "drop-socket" => Self::DropSocket,
            "mute" => Self::Mute,
            "error" => Self::Error,
            "null" => Self::Null,
            "empty-receipts" => Self::EmptyReceipts,
            "drop-log" => Self::DropLog,
            "lag" => return Ok(Self::Lag(parse_number(value.ok_or("lag by how many blocks? `lag=3`")?)?)),
            "delay" => return Ok(Self::Delay(parse_duration(value.ok_or("delay by how long? `delay=2s`")?)?)),
            _ => {
                let known = Self::HELP.map(|(name, _)| name).join(", ");
                return Err(format!("`{name}` is no fault; there are {known}"));
            }
        };
        if value.is_some() { Err(format!("`{name}` takes no value")) } else { Ok(plain) }
    }

    /// Returns whether the fault concerns the block of an answer rather than the connection.
    const fn is_of_answers(self) -> bool {
        matches!(self, Self::Null | Self::EmptyReceipts | Self::DropLog)
    }
}

impl Fault {
    fn drops_those_that_come(&self) -> bool {
        self.lasts.is_some() || self.times.is_some()
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, when) = text.split_once('@').map_or((text, None), |(what, when)| (what, Some(when)));
        let (name, value) = what.split_once('=').map_or((what, None), |(name, value)| (name, Some(value)));
        let kind = FaultKind::parse(name.trim(), value.map(str::trim))?;
        let mut fault = Self { kind, from: None, until: None, lasts: None, times: None, method: None };
        for part in when.into_iter().flat_map(|when| when.split(',')) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form key=value"))?;
            let value = value.trim();
            match key.trim() {
                "block" => (fault.from, fault.until) = (Some(parse_number(value)?), Some(parse_number(value)?)),
                "from" => fault.from = Some(parse_number(value)?),
                "until" => fault.until = Some(parse_number(value)?),
                "for" => fault.lasts = Some(parse_duration(value)?),
                "times" => fault.times = Some(parse_number(value)?),
                "method" => fault.method = Some(value.to_owned()),
                key => return Err(format!("`{key}` is not known; there are block, from, until, for, times, method")),
            }
        }
        if fault.kind == FaultKind::DropSocket && fault.from.is_none() {
            return Err("drop-socket needs to know when: `drop-socket@block=114`".to_owned());
        }
        Ok(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::DropSocket => f.write_str("drop-socket"),
            FaultKind::Mute => f.write_str("mute"),
            FaultKind::Lag(n) => write!(f, "lag={n}"),
            FaultKind::Delay(time) => write!(f, "delay={}", show_duration(time)),
            FaultKind::Error => f.write_str("error"),
            FaultKind::Null => f.write_str("null"),
            FaultKind::EmptyReceipts => f.write_str("empty-receipts"),
            FaultKind::DropLog => f.write_str("drop-log"),
        }?;
        let block = self.from.filter(|from| self.until == Some(*from));
        let mut parts = Vec::new();
        match block {
            Some(block) => parts.push(format!("block={block}")),
            None => {
                parts.extend(self.from.map(|from| format!("from={from}")));
                parts.extend(self.until.map(|until| format!("until={until}")));
            }
        }
        parts.extend(self.lasts.map(|lasts| format!("for={}", show_duration(lasts))));
        parts.extend(self.times.map(|times| format!("times={times}")));
        parts.extend(self.method.as_ref().map(|method| format!("method={method}")));
        if parts.is_empty() { Ok(()) } else { write!(f, "@{}", parts.join(",")) }
    }
}

impl Faults {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self(Mutex::new(faults.into_iter().map(|fault| Running { fault, since: None, n_times: 0 }).collect()))
    }

    /// Reports that `head` appeared, which starts the duration of the faults that begin there.
    pub(super) fn record_head(&self, head: Option<u64>) {
        for running in self.lock_running().iter_mut().filter(|running| !running.fault.kind.is_of_answers()) {
            running.check_active(head, monotonic_now());
        }
    }

    /// Returns the treatment of a request while `head` is the newest block.
    pub(super) fn request_conduct(&self, head: Option<u64>, method: &str) -> Conduct {
        for running in &mut *self.lock_running() {
            let conduct = match running.fault.kind {
                FaultKind::DropSocket if !running.fault.drops_those_that_come() => continue,
                FaultKind::DropSocket => Conduct::HangUp,
                FaultKind::Mute => Conduct::Silence,
                FaultKind::Delay(late) => Conduct::AnswerAfter(late),
                FaultKind::Error => Conduct::Refuse,
                _ => continue,
            };
            if running.is_about(method) && running.check_active(head, monotonic_now()) {
                running.took_effect();
                return conduct;
            }
        }
        Conduct::Answer
    }

    /// Returns the treatment of open sockets when `head` appears. Only hanging up and silence apply to them.
    pub(super) fn conduct_at(&self, head: Option<u64>) -> Conduct {
        for running in &mut *self.lock_running() {
            let conduct = match running.fault.kind {
                FaultKind::DropSocket => Conduct::HangUp,
                FaultKind::Mute if running.fault.method.is_none() => Conduct::Silence,
                _ => continue,
            };
            if running.check_active(head, monotonic_now()) {
                running.took_effect();
                return conduct;
            }
        }
        Conduct::Answer
    }

    /// Returns the number of blocks that the node is behind while `head` is the newest.
    pub(super) fn head_lag(&self, head: Option<u64>) -> u64 {
        let mut running = self.lock_running();
        let lags = running.iter_mut().filter_map(|running| match running.fault.kind {
            FaultKind::Lag(n) => running.check_active(head, monotonic_now()).then_some(n),
            _ => None,
        });
        lags.max().unwrap_or(0)
    }

    /// Returns whether an answer about the block numbered `about` is corrupted in this way.
    pub(super) fn should_corrupt(&self, kind: FaultKind, about: u64, method: &str) -> bool {
        let mut running = self.lock_running();
        let mut such = running.iter_mut().filter(|running| running.fault.kind == kind && running.is_about(method));
        let spoilt = such.any(|running| {
            let spoilt = running.check_active(Some(about), monotonic_now());
            running.n_times = running.n_times.saturating_add(u32::from(spoilt));
            spoilt
        });
        drop(such);
        spoilt
    }

    fn lock_running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Returns whether the fault is active at this block. Activation starts its duration.
    fn check_active(&mut self, at: Option<u64>, now: Instant) -> bool {
        let Fault { from, until, lasts, times, .. } = &self.fault;
        let reached = from.is_none_or(|from| at.is_some_and(|at| at >= from));
        let passed = until.is_some_and(|until| at.is_some_and(|at| at > until));
        // A connection fault with a duration stays active after its block is no longer the newest.
        let timed = self.since.is_some() && lasts.is_some() && !self.fault.kind.is_of_answers();
        if times.is_some_and(|times| self.n_times >= times) || !reached || (passed && !timed) {
            return false;
        }
        let since = *self.since.get_or_insert_with(|| {
            warn!("fault {} is active", self.fault);
            now
        });
        lasts.is_none_or(|lasts| now < since + lasts)
    }

    fn is_about(&self, method: &str) -> bool {
        self.fault.method.as_ref().is_none_or(|only| only == method)
    }

    fn took_effect(&mut self) {
        self.n_times = self.n_times.saturating_add(1);
    }
}

fn parse_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        Faults::new(vec![text.parse().expect("a fault")])
    }

    #[test]
    fn a_fault_reads_as_it_shows() {
        for text in [
            "drop-socket@block=114",
            "mute@from=3,until=9",
            "lag=3",
            "delay=2s@method=eth_getBlockReceipts",
            "error@from=7,for=30s,times=2",
            "null@block=7",
            "empty-receipts@until=9",
            "drop-log@block=5,times=1",
        ] {
            assert_eq!(text.parse::<Fault>().map(|fault| fault.to_string()), Ok(text.to_owned()));
        }
        for (text, why) in [
            ("flood", "`flood` is no fault"),
            ("lag", "lag by how many"),
            ("lag=x", "`x` is not a number"),
            ("mute=3", "takes no value"),
            ("mute@when=3", "`when` is not known"),
            ("mute@3", "not of the form"),
            ("drop-socket", "needs to know when"),
            ("delay=2", "not a length of time"),
        ] {
            let error = text.parse::<Fault>().expect_err("no fault");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_kind_that_is_told_of_is_a_kind() {
        for (name, _) in FaultKind::HELP {
            let text = name.replace("=N", "=1").replace("=TIME", "=1s") + "@from=1";
            assert!(text.parse::<Fault>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_fault_of_the_connection_holds_within_its_blocks() {
        let faults = faults("mute@from=5,until=6");
        let at = |head| faults.request_conduct(head, "eth_chainId");
        assert_eq!(
            [None, Some(4), Some(5), Some(6), Some(7)].map(at).map(|it| it == Conduct::Silence),
            [false, false, true, true, false]
        );
    }

    #[test]
    fn sockets_are_dropped_once_unless_those_that_come_are_meant_too() {
        let once = faults("drop-socket@block=5");
        assert_eq!(once.request_conduct(Some(4), "eth_chainId"), Conduct::Answer);
        assert_eq!(once.conduct_at(Some(5)), Conduct::HangUp);
        assert_eq!(once.request_conduct(Some(5), "eth_chainId"), Conduct::Answer, "who comes back is welcome");
        let for_long = faults("drop-socket@block=5,for=1h");
        assert_eq!(for_long.conduct_at(Some(5)), Conduct::HangUp);
        assert_eq!(for_long.request_conduct(Some(6), "eth_chainId"), Conduct::HangUp);
    }

    #[test]
    fn an_answer_is_spoilt_so_often_and_no_oftener() {
        let faults = faults("drop-log@block=7,times=2");
        let spoilt = |about| faults.should_corrupt(FaultKind::DropLog, about, "eth_getBlockReceipts");
        assert_eq!([6, 7, 8, 7, 7].map(spoilt), [false, true, false, true, false]);
        assert!(!faults.should_corrupt(FaultKind::Null, 7, "eth_getBlockReceipts"));
    }

    #[test]
    fn a_fault_lasts_from_when_it_first_holds() {
        let mut lag = Running { fault: "lag=3@block=5,for=30s".parse().expect("a fault"), since: None, n_times: 0 };
        let start = monotonic_now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!lag.check_active(Some(4), start));
        assert!(lag.check_active(Some(5), after(60)));
        assert!(lag.check_active(Some(8), after(89)), "its block is no longer the newest");
        assert!(!lag.check_active(Some(9), after(90)));
    }
}
