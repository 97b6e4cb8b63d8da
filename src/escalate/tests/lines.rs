//! Lines of a page: the most important comes first, and every dropped one is counted.

use super::coverage::high;
use crate::escalate::fixtures::*;
use crate::escalate::{OWN_PAGES_MAX, PAGES_MAX, acknowledge_incident};
use crate::model::activity::Note;
use crate::model::holding::{Holding, Said, Tie};
use crate::model::incident::{Body, ChangeSet, Incident};
use crate::model::page::{EVIDENCE_MAX, Page};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Judged, Position, Severity};
use alloy_primitives::U256;
use proptest::prelude::*;

/// A token that no configuration lists.
const JUNK: u32 = 400;

fn micro(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(12))
}

/// Returns an outflow of millionths of `token` from the treasury to `to` in log `log` of transaction `n`, out of a
/// balance of `before`.
fn leaves(n: u32, log: u32, token: u32, to: u32, amount: u64, before: u64) -> Judged {
    let mut log = Activity { position: Position::Log(log), ..snt_transfer(TREASURY, n, &[], 0) };
    (log.kind, log.deed.name, log.deed.signature) = (ActivityKind::Move, "transfer".into(), "transfer".into());
    (log.deed.selector, log.to) = (None, Some(numbered_address(to)));
    log.deed.args = vec![
        untyped_argument("token", Value::Address(numbered_address(token))),
        untyped_argument("from", Value::Address(numbered_address(TREASURY))),
        untyped_argument("to", Value::Address(numbered_address(to))),
        untyped_argument("amount", Value::Uint(micro(amount))),
    ];
    let said = Said::Balance { before: micro(before), after: U256::ZERO, agrees: true, whole: true };
    log.notes = vec![Note::Holding(Box::new(Holding { tie: Tie::Used, searched: true, said, first: true }))];
    high(log)
}

const WHOLE: u64 = 1_000_000;
const HELD: u64 = 500_000 * WHOLE;

fn theft(log: u32) -> Judged {
    leaves(1, log, TOKEN, 98, 200_000 * WHOLE, HELD)
}

fn page(plan: &ChangeSet) -> &Page {
    let found = plan.deliveries.iter().find(|d| d.destination == "pager").expect("somebody is told");
    let Body::Page(page) = &found.body else { panic!("a page") };
    page
}

/// Every finding is on a line, or counted as not shown.
fn adds_up(incident: &Incident, page: &Page) {
    assert_eq!(page.n_listed() + page.more, incident.findings, "{page:#?}");
}

#[test]
fn what_leaves_stands_before_the_crumbs_it_is_hidden_among() {
    type Crumb = fn(u32, u32) -> Judged;
    let cases: &[(&str, Crumb, usize)] = &[
        ("to the same party", |log, _| leaves(1, log, TOKEN, 98, 1, HELD), 1),
        ("each to another party", |log, n| leaves(1, log, TOKEN, 1000 + n, 1, HELD), EVIDENCE_MAX),
        ("of made-up tokens that all leave", |log, n| leaves(1, log, JUNK + n, 98, 1 << 40, 1 << 40), EVIDENCE_MAX),
        ("in transactions of their own", |log, n| leaves(100 + n, log, TOKEN, 98, 1, HELD), EVIDENCE_MAX),
    ];
    for (name, crumb, lines) in cases {
        for place in [0, 20, 40] {
            let mut kept = Kept::new();
            let judged = (0..=40).map(|n| if n == place { theft(n) } else { crumb(n, n) }).collect();
            let plan = kept.commit_block(1, judged, T);
            let page = page(&plan);
            assert!(page.headline.starts_with("200,000"), "{name} {place}: {}", page.headline);
            assert_eq!(page.evidence.len(), *lines, "{name} {place}");
            adds_up(kept.only_incident(), page);
            if *lines == 1 {
                let said = "200,000.00004 SNT left Treasury Safe for 0x0000…A062, in 41 parts";
                assert_eq!((page.headline.as_str(), page.evidence[0].alike), (said, 40), "{place}");
            }
        }
    }
}

#[test]
fn all_of_a_token_nobody_listed_stands_before_crumbs_of_listed_ones() {
    let mut kept = Kept::new();
    let drained = leaves(1, 50, JUNK, 98, 7, 7);
    let crumbs = (0..40).map(|n| leaves(1, n, TOKEN, 1000 + n, 1, HELD));
    let plan = kept.commit_block(1, crumbs.chain([drained]).collect(), T);
    assert!(page(&plan).headline.starts_with("7,000,000,000,000 units of "), "{}", page(&plan).headline);
}

#[test]
fn what_is_gone_stands_before_what_may_be_taken_and_that_before_crumbs() {
    let mut kept = Kept::new();
    let mut allowed = leaves(1, 0, TOKEN, 97, 500_000 * WHOLE, HELD);
    allowed.activity.deed.name = "approval".into();
    allowed.activity.notes.clear();
    let crumb = leaves(1, 1, TOKEN, 96, 1, HELD);
    kept.commit_block(1, vec![allowed, crumb, theft(2)], T);
    let first: Vec<&str> = kept
        .only_incident()
        .page
        .evidence
        .iter()
        .filter_map(|evidence| evidence.headline.split(" SNT").next())
        .collect();
    assert_eq!(first, ["200,000", "Treasury Safe allowed 0x0000…A061 to spend 500,000", "0.000001"]);
}

#[test]
fn the_same_call_again_in_one_transaction_is_one_line() {
    let mut kept = Kept::new();
    let call = |n: u16| {
        let mut call = Activity { position: Position::Call(vec![n]), ..snt_transfer(TREASURY, 1, &[], 0) };
        (call.kind, call.from, call.to, call.deed.args) =
            (ActivityKind::Call, numbered_address(66), Some(numbered_address(TREASURY)), vec![]);
        call.deed.signature = "poke()".into();
        high(call)
    };
    let plan = kept.commit_block(1, (0..40).map(call).collect(), T);
    assert!(page(&plan).headline.ends_with(", 40 times"), "{}", page(&plan).headline);
    assert_eq!((page(&plan).evidence.len(), page(&plan).more), (1, 0));
}

#[test]
fn what_finds_no_place_is_said_to_be_missing_and_pages_when_it_comes_again() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![theft(0)], T);
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    let to = |tx, n| leaves(tx, n, TOKEN, 1000 + n, u64::from(n + 1) * WHOLE, HELD);
    let plan = kept.commit_block(2, (0..40).map(|n| to(2, n)).collect(), T + 60_000);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let first = page(&plan);
    // The acknowledged theft has a line too.
    assert_eq!(first.change.as_deref(), Some("39 more findings, of which 31 are not shown"));
    assert!(first.headline.starts_with("40 SNT"), "{}", first.headline);
    adds_up(kept.only_incident(), first);
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    assert_eq!(
        notified_recipients(&kept.commit_block(3, vec![to(3, 39)], T + 120_000)),
        "update pager",
        "it was shown"
    );
    assert_eq!(notified_recipients(&kept.commit_block(4, vec![to(4, 5)], T + 180_000)), "trigger pager", "it was not");
}

#[test]
fn a_line_of_several_is_taken_back_with_its_transaction_and_comes_back_whole() {
    let mut kept = Kept::new();
    let judged = || (0..5).map(|n| leaves(1, n, TOKEN, 98, WHOLE, HELD)).collect::<Vec<_>>();
    kept.commit_block(1, judged(), T);
    let plan =
        kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), judged())], T + 1000);
    assert_eq!(notified_recipients(&plan), "update pager");
    let line = |kept: &Kept| {
        let page = &kept.only_incident().page;
        (page.evidence.len(), page.evidence[0].alike, page.evidence[0].headline.clone(), page.more)
    };
    assert!(matches!(&line(&kept), (1, 4, said, 0) if said.starts_with("5 SNT left")), "{:?}", line(&kept));
    let plan = kept.commit_step(
        &[block_ref(1, 1)],
        &[judged_block(block_ref(1, 2), block_ref(0, 0), judged()[..3].to_vec())],
        T + 2000,
    );
    assert!(notified_recipients(&plan).starts_with("retract pager"), "{}", notified_recipients(&plan));
    let standing: u64 = kept.only_incident().page.evidence.iter().filter(|e| !e.orphaned).map(|e| 1 + e.alike).sum();
    assert_eq!((standing, kept.only_incident().standing), (3, 3));
    kept.commit_step(&[block_ref(1, 2)], &[judged_block(block_ref(1, 3), block_ref(0, 0), vec![])], T + 3000);
    assert!(kept.only_incident().page.evidence.iter().all(|evidence| evidence.orphaned));
}

/// Returns a call of the treasury in transaction `n` by a stranger that differs each time.
fn rotating(n: u32) -> Judged {
    let mut call = snt_transfer(TREASURY, n, &[], 0);
    (call.kind, call.from, call.origin) = (ActivityKind::Call, numbered_address(1000 + n), numbered_address(1000 + n));
    call.to = Some(numbered_address(TREASURY));
    judged_abnormal(call, "builtin/unvouched", Severity::High)
}

/// A payment of the child, in ether.
fn pays(n: u32, ether: u64) -> Judged {
    let mut act = snt_transfer(CHILD, n, &[0], 0);
    act.value = U256::from(ether) * U256::from(10).pow(U256::from(18));
    (act.to, act.deed.args) = (Some(numbered_address(5000 + n)), vec![]);
    act.deed.decoding = crate::model::Decoding::Ether;
    judged_abnormal(act, "builtin/unvouched", Severity::High)
}

#[test]
fn strangers_cannot_take_the_room_of_what_the_subject_does_itself() {
    let mut kept = Kept::new();
    assert_eq!(notified_recipients(&kept.commit_block(1, vec![pays(1, 1)], T)), "trigger pager");
    let plan = acknowledge_incident(kept.only_incident(), "on-call", T).unwrap();
    kept.apply_change_set(&plan);
    for n in 0..60 {
        kept.commit_block(u64::from(n) + 2, vec![rotating(n)], T + 1000 + u64::from(n));
    }
    // Its second act has no exception for a first act and no higher severity than the pages before.
    assert_eq!(notified_recipients(&kept.commit_block(70, vec![pays(70, 9_000)], T + 2000)), "trigger pager");
    let mut paged = 1;
    for n in 71..120 {
        paged += usize::from(
            notified_recipients(&kept.commit_block(n.into(), vec![pays(n, u64::from(n))], T + 2000))
                .contains("trigger"),
        );
    }
    let storm = kept.incidents.values().find(|incident| incident.origin.storm().is_some()).expect("a storm");
    assert!((OWN_PAGES_MAX - 2..=PAGES_MAX + OWN_PAGES_MAX).contains(&paged), "{paged}");
    let held = &storm.origin.storm().unwrap().held;
    assert_eq!((held[0].label.as_str(), held[0].own), ("Child Safe", true), "{held:#?}");
    assert!(held[0].headline.contains("119 ETH"), "{}", held[0].headline);
    assert!(storm.page.headline.contains("119 ETH"), "{}", storm.page.headline);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Property over any set of outflows of one transaction, logged in any order.
    #[test]
    fn every_finding_is_on_a_line_or_counted_and_the_largest_share_leads(
        moves in proptest::collection::vec((0..4u32, 1..1_000_000u64), 1..60)
    ) {
        let mut kept = Kept::new();
        let logs = (0..).zip(&moves);
        let judged = logs.map(|(log, (to, amount))| leaves(1, log, TOKEN, 1000 + to, *amount, WHOLE)).collect();
        let plan = kept.commit_block(1, judged, T);
        adds_up(kept.only_incident(), page(&plan));
        let of = |party: u32| moves.iter().filter(|(to, _)| *to == party).map(|(_, amount)| amount).sum::<u64>();
        let most = (0..4).map(of).max().unwrap_or_default();
        let lead = &page(&plan).evidence[0];
        let is_on = |to: &u32| lead.parties.iter().any(|party| party.address == numbered_address(1000 + to));
        let to = (0..4).find(is_on).expect("a party");
        // Above the whole holding, only whole units make a difference in weight.
        prop_assert!(of(to) >= most.min(WHOLE), "{} of {most}: {}", of(to), lead.headline);
    }
}
