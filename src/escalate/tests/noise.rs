//! Daily noise beside findings that count.

use crate::escalate::fixtures::*;
use crate::model::incident::Body;
use crate::model::incident_state::State;
use crate::model::page::EVIDENCE_MAX;
use crate::model::value::Value;
use crate::model::verdict::POISONING;
use crate::model::{Activity, ActivityKind, Judged, JudgedBlock, Position, Severity};
use alloy_primitives::U256;

/// Returns a transfer of zero by log `ordinal` of transaction `n`, out of `watch`.
fn nothing(watch: u32, n: u32, ordinal: u32) -> Activity {
    let mut activity = snt_transfer(watch, n, &[0], 0);
    activity.kind = ActivityKind::Move;
    activity.position = Position::Log(ordinal);
    (activity.from, activity.to) = (numbered_address(watch), Some(numbered_address(77)));
    let args = [numbered_address(TOKEN), numbered_address(watch), numbered_address(77)].map(Value::Address);
    activity.deed.args =
        ["token", "from", "to"].into_iter().zip(args).map(|(name, value)| untyped_argument(name, value)).collect();
    activity.deed.args.push(untyped_argument("amount", Value::Uint(U256::ZERO)));
    activity
}

fn noise(n: u32, ordinal: u32) -> Judged {
    judged_abnormal(nothing(TREASURY, n, ordinal), POISONING, Severity::Info)
}

/// Returns a state whose path pages for every severity.
fn eager() -> Kept {
    let mut kept = Kept::new();
    kept.roster.paths.get_mut("treasury").unwrap().page_at = Severity::Info;
    kept
}

/// Block `number` of fork 0, which comes `days` after the others.
fn later(number: u64, days: u64, judged: Vec<Judged>) -> JudgedBlock {
    let block = judged_block(block_ref(number, 0), block_ref(number - 1, 0), judged);
    JudgedBlock { time: block.time + days * 86_400, ..block }
}

#[test]
fn noise_pages_nobody_and_is_told_of_once_when_its_day_is_over() {
    let mut kept = eager();
    for number in 1..=3 {
        let plan = kept.commit_block(number, vec![noise(number as u32, 0), noise(number as u32, 1)], T);
        assert_eq!(notified_recipients(&plan), "", "block {number}");
    }
    let incident = kept.only_incident().clone();
    assert_eq!((incident.state.kind(), incident.findings, incident.severity), (State::Open, 6, Severity::Info));
    assert_eq!(
        (incident.marked.as_deref(), incident.paging, incident.state.next_escalation()),
        (Some("NOISE"), false, None)
    );

    let plan = kept.commit_step(&[], &[later(4, 1, vec![])], T + 86_400_000);
    assert_eq!(notified_recipients(&plan), "resolve chat");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    let change = "Noise of 2026-11-20: Treasury Safe was named 6 times, and nothing of it was its own doing";
    assert_eq!(page.change.as_deref(), Some(change));
    assert_eq!((page.report.clone(), page.evidence.len()), (vec!["6 transfers of nothing".to_owned()], 6));
    assert_eq!(kept.only_incident().state.close_reason(), Some("the day is over"));

    // The summary is sent once.
    assert_eq!(notified_recipients(&kept.commit_step(&[], &[later(5, 2, vec![])], T + 2 * 86_400_000)), "");
    let plan = kept.commit_step(&[], &[later(6, 2, vec![noise(9, 0)])], T + 2 * 86_400_000);
    assert_eq!((notified_recipients(&plan).as_str(), kept.incidents.len()), ("", 2));
}

#[test]
fn a_drain_among_thousands_of_lines_of_noise_pages_once_at_its_own_severity() {
    let mut kept = eager();
    // Some of the noise is in the same transaction as the drain.
    let many = |from: u32| (from..from + 2_500).map(|n| noise(if n % 5 == 0 { 1 } else { n + 10 }, n));
    let drain = treasury_finding(1, Severity::Critical);
    let judged: Vec<Judged> = many(0).chain([drain]).chain(many(2_500)).collect();
    let plan = kept.commit_block(1, judged, T);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    assert_eq!(plan.findings.len(), 5_001, "nothing is dropped");
    let (noise, real): (Vec<_>, Vec<_>) =
        kept.incidents.values().partition(|incident| incident.origin.noise().is_some());
    let [noise] = noise[..] else { panic!("one incident of noise") };
    let [real] = real[..] else { panic!("one incident of what counts") };
    assert_eq!((noise.findings, noise.page.evidence.len()), (5_000, EVIDENCE_MAX));
    assert_eq!((real.findings, real.severity, real.page.more), (1, Severity::Critical, 0));
    assert!(real.page.evidence.iter().all(|evidence| evidence.rule != POISONING));

    // More noise adds nothing to what is paged, and the end of the day does not close it.
    assert_eq!(notified_recipients(&kept.commit_block(2, vec![self::noise(77, 0)], T)), "");
    assert_eq!(notified_recipients(&kept.commit_step(&[], &[later(3, 1, vec![])], T)), "resolve chat");
    let open = kept.incidents.values().filter(|incident| incident.state.is_live()).count();
    assert_eq!(open, 1);
}

#[test]
fn noise_that_a_reorg_takes_away_is_told_to_nobody() {
    let mut kept = eager();
    kept.commit_block(1, vec![noise(1, 0)], T);
    let plan = kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    assert_eq!((notified_recipients(&plan).as_str(), kept.only_incident().state.kind()), ("", State::FalseAlarm));
    assert_eq!(notified_recipients(&kept.commit_step(&[], &[later(2, 1, vec![])], T)), "");
}

#[test]
fn what_was_noise_and_turns_out_to_be_more_leaves_the_noise_and_is_told() {
    let mut kept = eager();
    kept.commit_block(1, vec![noise(1, 0)], T);
    let louder = judged_abnormal(nothing(TREASURY, 1, 0), POISONING, Severity::Warning);
    let plan = kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![louder])], T);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let live: Vec<_> = kept.incidents.values().filter(|incident| incident.origin.noise().is_none()).collect();
    assert_eq!((live.len(), live[0].standing), (1, 1));
}

#[test]
fn an_observed_watch_makes_no_summary() {
    let mut kept = eager();
    kept.commit_block(1, vec![judged_abnormal(nothing(OBSERVED, 1, 0), POISONING, Severity::Info)], T);
    assert_eq!(notified_recipients(&kept.commit_step(&[], &[later(2, 1, vec![])], T)), "");
    assert_eq!(kept.only_incident().state.kind(), State::Resolved);
}
