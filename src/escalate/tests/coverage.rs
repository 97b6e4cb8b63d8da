//! Coverage of an acknowledgement: what was on the page, and nothing else.

use crate::escalate::fixtures::*;
use crate::escalate::{OWN_PAGES_MAX, PAGES_MAX, STORM, WINDOW_MS, acknowledge_incident};
use crate::model::activity::Note;
use crate::model::coverage::SHOWN_MAX;
use crate::model::incident::{ChangeSet, DeliveryKind, Incident};
use crate::model::incident_state::State;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Judged, Operation, Severity, Stage};
use alloy_primitives::U256;
use proptest::prelude::*;

/// Returns an act of the treasury that a responder acknowledged.
pub(super) fn acknowledged(first: Judged) -> Kept {
    let mut kept = Kept::new();
    assert!(notified_recipients(&kept.commit_block(1, vec![first], T)).starts_with("trigger pager"));
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    kept
}

pub(super) fn high(activity: Activity) -> Judged {
    judged_abnormal(activity, "builtin/unvouched", Severity::High)
}

/// A payment by the treasury, in transaction `n`.
pub(super) fn payment(n: u32) -> Activity {
    let mut payment = snt_transfer(TREASURY, n, &[0], 60_000);
    payment.signers = Some(vec![numbered_address(51), numbered_address(52)]);
    payment
}

/// Returns a stranger's call to the treasury with bytes that no ABI explains.
fn prank(n: u32, from: u32) -> Activity {
    let mut prank = snt_transfer(TREASURY, n, &[], 0);
    (prank.kind, prank.from, prank.origin) = (ActivityKind::Call, numbered_address(from), numbered_address(from));
    (prank.to, prank.deed.args) = (Some(numbered_address(TREASURY)), vec![]);
    (prank.deed.name, prank.deed.signature) = ("0xdeadbeef".into(), "0xdeadbeef".into());
    prank.deed.decoding = Decoding::Opaque("no function has this selector".into());
    prank
}

fn whole(amount: u64) -> Value {
    Value::Uint(U256::from(amount) * U256::from(10).pow(U256::from(18)))
}

#[test]
fn whatever_differs_from_what_a_page_showed_pages_anew_although_somebody_acknowledged() {
    type Edit = fn(&mut Activity);
    let cases: &[(&str, Edit)] = &[
        ("another sender", |a| a.origin = numbered_address(77)),
        ("other signers", |a| a.signers = Some(vec![numbered_address(51), numbered_address(53)])),
        ("signers that are unknown", |a| a.signers = None),
        ("through a module", |a| a.notes.push(Note::Module(numbered_address(60)))),
        ("another function", |a| a.deed.signature = "approve(address,uint256)".into()),
        ("another contract", |a| a.to = Some(numbered_address(88))),
        ("by delegatecall", |a| a.operation = Operation::Delegatecall),
        ("another counterparty", |a| a.deed.args[0] = untyped_argument("to", Value::Address(numbered_address(98)))),
        ("a larger sum", |a| a.deed.args[1] = untyped_argument("amount", whole(60_001))),
        ("ether along with it", |a| a.value = U256::from(1)),
        ("a call that nobody can read", |a| a.deed.decoding = Decoding::Opaque("no such selector".into())),
        ("another way to touch it", |a| a.kind = ActivityKind::Call),
    ];
    for (name, edit) in cases {
        let mut kept = acknowledged(high(payment(1)));
        let mut other = payment(2);
        edit(&mut other);
        assert_eq!(
            notified_recipients(&kept.commit_block(2, vec![high(other)], T + 60_000)),
            "trigger pager",
            "{name}"
        );
        assert_eq!((kept.only_incident().state.kind(), kept.only_incident().cycle), (State::Open, 1), "{name}");
    }
}

#[test]
fn more_of_the_same_is_an_update_to_whoever_acknowledged() {
    type Edit = fn(&mut Activity);
    let cases: &[(&str, Edit)] = &[
        ("the same again", |_| {}),
        ("a smaller sum", |a| a.deed.args[1] = untyped_argument("amount", whole(59_999))),
        ("that failed this time", |a| a.fate = Fate::Reverted),
        ("signers in another order", |a| a.signers = Some(vec![numbered_address(52), numbered_address(51)])),
    ];
    for (name, edit) in cases {
        let mut kept = acknowledged(high(payment(1)));
        let mut other = payment(2);
        edit(&mut other);
        assert_eq!(notified_recipients(&kept.commit_block(2, vec![high(other)], T + 60_000)), "update pager", "{name}");
        assert_eq!(kept.only_incident().state.kind(), State::Acknowledged, "{name}");
    }
}

/// Returns a payment of this amount.
fn pays(n: u32, amount: u64) -> Judged {
    let mut payment = payment(n);
    payment.deed.args[1] = untyped_argument("amount", whole(amount));
    high(payment)
}

#[test]
fn payments_after_an_acknowledgement_add_up() {
    let mut kept = acknowledged(pays(1, 10));
    let pay = |kept: &mut Kept, n: u32, amounts: &[u64]| {
        let judged = (n..).zip(amounts).map(|(n, amount)| pays(n, *amount)).collect();
        notified_recipients(&kept.commit_block(n.into(), judged, T + u64::from(n) * WINDOW_MS))
    };
    assert_eq!(pay(&mut kept, 10, &[4]), "update pager");
    assert_eq!(pay(&mut kept, 20, &[6]), "update pager", "as much as the page showed");
    assert_eq!(pay(&mut kept, 30, &[1]), "trigger pager", "and one more");
    // Before an acknowledgement, later findings are on the page that the responder will see.
    assert_eq!(pay(&mut kept, 40, &[10]), "update pager");
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T + 45 * WINDOW_MS));
    assert_eq!(pay(&mut kept, 50, &[5, 5]), "update pager");
    assert_eq!(pay(&mut kept, 60, &[1, 1]), "trigger pager");
    // The same applies within one step.
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T + 65 * WINDOW_MS));
    assert_eq!(pay(&mut kept, 70, &[5, 6]), "trigger pager");
    // Calls by strangers cost the subject nothing, however many there are.
    let mut kept = acknowledged(high(Activity { kind: ActivityKind::Call, ..payment(1) }));
    for n in 2..6 {
        let call = high(Activity { kind: ActivityKind::Call, ..payment(n) });
        assert_eq!(
            notified_recipients(&kept.commit_block(n.into(), vec![call], T + u64::from(n) * WINDOW_MS)),
            "update pager"
        );
    }
}

#[test]
fn each_later_stage_of_an_act_pages_anew() {
    let mut kept = Kept::new();
    let stages = [
        (Stage::Reverted, Fate::Reverted),
        (Stage::Proposed, Fate::Waiting),
        (Stage::Included, Fate::Unconfirmed),
        (Stage::Included, Fate::Executed),
    ];
    for (n, (stage, fate)) in (1..).zip(stages) {
        let act = Activity { stage, fate, ..payment(n) };
        assert_eq!(
            notified_recipients(&kept.commit_block(n.into(), vec![high(act)], T)),
            "trigger pager",
            "{stage:?} {fate:?}"
        );
        kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    }
}

#[test]
fn a_stranger_s_bytes_do_not_cover_the_same_bytes_of_the_owners() {
    let mut kept = acknowledged(high(prank(1, 66)));
    assert_eq!(
        notified_recipients(&kept.commit_block(2, vec![high(prank(2, 66))], T)),
        "update pager",
        "he does it again"
    );
    let mut theirs = prank(3, 66);
    (theirs.kind, theirs.from, theirs.to) = (ActivityKind::Act, numbered_address(TREASURY), Some(numbered_address(90)));
    theirs.value = U256::from(60);
    assert_eq!(notified_recipients(&kept.commit_block(3, vec![high(theirs.clone())], T)), "trigger pager");
    // Unreadable acts are never considered equal.
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    theirs.tx = numbered_tx_hash(4);
    assert_eq!(notified_recipients(&kept.commit_block(4, vec![high(theirs)], T)), "trigger pager");
}

#[test]
fn what_a_page_had_no_room_for_is_covered_by_nobody_s_word() {
    let mut kept = Kept::new();
    let payees = |range: std::ops::Range<u32>| -> Vec<Judged> {
        let payee = |n: u32| {
            let mut payment = payment(n);
            payment.deed.args[0] = untyped_argument("to", Value::Address(numbered_address(1000 + n % 40)));
            high(payment)
        };
        range.map(payee).collect()
    };
    assert_eq!(notified_recipients(&kept.commit_block(1, payees(0..40), T)), "trigger pager");
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    assert_eq!(kept.only_incident().coverage.shown.len(), 10, "as many as the page lists");
    let shown: Vec<u32> = (0..40)
        .filter(|n| !notified_recipients(&kept_again(&kept, payees(40 + n..41 + n))).starts_with("trigger"))
        .collect();
    assert_eq!(shown.len(), 10, "{shown:?}");
}

/// Returns the plan for a block without keeping it.
fn kept_again(kept: &Kept, judged: Vec<Judged>) -> ChangeSet {
    let mut copy = Kept { roster: kept.roster.clone(), ..Kept::default() };
    copy.incidents.clone_from(&kept.incidents);
    copy.findings.clone_from(&kept.findings);
    copy.commit_block(9, judged, T + 120_000)
}

#[test]
fn what_an_incident_remembers_is_bounded_and_what_it_forgot_pages_anew() {
    let mut kept = Kept::new();
    let mut now = T;
    for n in 1..=u32::try_from(SHOWN_MAX).unwrap() + 1 {
        now += WINDOW_MS;
        assert!(
            notified_recipients(&kept.commit_block(n.into(), vec![high(prank(n, 1000 + n))], now))
                .contains("trigger pager"),
            "{n}"
        );
    }
    assert_eq!(kept.only_incident().coverage.shown.len(), SHOWN_MAX);
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", now));
    assert_eq!(notified_recipients(&kept_again(&kept, vec![high(prank(500, 1002))])), "update pager", "remembered");
    assert_eq!(notified_recipients(&kept_again(&kept, vec![high(prank(500, 1001))])), "trigger pager", "forgotten");
}

#[test]
fn failed_attempts_of_strangers_page_once_an_hour_whoever_makes_them() {
    let mut kept = Kept::new();
    let attempt = |n: u32| high(Activity { stage: Stage::Reverted, fate: Fate::Reverted, ..prank(n, 1000 + n) });
    assert_eq!(notified_recipients(&kept.commit_block(1, vec![attempt(1)], T)), "trigger pager");
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    assert_eq!(notified_recipients(&kept.commit_block(2, vec![attempt(2)], T + 3_599_000)), "update pager");
    assert_eq!(
        notified_recipients(&kept.commit_block(3, vec![high(prank(3, 1003))], T + 3_599_000)),
        "trigger pager",
        "one that came through"
    );
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    assert_eq!(notified_recipients(&kept.commit_block(4, vec![attempt(4)], T + 3_600_000)), "trigger pager");
}

#[test]
fn an_incident_of_before_there_was_coverage_is_read_and_covers_nothing() {
    let kept = acknowledged(high(payment(1)));
    let mut written = serde_json::to_value(kept.only_incident()).unwrap();
    assert!(written.as_object_mut().unwrap().remove("coverage").is_some());
    let old: Incident = serde_json::from_value(written).unwrap();
    assert!(old.coverage.shown.is_empty());
}

// === Any order of findings, answers and time ===

#[derive(Clone, Debug, PartialEq)]
struct Act {
    own: bool,
    actor: u32,
    function: u32,
    payee: u32,
    sum: u64,
    stage: usize,
    critical: bool,
}

#[derive(Clone, Debug)]
enum Event {
    Block(Vec<Act>),
    Acknowledge,
    Pass(u64),
}

const FUNCTIONS: [&str; 3] =
    ["transfer(address,uint256)", "approve(address,uint256)", "increaseAllowance(address,uint256)"];

const STAGES: [(Stage, Fate); 3] =
    [(Stage::Proposed, Fate::Waiting), (Stage::Included, Fate::Unconfirmed), (Stage::Included, Fate::Executed)];

fn acts() -> impl Strategy<Value = Act> {
    (any::<bool>(), 0..4u32, 0..3u32, 0..3u32, 1..4u64, 0..STAGES.len(), 0..20u32).prop_map(
        |(own, actor, function, payee, sum, stage, critical)| Act {
            own,
            actor,
            function,
            payee,
            sum,
            stage,
            critical: critical == 0,
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => proptest::collection::vec(acts(), 1..4).prop_map(Event::Block),
        2 => Just(Event::Acknowledge),
        2 => (1..40_000u64).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 1..60)
}

impl Act {
    fn judged(&self, n: u32) -> Judged {
        let mut act = snt_transfer(TREASURY, n, &[0], self.sum);
        (act.stage, act.fate) = STAGES[self.stage];
        (act.origin, act.deed.args[0]) = (
            numbered_address(200 + self.actor),
            untyped_argument("to", Value::Address(numbered_address(300 + self.payee))),
        );
        act.deed.signature = FUNCTIONS[self.function as usize].into();
        if !self.own {
            (act.kind, act.from, act.to) = (ActivityKind::Call, act.origin, Some(numbered_address(TREASURY)));
        }
        judged_abnormal(act, "builtin/unvouched", if self.critical { Severity::Critical } else { Severity::High })
    }

    /// Returns whether a page that showed `self` also showed this act. Numbers in a stranger's call are not token
    /// amounts and may mean anything.
    fn shows(&self, other: &Self) -> bool {
        let who_what_where = |act: &Self| (act.own, act.actor, act.function, act.payee);
        let no_more = if self.own { other.sum <= self.sum } else { other.sum == self.sum };
        who_what_where(self) == who_what_where(other) && no_more && other.stage <= self.stage
    }
}

fn check(events: Vec<Event>) {
    let mut kept = Kept::new();
    let (mut now, mut number, mut n) = (T, 0, 0);
    let mut on_pages: Vec<Act> = Vec::new();
    // Times of pages without an exception, and of pages allowed only because of the subject's own acts.
    let (mut ordinary, mut own): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    for event in events {
        now += 500;
        match event {
            Event::Pass(ms) => {
                now += ms;
                let plan = kept.advance_timers(now);
                ordinary.extend(pages(&plan, &kept).map(|_| now));
            }
            Event::Acknowledge => {
                let open: Vec<Incident> =
                    kept.open_state().incidents.into_iter().filter(|i| i.state.kind() == State::Open).collect();
                for incident in open {
                    let plan = acknowledge_incident(&incident, "on-call", now).unwrap();
                    kept.apply_change_set(&plan);
                }
            }
            Event::Block(acts) => {
                number += 1;
                let before = kept.incidents.values().find(|incident| incident.origin.storm().is_none()).cloned();
                let judged = acts.iter().map(|act| {
                    n += 1;
                    act.judged(n)
                });
                let judged = judged.collect();
                let plan = kept.commit_block(number, judged, now);
                let paged = pages(&plan, &kept).count() > 0;
                let new = acts.iter().any(|act| !on_pages.iter().any(|seen| seen.shows(act)));
                let listed = plan.incidents.iter().any(|incident| {
                    let of = |id: &_| {
                        incident
                            .origin
                            .storm()
                            .into_iter()
                            .flat_map(|storm| &storm.held)
                            .any(|held| held.incident == *id)
                    };
                    kept.incidents.values().any(|other| other.origin.storm().is_none() && of(&other.id))
                });
                assert!(!new || paged || listed, "neither on a page nor in the storm: {acts:?}, seen {on_pages:?}");
                let louder = acts.iter().any(|act| act.critical)
                    && before.as_ref().and_then(|before| before.heard).is_none_or(|heard| heard < Severity::Critical);
                let first_own = acts.iter().any(|act| act.own) && !on_pages.iter().any(|seen| seen.own);
                assert!(!(louder || (new && first_own)) || paged, "an exception was held back: {acts:?}");
                if paged {
                    let shown = |act: &Act| on_pages.iter().any(|seen| seen.shows(act));
                    if acts.iter().any(|act| act.own && !shown(act)) {
                        own.push(now);
                    } else if !louder {
                        ordinary.push(now);
                    }
                    on_pages.extend(acts);
                }
            }
        }
        let lately = |pages: &[u64]| pages.iter().filter(|at| now - **at < WINDOW_MS).count();
        assert!(lately(&ordinary) <= PAGES_MAX, "{ordinary:?} within a minute");
        assert!(
            lately(&ordinary) + lately(&own) <= PAGES_MAX + OWN_PAGES_MAX + 2,
            "{ordinary:?} {own:?} within a minute"
        );
        for storm in kept.incidents.values().filter(|incident| incident.origin.storm().is_some()) {
            assert!(!storm.told.is_empty(), "nobody was told of the storm");
            let waits = storm.state.kind() == State::Open;
            assert_eq!(
                storm.state.next_escalation().is_some(),
                waits,
                "a storm escalates until somebody acknowledges it"
            );
        }
    }
}

/// Returns the incidents that a plan pages for, except storms.
fn pages<'a>(plan: &'a ChangeSet, kept: &'a Kept) -> impl Iterator<Item = &'a Incident> {
    let paging = |incident: &&Incident| incident.paging && !incident.rules.iter().any(|rule| rule == STORM);
    kept.incidents.values().filter(paging).filter(|incident| {
        plan.deliveries.iter().any(|d| d.kind == DeliveryKind::Trigger && d.incident.as_ref() == Some(&incident.id))
    })
}

/// Turn of a test: payments to one party, or an acknowledgement.
#[derive(Clone, Debug)]
enum Turn {
    Pays(Vec<u64>),
    Acknowledges,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        3 => proptest::collection::vec(1..6u64, 1..4).prop_map(Turn::Pays),
        1 => Just(Turn::Acknowledges),
    ];
    proptest::collection::vec(turn, 1..80)
}

/// Checks that the outflow since an acknowledgement that no page showed never exceeds what the pages showed, and that
/// no page is sent for less.
fn adds_up(turns: Vec<Turn>) {
    let mut kept = Kept::new();
    let (mut now, mut n, mut most, mut since, mut acked) = (T, 0, 0, 0, false);
    for turn in turns {
        now += WINDOW_MS;
        match turn {
            Turn::Acknowledges => {
                let open = kept.incidents.values().find(|incident| incident.state.kind() == State::Open).cloned();
                if let Some(incident) = open {
                    let plan = acknowledge_incident(&incident, "on-call", now).unwrap();
                    kept.apply_change_set(&plan);
                    acked = true;
                }
            }
            Turn::Pays(amounts) => {
                let largest = amounts.iter().copied().max().unwrap_or_default();
                let judged: Vec<Judged> = amounts
                    .iter()
                    .map(|amount| {
                        n += 1;
                        pays(n, *amount)
                    })
                    .collect();
                let plan = kept.commit_block(n.into(), judged, now);
                let sum: u64 = amounts.iter().sum();
                if pages(&plan, &kept).count() > 0 {
                    assert!(most == 0 || since + sum > most, "paged for {amounts:?}, and {since} of {most} before");
                    (most, since, acked) = (most.max(largest), 0, false);
                } else {
                    since += if acked { sum } else { 0 };
                    assert!(largest <= most && since <= most, "{since} left unseen, and {most} on a page");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_leaves_after_an_acknowledgement_never_sums_up_to_more_than_a_page_showed(turns in turns()) {
        adds_up(turns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_on_no_page_leads_to_one_or_stands_in_the_storm(events in events()) {
        check(events);
    }
}
