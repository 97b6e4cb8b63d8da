//! Property over any order of blocks, reorgs, responses and pauses: the findings that were reported and not taken back
//! are those that stand.

use crate::escalate::fixtures::*;
use crate::escalate::{acknowledge_incident, resolve_incident};
use crate::model::incident::{Body, DeliveryKind, Incident};
use crate::model::incident_state::State;
use crate::model::record::Line;
use crate::model::{BlockRef, Judged, JudgedBlock, Severity};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Event {
    /// Takes away so many blocks and appends these, each a set of transactions.
    Step {
        depth: usize,
        blocks: Vec<Vec<u32>>,
    },
    Acknowledge(usize),
    Resolve(usize),
    Tick(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let txs = proptest::collection::vec(0..12u32, 0..4);
    let event = prop_oneof![
        6 => (0..4usize, proptest::collection::vec(txs, 1..4)).prop_map(|(depth, blocks)| Event::Step { depth, blocks }),
        1 => (0..4usize).prop_map(Event::Acknowledge),
        1 => (0..4usize).prop_map(Event::Resolve),
        1 => (0..4_000_000u64).prop_map(Event::Tick),
    ];
    proptest::collection::vec(event, 1..24)
}

/// Returns the activities of transaction `n`: of one watch or two, normal or not, and sometimes worse in one fork than
/// in another.
fn judged(n: u32, fork: u8) -> Vec<Judged> {
    let first = snt_transfer(n % 4, n, &[0], 1);
    let severity = if n == 5 && fork % 2 == 1 { Severity::Critical } else { Severity::ALL[n as usize % 4] };
    match n % 5 {
        0 => vec![judged_normal(first)],
        1 => {
            vec![
                judged_abnormal(snt_transfer((n + 1) % 4, n, &[0, 1], 1), "inner", severity),
                judged_abnormal(first, "outer", Severity::High),
            ]
        }
        _ => vec![judged_abnormal(first, "builtin/unvouched", severity)],
    }
}

/// Returns the current chain and its findings, from a scan without incidents.
fn scan(chain: &[JudgedBlock]) -> BTreeMap<String, BlockRef> {
    let ids = chain.iter().flat_map(|block| block.judged.iter().map(move |judged| (block, judged)));
    ids.filter_map(|(block, judged)| {
        let id = judged.finding_id(block.chain, numbered_address(judged.activity.watch.0))?;
        Some((id.to_string(), block.anchor.block()?))
    })
    .collect()
}

fn check(events: Vec<Event>) {
    let mut kept = Kept::new();
    let mut chain: Vec<JudgedBlock> = Vec::new();
    let mut now = T;
    let mut told_of: BTreeMap<String, (u32, Option<String>)> = BTreeMap::new();
    for (turn, event) in events.into_iter().enumerate() {
        now += 1000;
        let fork = u8::try_from(turn).unwrap();
        let plan = match event {
            Event::Step { depth, blocks } => {
                let keep = chain.len().saturating_sub(depth);
                let gone: Vec<BlockRef> = chain.drain(keep..).filter_map(|block| block.anchor.block()).collect();
                let fresh = blocks.into_iter().map(|txs| {
                    // A chain contains a transaction only once.
                    let on_chain: BTreeSet<_> = chain.iter().flat_map(|b| &b.judged).map(|j| j.activity.tx).collect();
                    let txs: BTreeSet<u32> =
                        txs.into_iter().filter(|n| !on_chain.contains(&numbered_tx_hash(*n))).collect();
                    let parent = chain.last().and_then(|block| block.anchor.block()).unwrap_or(block_ref(0, 0));
                    let judged = txs.into_iter().flat_map(|n| judged(n, fork)).collect();
                    chain.push(judged_block(block_ref(parent.number + 1, fork + 1), parent, judged));
                    chain[chain.len() - 1].clone()
                });
                let fresh: Vec<JudgedBlock> = fresh.collect();
                kept.commit_step(&gone, &fresh, now)
            }
            Event::Tick(ms) => {
                now += ms;
                kept.advance_timers(now)
            }
            Event::Acknowledge(which) | Event::Resolve(which) => {
                let Some(incident) = kept.incidents.values().nth(which).cloned() else { continue };
                let answer = match event {
                    Event::Resolve(_) => resolve_incident(&incident, "somebody", now),
                    _ => acknowledge_incident(&incident, "somebody", now),
                };
                let Ok(plan) = answer else { continue };
                kept.apply_change_set(&plan);
                plan
            }
        };
        // A reader of the feed keeps the highest revision of each finding.
        for delivery in plan.deliveries.iter().filter(|d| d.kind == DeliveryKind::Feed && d.destination == "findings") {
            let Body::Line(line) = &delivery.body else { panic!("a line") };
            let (id, revision, block) = match &**line {
                Line::Verdict(v) => (v.finding_id.clone().unwrap(), v.revision, v.block_hash.clone()),
                Line::Retraction(r) => (r.finding_id.clone(), r.revision, None),
                other => panic!("{other:?} in the feed"),
            };
            let before = told_of.insert(id, (revision, block));
            assert_eq!(before.map_or(0, |(revision, _)| revision) + 1, revision, "revisions grow by one");
        }
        holds(&kept);
    }
    let reported: BTreeMap<String, String> =
        told_of.into_iter().filter_map(|(id, (_, block))| Some((id, block?))).collect();
    let stands: BTreeMap<String, String> =
        scan(&chain).into_iter().map(|(id, at)| (id, format!("{:#x}", at.hash))).collect();
    assert_eq!(reported, stands, "reported and not retracted");
    let kept: BTreeMap<String, String> = kept
        .findings
        .values()
        .filter(|finding| !finding.orphaned)
        .map(|finding| (finding.id.to_string(), finding.anchor.block_hash().unwrap()))
        .collect();
    assert_eq!(kept, stands, "kept");
}

/// Asserts the invariants that hold after every event.
fn holds(kept: &Kept) {
    // The line of a verdict without identity may repeat, and is sent once.
    let anonymous =
        |body: &Body| matches!(body, Body::Line(line) if matches!(&**line, Line::Verdict(v) if v.finding_id.is_none()));
    let messages: Vec<_> = kept.outbox.iter().filter(|delivery| !anonymous(&delivery.body)).collect();
    let keys: BTreeSet<_> = messages.iter().map(|delivery| &delivery.key).collect();
    assert_eq!(keys.len(), messages.len(), "no two messages share a key");
    for incident in kept.incidents.values() {
        if incident.origin.storm().is_some() {
            continue;
        }
        let own: Vec<_> = kept.findings.values().filter(|finding| finding.incident == incident.id).collect();
        let standing = own.iter().filter(|finding| !finding.orphaned).count() as u64;
        assert_eq!(incident.standing, standing, "standing of {}", incident.label);
        assert!(incident.standing > 0 || !incident.state.is_live(), "an incident without evidence closes");
        let pages = incident.state.kind() == State::Open && incident.paging;
        assert_eq!(incident.state.next_escalation().is_some(), pages, "only what pages escalates");
        assert_eq!(incident.state.acknowledgement_expires().is_some(), incident.state.kind() == State::Acknowledged);
    }
    for finding in kept.findings.values().filter(|f| !f.orphaned && !f.observe && f.severity >= Severity::High) {
        let incident = &kept.incidents[&finding.incident];
        let in_storm = |storm: &Incident| {
            storm.origin.storm().is_some_and(|storm| storm.held.iter().any(|held| held.incident == incident.id))
        };
        let somebody = !incident.told.is_empty() || kept.incidents.values().any(in_storm);
        assert!(somebody, "somebody was told of {}", finding.headline);
        assert_eq!(incident.state.close_reason(), None, "what stands is not closed by a reorg");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_reported_and_not_taken_back_is_what_stands_on_the_final_chain(events in events()) {
        check(events);
    }
}
