//! What should have been seen, found by brute force: every block of the node's chain as it stands, read whole, one after another.

use super::life;
use super::support::watched_proxy::{WatchedProxy, fold, plain, told};
use crate::support::stored::Stored;
use alloy_primitives::Address;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A block's hash and a transaction's.
type Place = (String, String);

/// How far what was seen is from what was there.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) expected: usize,
    pub(crate) missed: Vec<String>,
    pub(crate) phantom: Vec<String>,
    pub(crate) double: Vec<String>,
}

impl Difference {
    fn of(expected: &BTreeMap<String, usize>, seen: &BTreeMap<String, usize>) -> Self {
        let mut difference = Self { expected: expected.len(), ..Self::default() };
        for key in expected.keys().filter(|key| !seen.contains_key(*key)) {
            difference.missed.push(key.clone());
        }
        for (key, n) in seen {
            match expected.get(key) {
                None => difference.phantom.push(key.clone()),
                Some(right) if n > right => difference.double.push(key.clone()),
                Some(_) => {}
            }
        }
        difference
    }

    pub(crate) fn print(&self, what: &str) {
        let Self { expected, missed, phantom, double } = self;
        println!("  {what:<44} {expected:>6} {:>7} {:>8} {:>7}", missed.len(), phantom.len(), double.len());
        for (kind, keys) in [("missed", missed), ("phantom", phantom), ("double", double)] {
            keys.iter().take(5).for_each(|key| println!("    {kind}: {key}"));
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.missed.is_empty() && self.phantom.is_empty() && self.double.is_empty()
    }
}

/// The whole comparison, printed; panics where anything differs.
pub(crate) async fn compare(stage: &WatchedProxy, abnormal: &BTreeSet<String>) -> Stored {
    let (ours, [_, feed, _]) = stage.quiet_moment().await;
    let calm = stage.rescan().await;
    println!("\n  {:<44} {:>6} {:>7} {:>8} {:>7}", "", "there", "missed", "phantom", "double");
    let mut all = Vec::new();
    let mut compared = |what: &str, expected: BTreeMap<String, usize>, seen: BTreeMap<String, usize>| {
        let difference = Difference::of(&expected, &seen);
        difference.print(what);
        all.push(difference.is_none());
    };

    // By hand: what touches a watched address, without a word of the program's.
    let touched = touched(stage).await;
    let standing = |stored: &Stored| -> Vec<Value> {
        stored.activities.iter().filter(|(orphaned, _)| !orphaned).map(|(_, line)| plain(line)).collect()
    };
    let lines = standing(&ours);
    let places: BTreeSet<Place> = lines.iter().map(|line| (text(line, "block_hash"), text(line, "tx"))).collect();
    compared(
        "transactions that touch a watched address",
        count(touched.iter().map(place)),
        count(places.iter().map(place)),
    );
    // By the program itself, on a calm pass with a store of its own.
    let whole = |lines: &[Value]| count(lines.iter().map(Value::to_string));
    let right = standing(&calm);
    compared("verdicts that stand", whole(&right), whole(&lines));
    contrast(&right, &lines);
    let findings = |stored: &Stored| count(stored.standing().map(|(id, f)| format!("{id} in {}", f["anchor"]["hash"])));
    compared("findings that stand", findings(&calm), findings(&ours));
    let txs = ours.standing().map(|(_, finding)| text(finding, "tx")).collect::<BTreeSet<_>>();
    compared("abnormal transactions, reckoned by hand", count(abnormal.iter().cloned()), count(txs.into_iter()));

    // What a receiver believes, having heard triggers and retractions over HTTP.
    let heard = told(feed, &ours, "feed");
    let revisions = heard.iter().filter(|line| line["finding_id"].is_string());
    let twice = count(revisions.map(|line| format!("{} {}", text(line, "finding_id"), line["revision"])));
    let once: BTreeMap<String, usize> = twice.keys().map(|key| (key.clone(), 1)).collect();
    compared("revisions of findings, each told once", once, twice);
    let believed: BTreeSet<String> = fold(&heard).into_keys().collect();
    let real: BTreeSet<String> = calm.standing().map(|(id, _)| id.clone()).collect();
    compared("findings that a receiver believes to stand", count(real.into_iter()), count(believed.into_iter()));
    assert!(
        all.iter().all(|same| *same),
        "what was seen is not what was there; the log is {:?}",
        stage.watch.path("log.txt")
    );
    stage.check(abnormal).await;
    ours
}

/// Every transaction of the canonical chain that is sent by a watched account, calls a watched address, or has one log, with the
/// block it is in.
async fn touched(stage: &WatchedProxy) -> BTreeSet<Place> {
    let watched = life::watched(stage);
    let is_watched =
        |value: &Value| serde_json::from_value::<Address>(value.clone()).is_ok_and(|a| watched.contains(&a));
    // A contract's own doing shows by its logs; whoever sends a transaction is an account.
    let mut touched = BTreeSet::new();
    for number in stage.first..=stage.anvil.block_number().await {
        let block = stage.anvil.whole_block(number).await;
        let hash = text(&block, "hash");
        let receipts = stage.anvil.rpc("eth_getBlockReceipts", serde_json::json!([hash])).await;
        for (tx, receipt) in
            block["transactions"].as_array().expect("a list").iter().zip(receipts.as_array().expect("a list"))
        {
            let named =
                |log: &Value| log["topics"].as_array().is_some_and(|topics| topics.iter().any(|t| names(t, &watched)));
            let logs = receipt["logs"].as_array().expect("a list");
            let by_log = logs.iter().any(|log| is_watched(&log["address"]) || named(log));
            if is_watched(&tx["from"]) || is_watched(&tx["to"]) || by_log {
                touched.insert((hash.clone(), text(tx, "hash")));
            }
        }
    }
    touched
}

/// Whether an indexed argument is a watched address, as in a token's `Transfer`.
fn names(topic: &Value, watched: &BTreeSet<Address>) -> bool {
    let Some(word) = topic.as_str().and_then(|word| word.strip_prefix("0x000000000000000000000000")) else {
        return false;
    };
    word.parse::<Address>().is_ok_and(|address| watched.contains(&address))
}

/// Prints how verdicts differ that are about the same activity.
fn contrast(right: &[Value], ours: &[Value]) {
    let same = |a: &Value, b: &Value| ["block_hash", "tx", "position", "address"].iter().all(|key| a[key] == b[key]);
    let fields = |line: &Value| line.as_object().cloned().unwrap_or_default();
    let mut shown = BTreeSet::new();
    for line in right {
        let Some(other) = ours.iter().find(|other| same(line, other)) else { continue };
        for (field, value) in fields(line).iter().filter(|(field, value)| other[field.as_str()] != **value) {
            shown.insert(format!("    `{field}` is {value}, and ours is {}", other[field]));
        }
    }
    shown.iter().take(10).for_each(|line| println!("{line}"));
}

fn place((block, tx): &Place) -> String {
    format!("{tx} in {block}")
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("?").to_owned()
}

fn count(keys: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    keys.fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}
