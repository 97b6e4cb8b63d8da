//! Blocks and reorgs.

use crate::escalate::fixtures::*;
use crate::escalate::{acknowledge_incident, resolve_incident};
use crate::model::incident::{Body, ChangeSet, Contested, Delivery, DeliveryKind, Urgency};
use crate::model::incident_state::State;
use crate::model::record::Line;
use crate::model::{
    Activity, ActivityKind, Confidence, Finality, Judged, JudgedBlock, Position, Provenance, Severity, Verdict,
    Verification,
};

fn feed(plan: &ChangeSet, destination: &str) -> usize {
    plan.deliveries.iter().filter(|d| d.kind == DeliveryKind::Feed && d.destination == destination).count()
}

fn observed(mut judged: Judged) -> Judged {
    if let Verdict::Abnormal(abnormal) = &mut judged.verdict {
        abnormal.observe = true;
    }
    judged
}

#[test]
fn a_finding_pages_the_first_step_and_the_next_one_is_due() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let incident = kept.only_incident();
    assert_eq!((incident.state.kind(), incident.paging, incident.step), (State::Open, true, 0));
    assert_eq!(incident.state.next_escalation(), Some(T + 300_000));
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(page.headline, "Treasury Safe sent 60,000 SNT to Grantee: docs");
    assert_eq!(page.next.as_ref().unwrap().to, ["pager", "phone"]);
    assert_eq!(page.links[0].href, format!("https://etherscan.io/tx/{:#x}", numbered_tx_hash(1)));
    assert_eq!((page.step, page.cycle, page.more, page.evidence.len()), (1, 0, 0, 1));
}

#[test]
fn a_normal_block_tells_nobody_but_the_feed_of_verdicts() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, vec![judged_normal(snt_transfer(TREASURY, 1, &[0], 5))], T);
    assert_eq!((notified_recipients(&plan).as_str(), feed(&plan, "findings"), feed(&plan, "verdicts")), ("", 0, 1));
    assert!(plan.incidents.is_empty() && plan.findings.is_empty());
    assert_eq!(plan.lines.len(), 1);
}

#[test]
fn a_finding_below_page_at_is_notified_and_does_not_escalate() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, vec![treasury_finding(1, Severity::Warning)], T);
    assert_eq!(notified_recipients(&plan), "trigger chat");
    assert_eq!((kept.only_incident().paging, kept.only_incident().state.next_escalation()), (false, None));
    assert_eq!(notified_recipients(&kept.advance_timers(T + 86_400_000)), "");
    let plan = kept.commit_block(2, vec![treasury_finding(2, Severity::Warning)], T);
    assert_eq!(notified_recipients(&plan), "update chat");
    let plan = kept.commit_block(3, vec![treasury_finding(3, Severity::High)], T);
    assert_eq!(notified_recipients(&plan), "trigger pager, update chat");
    assert_eq!(kept.only_incident().state.next_escalation(), Some(T + 300_000));
}

#[test]
fn what_is_only_observed_is_recorded_and_told_to_nobody_but_the_feed() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, vec![observed(treasury_finding(1, Severity::Critical))], T);
    assert_eq!((notified_recipients(&plan).as_str(), feed(&plan, "findings")), ("", 1));
    assert_eq!((kept.only_incident().paging, kept.findings.len()), (false, 1));
    // A finding that counts makes the same incident page, and the page is about that finding.
    let plan = kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let page = &kept.only_incident().page;
    assert_eq!((page.severity, page.evidence.len(), page.more), (Severity::High, 1, 1));
    assert_eq!(page.evidence[0].tx, numbered_tx_hash(2));
    assert_eq!(
        notified_recipients(&kept.commit_block(3, vec![observed(treasury_finding(3, Severity::Critical))], T)),
        ""
    );
    assert_eq!((kept.only_incident().page.evidence.len(), kept.only_incident().page.more), (1, 2));
}

#[test]
fn a_watch_that_is_only_observed_pages_nobody() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(
        1,
        vec![judged_abnormal(snt_transfer(OBSERVED, 1, &[0], 1), "builtin/unvouched", Severity::Critical)],
        T,
    );
    assert_eq!(notified_recipients(&plan), "");
    assert!(!kept.only_incident().paging);
}

#[test]
fn everything_one_transaction_makes_abnormal_is_one_incident_of_the_innermost_watch() {
    // The treasury owns the child, and has it swap an owner inside a MultiSend.
    let mut kept = Kept::new();
    let mut swap = snt_transfer(CHILD, 1, &[0, 0, 1], 0);
    swap.to = Some(numbered_address(CHILD));
    let mut envelope = snt_transfer(CHILD, 1, &[0], 0);
    envelope.kind = ActivityKind::Call;
    let judged = vec![
        judged_abnormal(snt_transfer(TREASURY, 1, &[], 0), "builtin/executor", Severity::Warning),
        judged_repeat(snt_transfer(TREASURY, 1, &[0], 0), 3),
        judged_repeat(envelope, 3),
        judged_abnormal(swap.clone(), "builtin/unvouched", Severity::Critical),
        // The call to itself is the same finding as the act.
        judged_abnormal(Activity { kind: ActivityKind::Call, ..swap }, "builtin/unvouched", Severity::Critical),
    ];
    let plan = kept.commit_block(1, judged, T);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let incident = kept.only_incident();
    assert_eq!((incident.label.as_str(), &incident.touches), ("Child Safe", &vec!["Treasury Safe".to_owned()]));
    assert_eq!((incident.findings, kept.findings.len(), feed(&plan, "findings")), (2, 2, 2));
    let ids: Vec<bool> = plan
        .lines
        .iter()
        .filter_map(|line| if let Line::Verdict(verdict) = line { Some(verdict.incident_id.is_some()) } else { None })
        .collect();
    assert_eq!(ids, [true; 5], "an act that repeats a verdict belongs to its incident");
}

#[test]
fn the_wallet_that_acts_owns_the_incident_and_not_the_token_it_calls() {
    let mut kept = Kept::new();
    let watches = kept.roster.watches.iter();
    kept.roster.watches = watches.map(|w| crate::model::WatchInfo { path: "treasury".into(), ..w.clone() }).collect();
    let plan = kept.commit_block(1, payment_with_its_token(Severity::High, Severity::Critical), T);
    assert_eq!(
        (notified_recipients(&plan).as_str(), kept.only_incident().label.as_str()),
        ("trigger pager", "Treasury Safe")
    );
    assert_eq!(
        (kept.only_incident().touches.as_slice(), kept.only_incident().severity),
        (["SNT".to_owned()].as_slice(), Severity::Critical)
    );
}

/// Returns a payment by the treasury, the call of the token in it, and an unexplained log of that token.
fn payment_with_its_token(treasury: Severity, token: Severity) -> Vec<Judged> {
    let mut call = snt_transfer(TOKEN, 1, &[0], 1);
    call.kind = ActivityKind::Call;
    let mut log = snt_transfer(TOKEN, 1, &[], 1);
    (log.kind, log.position) = (ActivityKind::Event, Position::Log(7));
    vec![
        judged_abnormal(call, "builtin/unvouched", token),
        judged_abnormal(snt_transfer(TREASURY, 1, &[0], 1), "builtin/unvouched", treasury),
        judged_abnormal(log, "builtin/unexplained", token),
    ]
}

#[test]
fn whatever_a_transaction_touches_besides_each_path_hears_of_its_own_watch() {
    let quiet = |kept: &mut Kept, path: &str| {
        let path = kept.roster.paths.get_mut(path).unwrap();
        (path.page_at, path.notify) = (Severity::Critical, vec![]);
    };
    let cases: &[(&str, &[&str], Severity, Severity, &str)] = &[
        ("both page", &[], Severity::High, Severity::High, "trigger token-pager, trigger pager"),
        ("the wallet's path is quiet", &["treasury"], Severity::High, Severity::High, "trigger token-pager"),
        ("the token's path is quiet", &["token"], Severity::High, Severity::High, "trigger pager"),
        ("one of them is only noted", &["treasury"], Severity::Warning, Severity::High, "trigger token-pager"),
        ("both are quiet", &["token", "treasury"], Severity::High, Severity::High, ""),
        (
            "both are loud",
            &["token", "treasury"],
            Severity::Critical,
            Severity::Critical,
            "trigger token-pager, trigger pager",
        ),
    ];
    for (name, paths, treasury, token, expected) in cases {
        let mut kept = Kept::new();
        paths.iter().for_each(|path| quiet(&mut kept, path));
        assert_eq!(
            notified_recipients(&kept.commit_block(1, payment_with_its_token(*treasury, *token), T)),
            *expected,
            "{name}"
        );
        let incidents: Vec<(&str, &[String], u64)> =
            kept.incidents.values().map(|i| (i.path.name.as_str(), i.touches.as_slice(), i.findings)).collect();
        let (snt, safe) = (["SNT".to_owned()], ["Treasury Safe".to_owned()]);
        assert_eq!(incidents.len(), 2, "{name}: {incidents:?}");
        assert!(incidents.contains(&("treasury", &snt, 1)), "{name}: {incidents:?}");
        assert!(incidents.contains(&("token", &safe, 2)), "{name}: {incidents:?}");
    }
}

#[test]
fn findings_of_different_watches_in_different_transactions_are_different_incidents() {
    let mut kept = Kept::new();
    let child = judged_abnormal(snt_transfer(CHILD, 2, &[0], 1), "builtin/unvouched", Severity::High);
    kept.commit_block(1, vec![treasury_finding(1, Severity::High), child], T);
    assert_eq!(kept.incidents.len(), 2);
}

#[test]
fn a_block_of_many_findings_is_one_page_and_the_next_block_one_update() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, (0..50).map(|n| treasury_finding(n, Severity::High)).collect(), T);
    assert_eq!((notified_recipients(&plan).as_str(), feed(&plan, "findings")), ("trigger pager", 50));
    let plan = kept.commit_block(2, (50..90).map(|n| treasury_finding(n, Severity::High)).collect(), T);
    assert_eq!(notified_recipients(&plan), "update pager");
    let page = &kept.only_incident().page;
    assert_eq!((page.evidence.len(), page.more, kept.findings.len()), (10, 80, 90));
    let Body::Page(update) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(update.change.as_deref(), Some("39 more findings, of which 30 are not shown"));
    assert!(update.headline.starts_with("Treasury Safe sent"), "{}", update.headline);
}

#[test]
fn a_louder_finding_pages_again_everybody_who_was_paged() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "trigger phone");
    let plan = kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], T + 301_000);
    assert_eq!(notified_recipients(&plan), "trigger pager, trigger phone");
    // It does not reset the escalation.
    assert_eq!(
        (kept.only_incident().cycle, kept.only_incident().step, kept.only_incident().state.next_escalation()),
        (1, 1, Some(T + 900_000))
    );
}

#[test]
fn an_acknowledged_incident_pages_again_for_what_is_louder_or_of_another_rule_and_else_only_updates() {
    let acked = |severity| {
        let mut kept = Kept::new();
        kept.commit_block(1, vec![treasury_finding(1, severity)], T);
        kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
        kept
    };
    let mut kept = acked(Severity::High);
    assert_eq!(
        notified_recipients(&kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T)),
        "update pager"
    );
    assert_eq!(kept.only_incident().state.kind(), State::Acknowledged);

    let mut kept = acked(Severity::High);
    assert_eq!(
        notified_recipients(&kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], T)),
        "trigger pager"
    );
    assert_eq!(
        (kept.only_incident().state.kind(), kept.only_incident().cycle, kept.only_incident().state.acknowledged_by()),
        (State::Open, 1, None)
    );

    let mut kept = acked(Severity::Critical);
    let other = judged_abnormal(snt_transfer(TREASURY, 2, &[0], 1), "owners-are-fixed", Severity::High);
    assert_eq!(notified_recipients(&kept.commit_block(2, vec![other], T)), "trigger pager");

    let mut kept = acked(Severity::Critical);
    let quiet = judged_abnormal(snt_transfer(TREASURY, 2, &[0], 1), "refund", Severity::Warning);
    assert_eq!(notified_recipients(&kept.commit_block(2, vec![quiet], T)), "update pager");
}

#[test]
fn a_reorg_that_takes_all_evidence_back_closes_the_incident_and_says_so() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let plan = kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    assert_eq!(notified_recipients(&plan), "retract pager, resolve pager");
    let incident = kept.only_incident();
    assert_eq!((incident.state.kind(), incident.state.close_reason()), (State::FalseAlarm, Some("reorg")));
    assert_eq!((incident.standing, incident.findings, incident.state.next_escalation()), (0, 1, None));
    let finding = kept.findings.values().next().unwrap();
    assert_eq!((finding.orphaned, finding.revision), (true, 2));
    let Line::Retraction(line) = &plan.lines[0] else { panic!("a retraction first") };
    assert_eq!((line.revision, line.orphaned_block), (2, 1));
    assert_eq!(line.replaced_by, Some(format!("{:#x}", block_ref(1, 1).hash)));
    assert_eq!((feed(&plan, "findings"), feed(&plan, "verdicts")), (1, 1));
}

#[test]
fn a_reorg_that_takes_some_evidence_back_leaves_the_rest_standing() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], T);
    let plan = kept.commit_step(&[block_ref(2, 0)], &[judged_block(block_ref(2, 1), block_ref(1, 0), vec![])], T);
    assert_eq!(notified_recipients(&plan), "retract pager");
    let page = &kept.only_incident().page;
    assert_eq!(
        (kept.only_incident().state.kind(), page.evidence[0].tx, page.evidence[1].orphaned),
        (State::Open, numbered_tx_hash(1), true)
    );
}

#[test]
fn the_same_transaction_in_the_block_that_replaces_its_own_wakes_nobody() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let plan = kept.commit_step(
        &[block_ref(1, 0)],
        &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![treasury_finding(1, Severity::High)])],
        T,
    );
    assert_eq!(notified_recipients(&plan), "update pager");
    let finding = kept.findings.values().next().unwrap();
    assert_eq!((finding.orphaned, finding.revision, finding.anchor), (false, 2, block_ref(1, 1).into()));
    assert!(!plan.lines.iter().any(|line| matches!(line, Line::Retraction(_))));
    assert_eq!((kept.only_incident().cycle, kept.only_incident().findings, kept.only_incident().standing), (0, 1, 1));
}

#[test]
fn the_same_transaction_in_another_block_stays_closed_when_somebody_closed_it() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.respond_with(|incident| resolve_incident(incident, "on-call", T));
    let plan = kept.commit_step(
        &[block_ref(1, 0)],
        &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![treasury_finding(1, Severity::High)])],
        T,
    );
    assert_eq!(
        (notified_recipients(&plan).as_str(), kept.only_incident().state.kind()),
        ("update pager", State::Resolved)
    );
}

#[test]
fn the_same_transaction_that_has_become_worse_pages_again() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let plan = kept.commit_step(
        &[block_ref(1, 0)],
        &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![treasury_finding(1, Severity::Critical)])],
        T,
    );
    assert_eq!(notified_recipients(&plan), "trigger pager");
    assert_eq!((kept.only_incident().cycle, kept.only_incident().standing), (1, 1));
}

#[test]
fn a_finding_that_returns_to_a_live_incident_is_an_update() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T);
    kept.commit_step(&[block_ref(2, 0)], &[judged_block(block_ref(2, 1), block_ref(1, 0), vec![])], T);
    let plan = kept.commit_step(
        &[],
        &[judged_block(block_ref(3, 1), block_ref(2, 1), vec![treasury_finding(2, Severity::High)])],
        T,
    );
    assert_eq!(notified_recipients(&plan), "update pager");
    assert_eq!((kept.only_incident().findings, kept.only_incident().standing), (2, 2));
    assert_eq!(kept.findings.values().find(|f| f.tx == numbered_tx_hash(2)).unwrap().revision, 3);
}

#[test]
fn a_finding_that_returns_after_its_incident_closed_pages_in_a_new_round() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    let plan = kept.commit_step(
        &[],
        &[judged_block(block_ref(2, 1), block_ref(1, 1), vec![treasury_finding(1, Severity::High)])],
        T + 9,
    );
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let incident = kept.only_incident();
    assert_eq!((incident.state.kind(), incident.cycle, incident.state.close_reason()), (State::Open, 1, None));
    assert_eq!(incident.state.next_escalation(), Some(T + 9 + 300_000));
}

#[test]
fn a_finding_whose_incident_closed_joins_the_live_one_of_the_same_watch() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    kept.commit_step(
        &[],
        &[judged_block(block_ref(2, 1), block_ref(1, 1), vec![treasury_finding(2, Severity::High)])],
        T,
    );
    let plan = kept.commit_step(
        &[],
        &[judged_block(block_ref(3, 1), block_ref(2, 1), vec![treasury_finding(1, Severity::High)])],
        T,
    );
    assert_eq!(notified_recipients(&plan), "update pager");
    assert_eq!(kept.incidents.values().filter(|incident| incident.state.is_live()).count(), 1);
}

#[test]
fn a_block_that_is_judged_again_changes_nothing() {
    let mut kept = Kept::new();
    let first = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let again = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T + 1000);
    assert_eq!((notified_recipients(&again).as_str(), &again.incidents, &again.findings), ("", &vec![], &vec![]));
    let keys = |plan: &ChangeSet| plan.deliveries.iter().map(|d| d.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&again), keys(&first)[1..], "the feed's lines are the same messages");
}

#[test]
fn a_watch_whose_path_is_missing_tells_everybody_rather_than_nobody() {
    let mut kept = Kept::new();
    kept.roster.paths.remove("treasury");
    assert_eq!(
        notified_recipients(&kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T)),
        "trigger token-pager"
    );
}

#[test]
fn an_incident_stands_as_surely_as_the_weakest_of_its_findings() {
    let seen = |sources, proof, block: JudgedBlock| JudgedBlock {
        sight: Provenance { sources, endpoints: 3, proof },
        ..block
    };
    let mut kept = Kept::new();
    let first = seen(
        3,
        Verification::Proven,
        judged_block(block_ref(1, 0), block_ref(0, 0), vec![treasury_finding(1, Severity::High)]),
    );
    let plan = kept.commit_step(&[], &[first], T);
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    let known = Confidence { finality: Finality::Included, sources: 3, endpoints: 3, verified: Some(true) };
    assert_eq!((page.evidence[0].footing, page.finality), (known, Some(Finality::Included)));
    assert_eq!((kept.only_incident().footing, plan.findings[0].footing), (Some(known), known));

    let doubtful = seen(
        1,
        Verification::Unproven,
        judged_block(block_ref(2, 0), block_ref(1, 0), vec![treasury_finding(2, Severity::High)]),
    );
    let plan = kept.commit_step(&[], &[doubtful], T);
    let weakest = Confidence { sources: 1, verified: Some(false), ..known };
    assert_eq!(kept.only_incident().footing, Some(weakest));
    let told = plan.lines.iter().find_map(|line| match line {
        Line::Incident(line) => Some((line.finality.as_deref(), line.sources, line.verified)),
        _ => None,
    });
    assert_eq!(told, Some((Some("included"), Some(1), Some(false))));

    // An observed finding is not on a page with ordinary ones, but it counts for the confidence.
    let unseen = seen(
        2,
        Verification::NotAsked,
        judged_block(block_ref(3, 0), block_ref(2, 0), vec![observed(treasury_finding(3, Severity::High))]),
    );
    kept.commit_step(&[block_ref(2, 0)], &[judged_block(block_ref(2, 1), block_ref(1, 0), vec![])], T);
    assert_eq!(kept.only_incident().footing, Some(known), "a reorg took the doubt away");
    kept.commit_step(&[], &[unseen], T);
    assert_eq!(kept.only_incident().footing, Some(Confidence { sources: 2, verified: None, ..known }));
    kept.commit_step(
        &[block_ref(3, 0), block_ref(2, 1), block_ref(1, 0)],
        &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])],
        T,
    );
    assert_eq!(kept.only_incident().footing, None, "nothing stands");
}

#[test]
fn an_incident_stays_open_while_an_endpoint_holds_the_block_that_a_reorg_took_back() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let held = Contested { chain: crate::model::ChainId(1), block: block_ref(1, 0), by: vec!["backup".to_owned()] };
    let elsewhere = Contested { chain: crate::model::ChainId(10), ..held.clone() };
    kept.contested = vec![held, elsewhere.clone()];
    let plan = kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    assert_eq!(notified_recipients(&plan), "retract pager");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    let said = page.change.as_deref().unwrap();
    assert!(said.starts_with("backup still holds the block, so that this stays open. A reorg took back: "), "{said}");
    assert_eq!((kept.only_incident().state.kind(), kept.only_incident().standing), (State::Open, 0));
    // It escalates meanwhile like any open incident.
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "trigger phone");
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T + 300_000));
    assert_eq!(notified_recipients(&kept.advance_timers(T + 301_000)), "");
    kept.contested = vec![elsewhere];
    assert_eq!(notified_recipients(&kept.advance_timers(T + 302_000)), "resolve pager, resolve phone");
    assert_eq!(
        (kept.only_incident().state.kind(), kept.only_incident().state.close_reason()),
        (State::FalseAlarm, Some("reorg"))
    );
    assert_eq!(notified_recipients(&kept.advance_timers(T + 303_000)), "");
}

#[test]
fn evidence_that_comes_back_ends_the_doubt_about_its_block() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.contested = vec![Contested {
        chain: crate::model::ChainId(1),
        block: block_ref(1, 0),
        by: vec!["a".to_owned(), "b".to_owned()],
    }];
    let plan = kept.commit_step(&[block_ref(1, 0)], &[judged_block(block_ref(1, 1), block_ref(0, 0), vec![])], T);
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert!(page.change.as_deref().unwrap().starts_with("a, b still hold the block"));
    let back = judged_block(block_ref(1, 0), block_ref(0, 0), vec![treasury_finding(1, Severity::High)]);
    assert_eq!(notified_recipients(&kept.commit_step(&[block_ref(1, 1)], &[back], T + 1000)), "update pager");
    kept.contested.clear();
    assert_eq!(notified_recipients(&kept.advance_timers(T + 2000)), "");
    assert_eq!((kept.only_incident().state.kind(), kept.only_incident().standing), (State::Open, 1));
}

#[test]
fn evidence_that_comes_back_ends_no_doubt_about_other_blocks() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T);
    let held = |number| Contested {
        chain: crate::model::ChainId(1),
        block: block_ref(number, 0),
        by: vec!["backup".to_owned()],
    };
    kept.contested = vec![held(1), held(2)];
    let empty = |number, below| judged_block(block_ref(number, 1), block_ref(number - 1, below), vec![]);
    kept.commit_step(&[block_ref(2, 0), block_ref(1, 0)], &[empty(1, 0), empty(2, 1)], T + 1000);
    assert_eq!((kept.only_incident().state.kind(), kept.only_incident().standing), (State::Open, 0));
    // The first comes back in another block, which goes as well: the second is still what `backup` holds.
    let back = judged_block(block_ref(2, 2), block_ref(1, 1), vec![treasury_finding(1, Severity::High)]);
    kept.commit_step(&[block_ref(2, 1)], &[back], T + 2000);
    assert_eq!(kept.only_incident().standing, 1);
    kept.commit_step(&[block_ref(2, 2)], &[judged_block(block_ref(2, 3), block_ref(1, 1), vec![])], T + 3000);
    assert_eq!(
        (kept.only_incident().state.kind(), kept.only_incident().standing),
        (State::Open, 0),
        "an endpoint holds its evidence"
    );
    kept.contested.clear();
    kept.advance_timers(T + 4000);
    assert_eq!(kept.only_incident().state.kind(), State::FalseAlarm);
}

#[test]
fn only_the_first_page_of_an_incident_leaves_as_a_first_page() {
    let mut kept = Kept::new();
    let urgency = |plan: &ChangeSet| {
        let pages = plan.deliveries.iter().filter(|d| d.kind == DeliveryKind::Trigger);
        pages.map(Delivery::urgency).collect::<Vec<_>>()
    };
    assert_eq!(urgency(&kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T)), [Urgency::FirstPage]);
    assert_eq!(
        urgency(&kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], T)),
        [Urgency::NextPage],
        "louder"
    );
    assert_eq!(urgency(&kept.advance_timers(T + 300_000)), [Urgency::NextPage], "escalated");
    kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
    let other = judged_abnormal(
        Activity { from: numbered_address(77), ..snt_transfer(TREASURY, 3, &[0], 70_000) },
        "builtin/unvouched",
        Severity::High,
    );
    assert_eq!(
        urgency(&kept.commit_block(3, vec![other], T + 301_000)),
        [Urgency::NextPage],
        "what an answer does not cover"
    );
}
