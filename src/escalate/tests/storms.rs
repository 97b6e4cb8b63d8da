//! More findings or more failing destinations than the paging limit allows.

use crate::escalate::fixtures::*;
use crate::escalate::{PAGES_MAX, WINDOW_MS, acknowledge_incident, dead_letter};
use crate::model::incident::{ChangeSet, Delivery, DeliveryKind, Incident};
use crate::model::incident_state::State;
use crate::model::path::{Path, PathStep};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Judged, Severity};
use std::collections::BTreeSet;

/// Returns a call of the treasury in transaction `n` by a stranger that differs each time.
fn rotating(n: u32) -> Judged {
    let mut call = snt_transfer(TREASURY, n, &[], 0);
    (call.kind, call.from, call.origin) = (ActivityKind::Call, numbered_address(1000 + n), numbered_address(1000 + n));
    call.to = Some(numbered_address(TREASURY));
    judged_abnormal(call, "builtin/unvouched", Severity::High)
}

fn own(n: u32, severity: Severity) -> Judged {
    let mut act = snt_transfer(TREASURY, n, &[0], 60_000);
    act.deed.args[0] = untyped_argument("to", Value::Address(numbered_address(5000 + n)));
    judged_abnormal(act, "builtin/unvouched", severity)
}

/// Returns the number of incidents that this plan pages for.
fn paged(plan: &ChangeSet) -> usize {
    let triggers = plan.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::Trigger);
    triggers.filter_map(|delivery| delivery.incident.clone()).collect::<BTreeSet<_>>().len()
}

fn storm(kept: &Kept) -> &Incident {
    kept.incidents.values().find(|incident| incident.origin.storm().is_some()).expect("a storm")
}

/// A storm of 20 blocks in 20 seconds.
fn stormy() -> (Kept, usize) {
    let mut kept = Kept::new();
    let pages =
        (0..20).map(|n| paged(&kept.commit_block(u64::from(n) + 1, vec![rotating(n)], T + u64::from(n) * 1000))).sum();
    (kept, pages)
}

#[test]
fn ten_thousand_findings_in_a_minute_are_twelve_pages_and_one_storm_that_lists_the_rest() {
    let mut kept = Kept::new();
    let mut pages = 0;
    for block in 0..50u32 {
        let judged = (block * 200..(block + 1) * 200).map(rotating).collect();
        pages += paged(&kept.commit_block(u64::from(block) + 1, judged, T + u64::from(block) * 1000));
    }
    assert_eq!(pages, PAGES_MAX + 1, "and the storm's own");
    assert_eq!(kept.findings.len(), 10_000, "nothing is lost");
    let incident = storm(&kept);
    let held = incident.origin.storm().unwrap();
    assert_eq!((held.findings, held.held.len(), incident.path.name.as_str()), (38 * 200, 1, "treasury"));
    assert!(
        incident.page.headline.starts_with("Path treasury reached 12 pages in a minute: 7600 findings of 1 incident")
    );
    assert!(
        incident.page.report[0].starts_with("high: Treasury Safe, 7600 findings, the last: "),
        "{:?}",
        incident.page.report
    );
    assert_eq!(kept.incidents.len(), 2);
}

#[test]
fn a_storm_escalates_until_somebody_acknowledges_it_and_then_pages_for_what_is_held_back_after() {
    let (mut kept, pages) = stormy();
    assert_eq!(pages, 13);
    assert!(
        notified_recipients(&kept.advance_timers(T + 312_000)).contains("trigger phone"),
        "both incidents escalate"
    );
    let id = storm(&kept).id.clone();
    let steps = |kept: &mut Kept, now| {
        kept.advance_timers(now)
            .deliveries
            .iter()
            .filter(|d| d.incident.as_ref() == Some(&id) && d.kind == DeliveryKind::Trigger)
            .count()
    };
    assert!(steps(&mut kept, T + 1_000_000) > 0, "as long as nobody does");
    assert!(steps(&mut kept, T + 2_000_000) > 0, "the last step again");
    // Pages held back after the acknowledgement, before ten calm minutes end the storm.
    let (mut kept, _) = stormy();
    let plan = acknowledge_incident(storm(&kept), "on-call", T + 30_000).unwrap();
    kept.apply_change_set(&plan);
    assert_eq!(storm(&kept).state.next_escalation(), None, "it rests");
    let mut now = T + 100_000;
    let again: Vec<String> = (100..120)
        .map(|n| {
            now += 1000;
            notified_recipients(&kept.commit_block(u64::from(n), vec![rotating(n)], now))
        })
        .collect();
    assert!(again[12].ends_with(", trigger pager"), "the storm pages anew, from the first step: {again:?}");
    assert_eq!(storm(&kept).state.kind(), State::Open);
    assert!(again[13..].iter().all(|told| !told.contains("trigger")), "once a minute at most: {again:?}");
    // Earlier recipients are notified of the rest within the minute.
    assert!(notified_recipients(&kept.advance_timers(now + WINDOW_MS)).contains("update pager"));
}

#[test]
fn a_storm_that_somebody_took_ends_by_itself() {
    let (mut kept, _) = stormy();
    kept.advance_timers(T + WINDOW_MS + 20_000);
    let plan = acknowledge_incident(storm(&kept), "on-call", T + 90_000).unwrap();
    kept.apply_change_set(&plan);
    kept.advance_timers(T + 600_000);
    assert_eq!(storm(&kept).state.kind(), State::Acknowledged);
    assert!(notified_recipients(&kept.advance_timers(T + 700_000)).contains("resolve pager"));
    assert_eq!(storm(&kept).state.kind(), State::Resolved);
}

#[test]
fn a_storm_holds_back_neither_what_is_louder_nor_the_subject_s_own_first_act() {
    let (mut kept, _) = stormy();
    assert_eq!(
        notified_recipients(&kept.commit_block(30, vec![rotating(30)], T + 20_000)),
        "update pager",
        "held back"
    );
    let plan = kept.commit_block(31, vec![own(31, Severity::High)], T + 21_000);
    assert_eq!(notified_recipients(&plan), "trigger pager", "the owners' keys");
    assert_eq!(
        notified_recipients(&kept.commit_block(32, vec![own(32, Severity::High)], T + 22_000)),
        "trigger pager",
        "and the next"
    );
    assert_eq!(
        notified_recipients(&kept.commit_block(33, vec![own(33, Severity::Critical)], T + 23_000)),
        "trigger pager",
        "louder"
    );
    // An act of another watch on the same path is that watch's first act.
    let mut child = snt_transfer(CHILD, 34, &[0], 5);
    child.origin = numbered_address(50);
    let child = judged_abnormal(child, "builtin/unvouched", Severity::High);
    assert_eq!(notified_recipients(&kept.commit_block(34, vec![child], T + 24_000)), "trigger pager");
    // A stranger's act at that watch is not.
    let mut stranger = snt_transfer(OBSERVED, 35, &[], 5);
    (stranger.kind, stranger.from) = (ActivityKind::Call, numbered_address(50));
    let watches: Vec<_> =
        kept.roster.watches.iter().map(|w| crate::model::WatchInfo { observe: false, ..w.clone() }).collect();
    kept.roster.watches = watches.into();
    let plan = kept.commit_block(35, vec![judged_abnormal(stranger, "builtin/unvouched", Severity::High)], T + 25_000);
    assert_eq!(notified_recipients(&plan), "");
    let held = &storm(&kept).origin.storm().unwrap().held;
    assert!(held.iter().any(|held| held.label == "New Safe"), "{held:?}");
}

#[test]
fn escalations_that_find_no_room_wait_for_it_and_stand_in_the_storm() {
    let mut kept = Kept::new();
    let address_of = |n: u32| numbered_address(7000 + n);
    let watch = kept.roster.watches[0].clone();
    let watches = (0..40u32).map(|n| crate::model::WatchInfo {
        id: crate::model::WatchId(n),
        label: format!("Safe {n}").into(),
        address: if n < 4 { numbered_address(n) } else { address_of(n) },
        ..watch.clone()
    });
    kept.roster.watches = watches.collect();
    // Each acts for itself, so that all forty page.
    let act = |n: u32| {
        judged_abnormal(
            Activity { from: address_of(n), ..snt_transfer(n, n, &[0], 1) },
            "builtin/unvouched",
            Severity::High,
        )
    };
    let pages: usize =
        (0..40).map(|n| paged(&kept.commit_block(u64::from(n) + 1, vec![act(n)], T + u64::from(n)))).sum();
    assert_eq!(pages, 40, "the first act of each");
    let plan = kept.advance_timers(T + 300_050);
    assert_eq!(paged(&plan), PAGES_MAX + 1, "and the storm");
    let mut escalated = paged(&plan) - 1;
    for minute in 1..10 {
        escalated += paged(&kept.advance_timers(T + 300_050 + minute * WINDOW_MS));
    }
    assert!(escalated >= 40, "none is forgotten: {escalated}");
}

#[test]
fn fifteen_of_twenty_seven_destinations_that_fail_are_one_incident_for_each_cause() {
    let mut kept = Kept::new();
    let names: Vec<String> = (0..27).map(|n| format!("d{n}")).collect();
    let path = Path {
        steps: vec![PathStep { to: names, ack_within: 300 }],
        notify: vec![],
        ..kept.roster.paths["treasury"].clone()
    };
    kept.roster.paths.insert("treasury".into(), path);
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let error = |name: &str| match name {
        "d0" | "d1" | "d2" | "d3" | "d4" => "answered 410, gone for good".to_owned(),
        name => format!("given up after {} attempts, the last of which answered 500: oops of {name}", name.len()),
    };
    let dead: BTreeSet<String> = (0..15).map(|n| format!("d{n}")).collect();
    let mut pages = 0;
    let mut buried = 0;
    while let Some(letter) = kept.outbox.iter().find(|d| dead.contains(&d.destination)).cloned() {
        kept.outbox.retain(|other: &Delivery| other.key != letter.key);
        let plan = dead_letter(&letter, &error(&letter.destination), &kept.open_state(), &kept.roster, T);
        pages += paged(&plan);
        kept.keep_at(&plan, T);
        buried += 1;
        assert!(buried < 1000, "it comes to an end");
    }
    assert_eq!(kept.incidents.len(), 3, "the finding, and one for each of two causes");
    assert!(pages <= PAGES_MAX, "{pages}");
    let failed: BTreeSet<&String> = kept
        .incidents
        .values()
        .filter_map(|i| i.origin.delivery_failure())
        .flat_map(|failed| &failed.destinations)
        .collect();
    assert_eq!(failed.len(), 15, "each is named");
    // All working destinations were notified of both.
    for incident in kept.incidents.values().filter(|incident| incident.origin.delivery_failure().is_some()) {
        let alive = (15..27).map(|n| format!("d{n}"));
        assert!(alive.clone().all(|name| incident.told.contains(&name)), "{:?}", incident.told);
        assert!(
            !incident
                .path
                .steps
                .iter()
                .flat_map(|step| &step.to)
                .any(|to| dead.contains(to) && incident.origin.delivery_failure().unwrap().destinations.contains(to))
        );
    }
}

#[test]
fn a_destination_of_another_path_that_fails_alike_pages_that_path_s_people() {
    let mut kept = Kept::new();
    let first = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    let token = judged_abnormal(snt_transfer(TOKEN, 2, &[0], 1), "builtin/unvouched", Severity::High);
    kept.roster.paths.get_mut("token").unwrap().steps.push(PathStep { to: vec!["token-lead".into()], ack_within: 60 });
    let second = kept.commit_block(2, vec![token], T).deliveries[0].clone();
    let mut bury = |letter: &Delivery| {
        let plan = dead_letter(letter, "answered 410, gone for good", &kept.open_state(), &kept.roster, T);
        kept.keep_at(&plan, T);
        notified_recipients(&plan)
    };
    assert_eq!(bury(&first), "trigger phone");
    assert_eq!(second.destination, "token-pager");
    assert_eq!(bury(&second), "trigger token-lead, update phone");
    assert_eq!(bury(&second), "");
}
