//! Conditions of a rule that look back: first seen, dormant, age, pause and failures.
//!
//! Input: a condition, an activity, the windows. Output: the mismatches, and the entries that the activity adds to the
//! windows. An activity that meets all other conditions of the rule counts towards the rule, whatever its verdict was.

use super::condition::{code_of, party_addresses};
use super::expected::since_key;
use super::history::{LASTING, MET_MAX};
use super::noise::{as_amount, lasting_window_name};
use super::rule::{Polarity, Rule};
use super::rule_result::{Mismatches, Windows};
use crate::model::arg_path::ArgPath;
use crate::model::value::Value;
use crate::model::{Activity, Fate, Stage, span};
use alloy_primitives::{Address, B256, U256, keccak256};
use std::sync::{Arc, LazyLock};

/// A condition that looks back. A mismatch names it by its key in the watchlist.
#[derive(Clone, Debug)]
pub enum Baseline {
    /// `pause`: minimum time since the rule last vouched for an activity.
    Pause {
        /// Minimum in seconds.
        least: u64,
        /// Text as written in the watchlist.
        text: Arc<str>,
    },
    /// `first_seen`: the rule has not met it before.
    FirstSeen {
        /// Party that the rule has not met before.
        what: Party,
        /// Text as written in the watchlist.
        label: Arc<str>,
    },
    /// `dormant`: the rule met no activity for this long.
    Dormant {
        /// Time in seconds.
        longer_than: u64,
        /// Text as written in the watchlist.
        text: Arc<str>,
    },
    /// `age`: time for which the watch has dealt with these addresses while their code stayed the same.
    Age {
        /// Party whose age is tested.
        of: Party,
        /// Text as written in the watchlist.
        label: Arc<str>,
        /// Bound in seconds: minimum age on a normal rule, maximum age (exclusive) on an abnormal one.
        bound: u64,
        /// Text as written in the watchlist.
        text: Arc<str>,
    },
    /// `failed`: the transaction reverted, and so did others.
    Failed {
        /// Number of transactions that reverted within the window, this one included.
        count: u64,
        /// Percentage of all transactions within the window.
        share: Option<u8>,
        /// Length of the window in seconds.
        per: u64,
        /// Window as written in the watchlist: `1h`.
        text: Arc<str>,
    },
}

impl Baseline {
    /// Returns the number of seconds that the condition looks back in windows that are pruned.
    pub(crate) fn looks_back(&self) -> u64 {
        match self {
            Self::Pause { least, .. } => *least,
            Self::FirstSeen { .. } | Self::Age { .. } => 0,
            Self::Dormant { longer_than, .. } => *longer_than,
            Self::Failed { per, .. } => *per,
        }
    }
}

/// A part of an activity that varies between activities: a party that deals with the watch, or the function used.
#[derive(Clone, Debug)]
pub enum Party {
    /// The direct caller.
    From,
    /// Sender of the transaction.
    Origin,
    /// The target, or the party that value reaches.
    To,
    /// The function or event.
    Function,
    /// An argument, by position.
    Arg(ArgPath),
}

/// Window of addresses with their code, and the time since which the watch has dealt with them.
pub(crate) static CODES: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("code"));

/// Fraction of the dormancy time after which a use is recorded again. A busy function fills at most about a thousand
/// rows, and dormancy is reported at most a thousandth too early.
const MARKS: u64 = 1_024;
/// Maximum number of transactions from which a share is computed: enough for a share in tenths of a percent, and 400
/// KB.
const TRIED_MAX: usize = 4_096;

/// Tests one condition and adds each mismatch.
pub(crate) fn test_baseline(
    habit: &Baseline,
    rule: &Rule,
    activity: &Activity,
    watch: Address,
    windows: &Windows<'_>,
    refusals: &mut Mismatches,
) {
    let now = windows.now;
    match habit {
        Baseline::Pause { least, text } => {
            let last = windows.last_entry_time(watch, &pause_key(rule));
            if let Some(gap) = last.map(|last| now.saturating_sub(last)).filter(|gap| gap < least) {
                refusals.add("pause", || {
                    format!("is {} after the last, and {text} at least is asked", span::format_duration(gap))
                });
            }
        }
        Baseline::FirstSeen { what, label } => {
            let key = seen_key(rule, label);
            let values = novelty_entries(what, activity);
            if values.is_empty() {
                refusals.add("first_seen", || format!("finds no {label}"));
            } else if values.iter().all(|value| windows.has_entry(watch, &key, *value)) {
                refusals.add("first_seen", || format!("is about another {label}: this one was met before"));
            }
        }
        Baseline::Dormant { longer_than, text } => {
            let begun = windows.history.first_entry_time(watch, &since_key(rule));
            let last = windows.last_entry_time(watch, &used_key(rule)).max(begun);
            let quiet = begun.and(last).map(|last| now.saturating_sub(last));
            match quiet {
                None => refusals.add("dormant", || "cannot be told: watching has only begun".to_owned()),
                Some(quiet) if quiet < *longer_than => refusals.add("dormant", || {
                    format!("is {text} at least, and it is {} since the last", span::format_duration(quiet))
                }),
                Some(_) => {}
            }
        }
        Baseline::Age { of, label, bound, text } => {
            test_address_age(rule, of, label, *bound, text, activity, watch, windows, refusals);
        }
        Baseline::Failed { count, share, per, text } => {
            if activity.fate != Fate::Reverted {
                return refusals.add("failed", || "is about what reverts, and this did not".to_owned());
            }
            let failed = count_transactions(windows, watch, &failed_key(rule), *per, activity);
            let tried = count_transactions(windows, watch, &tried_key(rule), *per, activity);
            if failed < *count {
                refusals.add("failed", || format!("is {count} at least, and {failed} failed within {text}"));
            }
            if let Some(share) = share
                && failed * 100 < u64::from(*share) * tried
            {
                refusals
                    .add("failed", || format!("is {share}% at least, and {failed} of {tried} failed within {text}"));
            }
        }
    }
}

/// Returns the entries that `activity`, for which the rule's other conditions hold, adds to the windows of the rule.
pub(crate) fn baseline_entries(
    rule: &Rule,
    activity: &Activity,
    watch: Address,
    windows: &Windows<'_>,
) -> Vec<(Arc<str>, U256)> {
    let ran = activity.fate == Fate::Executed && activity.stage == Stage::Included;
    let mut lessons = Vec::new();
    for habit in &rule.habits {
        match habit {
            // Recorded when the rule vouches.
            Baseline::Pause { .. } => {}
            Baseline::FirstSeen { what, label } if ran => {
                let key = seen_key(rule, label);
                for value in novelty_entries(what, activity) {
                    let room = windows.len(watch, &key) + lessons.len() < MET_MAX;
                    let lesson = (Arc::clone(&key), value);
                    if room && !windows.has_entry(watch, &key, value) && !lessons.contains(&lesson) {
                        lessons.push(lesson);
                    }
                }
            }
            Baseline::Dormant { longer_than, .. } if ran => {
                let key = used_key(rule);
                let last = windows.last_entry_time(watch, &key).map(|last| windows.now.saturating_sub(last));
                if last.is_none_or(|ago| ago > longer_than / MARKS) {
                    lessons.push((key, U256::ONE));
                }
            }
            Baseline::Age { of, .. } if ran => {
                for met in party_addresses(of, activity)
                    .into_iter()
                    .filter_map(|address| address_code_entry(address, activity))
                {
                    let room = windows.len(watch, &CODES) + lessons.len() < MET_MAX;
                    let lesson = (Arc::clone(&CODES), met);
                    if room && !windows.has_entry(watch, &CODES, met) && !lessons.contains(&lesson) {
                        lessons.push(lesson);
                    }
                }
            }
            Baseline::Failed { count, share, per, .. } => {
                let failed = activity.fate == Fate::Reverted;
                if !ran && !failed {
                    continue;
                }
                // A count needs no more failures than its bound. A share needs all transactions.
                let most = share.map_or(usize::try_from(*count).unwrap_or(TRIED_MAX), |_| TRIED_MAX);
                let keys = [share.is_some().then(|| tried_key(rule)), failed.then(|| failed_key(rule))];
                let room = |key: &Arc<str>| windows.entries_within(watch, key, *per).count() < most;
                let keys: Vec<Arc<str>> = keys.into_iter().flatten().collect();
                if keys.iter().all(room) {
                    let tx: U256 = activity.tx.into();
                    let new = keys.into_iter().filter(|key| !windows.is_of_this_block(watch, key, tx));
                    lessons.extend(new.map(|key| (key, tx)).collect::<Vec<_>>());
                }
            }
            Baseline::FirstSeen { .. } | Baseline::Dormant { .. } | Baseline::Age { .. } => {}
        }
    }
    lessons
}

/// Checks the time since the watch first dealt with these addresses in their present state. The age is zero for an
/// address that was never met, cannot be read or found no room.
#[expect(clippy::too_many_arguments, reason = "a condition with its rule, its activity and its windows")]
fn test_address_age(
    rule: &Rule,
    of: &Party,
    label: &str,
    bound: u64,
    text: &str,
    activity: &Activity,
    watch: Address,
    windows: &Windows<'_>,
    refusals: &mut Mismatches,
) {
    let addresses = party_addresses(of, activity);
    let ages = addresses.iter().map(|address| {
        let since = address_code_entry(*address, activity).and_then(|met| windows.entered_since(watch, &CODES, met));
        since.map_or(0, |since| windows.now.saturating_sub(since))
    });
    let Some(youngest) = ages.min() else { return refusals.add("age", || format!("finds no {label}")) };
    match rule.polarity {
        Polarity::Normal if youngest < bound => {
            refusals.add("age", || {
                format!("of {label} is {}, and {text} at least is asked", span::format_duration(youngest))
            });
        }
        Polarity::Abnormal if youngest >= bound => {
            refusals.add("age", || {
                format!("of {label} is {}, and less than {text} is meant", span::format_duration(youngest))
            });
        }
        Polarity::Normal | Polarity::Abnormal => {}
    }
}

/// An address with its code, as an entry of a window.
fn address_code_entry(address: Address, activity: &Activity) -> Option<U256> {
    code_of(address, activity).map(|hash| with_code(address, hash))
}

/// Combines an address with the hash of its code: the entry differs once the code changes.
pub(crate) fn with_code(address: Address, hash: B256) -> U256 {
    keccak256([address.as_slice(), hash.as_slice()].concat()).into()
}

/// Returns whether the rule needs the time since which it is watched.
pub(crate) fn asks_since(rule: &Rule) -> bool {
    rule.habits.iter().any(|habit| matches!(habit, Baseline::Dormant { .. }))
}

/// Returns the number of transactions in the window, including that of `activity`. Each counts once.
fn count_transactions(windows: &Windows<'_>, watch: Address, key: &Arc<str>, per: u64, activity: &Activity) -> u64 {
    let counted = windows.is_of_this_block(watch, key, activity.tx.into());
    windows.entries_within(watch, key, per).count() as u64 + u64::from(!counted)
}

/// Returns the values that could be new, as window entries. A value longer than an entry is represented by its hash.
fn novelty_entries(what: &Party, activity: &Activity) -> Vec<U256> {
    match what {
        Party::From => vec![as_amount(&activity.from)],
        Party::Origin => vec![as_amount(&activity.origin)],
        Party::To => activity.to.iter().map(as_amount).collect(),
        Party::Function => {
            let topic: Option<U256> = activity.deed.topic0.map(Into::into);
            let selector = activity.deed.selector.map(|selector| U256::from(u32::from_be_bytes(selector)));
            topic.or(selector).into_iter().collect()
        }
        Party::Arg(path) => {
            let mut values = Vec::new();
            path.visit_values(&activity.deed.args, &mut |value| {
                values.push(match value {
                    Value::Address(address) => as_amount(address),
                    Value::Uint(number) => *number,
                    other => {
                        let mut bytes = Vec::new();
                        append_canonical_value(other, &mut bytes);
                        keccak256(bytes).into()
                    }
                });
            });
            values
        }
    }
}

/// Encodes a value in full, each part with its length, so that different values of one type never have the same
/// encoding.
fn append_canonical_value(value: &Value, into: &mut Vec<u8>) {
    let mut part = |bytes: &[u8]| {
        into.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        into.extend_from_slice(bytes);
    };
    match value {
        Value::Address(address) => part(address.as_slice()),
        Value::Uint(number) => part(&number.to_be_bytes::<32>()),
        Value::Int(number) => part(&number.into_raw().to_be_bytes::<32>()),
        Value::Bool(truth) => part(&[u8::from(*truth)]),
        Value::FixedBytes(word, _) | Value::Hash(word) => part(word.as_slice()),
        Value::Bytes(bytes) | Value::String(bytes) => part(bytes),
        Value::Array(elements) => {
            part(&(elements.len() as u64).to_be_bytes());
            elements.iter().for_each(|element| append_canonical_value(element, into));
        }
        Value::Tuple(fields) => fields.iter().for_each(|field| append_canonical_value(&field.value, into)),
    }
}

/// Returns the name of the window that holds the last use for which the rule vouched.
pub(crate) fn pause_key(rule: &Rule) -> Arc<str> {
    format!("{}#pause", rule.name).into()
}

fn seen_key(rule: &Rule, label: &str) -> Arc<str> {
    format!("{LASTING}{label}:{}", rule.name).into()
}

fn used_key(rule: &Rule) -> Arc<str> {
    format!("{}#used", rule.name).into()
}

fn failed_key(rule: &Rule) -> Arc<str> {
    format!("{}#failed", rule.name).into()
}

fn tried_key(rule: &Rule) -> Arc<str> {
    format!("{}#tried", rule.name).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    fn spelled(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        append_canonical_value(value, &mut bytes);
        bytes
    }

    #[test]
    fn values_are_told_apart_to_their_last_byte() {
        let long = |last: u8| Value::Bytes(Bytes::from([vec![7; 100_000], vec![last]].concat()));
        assert_ne!(spelled(&long(1)), spelled(&long(2)));
        let list = |parts: &[&str]| {
            Value::Array(parts.iter().map(|part| Value::String(Bytes::copy_from_slice(part.as_bytes()))).collect())
        };
        assert_ne!(spelled(&list(&["ab", "c"])), spelled(&list(&["a", "bc"])));
        assert_ne!(spelled(&list(&["a"])), spelled(&list(&["a", ""])));
    }
}
