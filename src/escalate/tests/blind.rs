//! Notifications of outages: once, louder when an outage grows, and at its end with the findings that were late because
//! of it.

use crate::escalate::fixtures::*;
use crate::escalate::{
    RETURNS_WITHIN_MS, acknowledge_incident, complete_catch_up, lift_outage, open_outage, remind_first_step,
    resolve_incident,
};
use crate::model::incident::{Body, ChangeSet, Incident};
use crate::model::incident_state::State;
use crate::model::record::{BlindnessLine, Line};
use crate::model::{BlindnessKind as Kind, HealthIssue, Severity};
use jiff::Timestamp;

const MINUTE: u64 = 60_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap()
}

fn trouble(kind: Kind, severity: Severity, since: u64) -> HealthIssue {
    HealthIssue {
        kind,
        endpoint: None,
        severity,
        since: at(since),
        why: "connection refused".to_owned(),
        evidence: None,
        ways: Vec::new(),
    }
}

fn of_backup(kind: Kind, severity: Severity, since: u64) -> HealthIssue {
    HealthIssue { endpoint: Some("backup".into()), ..trouble(kind, severity, since) }
}

/// Outages as the store records them.
struct Sight(Kept);

impl Sight {
    /// The path `self` pages `keeper`, then `boss`, and notifies `chat`.
    fn new() -> Self {
        let mut kept = Kept::new();
        kept.roster.paths.insert("self".into(), paging_path("self", &[(&["keeper"], 300), (&["boss"], 600)]));
        Self(kept)
    }

    fn known(&self) -> Vec<Incident> {
        self.0.incidents.values().cloned().collect()
    }

    fn blind(&mut self, trouble: &HealthIssue, now: u64) -> ChangeSet {
        let plan = open_outage(trouble, Some(&mainnet_info()), None, &self.known(), &self.0.roster, now);
        self.0.apply_change_set(&plan);
        plan
    }

    fn lifted(&mut self, kind: Kind, endpoint: Option<&str>, now: u64) -> ChangeSet {
        let plan = lift_outage(kind, endpoint, Some(&mainnet_info()), at(now), &self.known(), now);
        self.0.apply_change_set(&plan);
        plan
    }

    fn sighted(&mut self, now: u64) -> ChangeSet {
        let plan = complete_catch_up(Some(&mainnet_info()), at(now), &self.known(), now);
        self.0.apply_change_set(&plan);
        plan
    }

    /// Starts and ends an outage, and returns both results.
    fn outage(&mut self, from: u64, to: u64) -> (String, String) {
        let lost = notified_recipients(&self.blind(&trouble(Kind::Unreachable, Severity::High, from), from));
        self.lifted(Kind::Unreachable, None, to);
        (lost, notified_recipients(&self.sighted(to)))
    }

    fn of(&self, kind: Kind) -> &Incident {
        let mut all = self.0.incidents.values().filter(|i| i.origin.outage().is_some_and(|b| b.kind == kind));
        let one = all.next().expect("an incident");
        assert!(all.next().is_none(), "one incident of {kind}");
        one
    }
}

fn line(plan: &ChangeSet) -> &BlindnessLine {
    let mut lines =
        plan.lines.iter().filter_map(|line| if let Line::Blindness(line) = line { Some(line) } else { None });
    lines.next_back().expect("a line of the blindness")
}

#[test]
fn a_chain_that_cannot_be_seen_pages_along_the_path_self_and_resolves_by_itself() {
    let mut sight = Sight::new();
    let plan = sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T);
    assert_eq!(notified_recipients(&plan), "trigger keeper");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(page.label, "Sight of mainnet");
    assert_eq!(page.headline, "mainnet cannot be seen since 2026-11-20T10:00:00Z: connection refused");
    assert_eq!(page.purpose, "While it lasts these are not watched: Treasury Safe, Child Safe, SNT, New Safe");
    assert_eq!((line(&plan).kind.as_str(), line(&plan).severity.as_str()), ("unreachable", "high"));
    assert_eq!(line(&plan).blinds.len(), 4);
    assert_eq!(
        notified_recipients(&sight.0.advance_timers(T + 5 * MINUTE)),
        "trigger boss",
        "it escalates as any other"
    );
    assert_eq!(
        notified_recipients(&sight.lifted(Kind::Unreachable, None, T + 6 * MINUTE)),
        "",
        "what was missed comes first"
    );
    let plan = sight.sighted(T + 7 * MINUTE);
    assert_eq!(notified_recipients(&plan), "resolve keeper, resolve boss");
    assert_eq!(sight.0.only_incident().state.kind(), State::Resolved);
    assert_eq!(line(&plan).until.as_deref(), Some("2026-11-20T10:07:00Z"));
    assert_eq!((line(&plan).seconds, line(&plan).blocks), (Some(420), Some(0)));
}

#[test]
fn the_end_tells_which_blocks_came_late_and_what_was_in_them() {
    let mut sight = Sight::new();
    sight.0.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T);
    sight.lifted(Kind::Unreachable, None, T + 134 * MINUTE);
    sight.0.commit_block(2, vec![], T + 134 * MINUTE);
    sight.0.commit_block(3, vec![treasury_finding(3, Severity::Critical)], T + 134 * MINUTE);
    // A process that stops during the catch-up loses nothing: the report is in the store.
    sight.0.commit_block(4, vec![treasury_finding(4, Severity::High)], T + 134 * MINUTE);
    let plan = sight.sighted(T + 134 * MINUTE);
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(
        page.change.as_deref(),
        Some("mainnet is seen again after 2 h 14 min: 3 blocks seen late, 2 findings in them")
    );
    let finding = |n: usize| page.report[n].rsplit_once(" (fnd_").map(|(said, _)| said);
    assert_eq!(page.report[0], "From 2026-11-20T10:00:00Z to 2026-11-20T12:14:00Z: 2 h 14 min");
    assert_eq!(page.report[1], "mainnet: 3 blocks seen late, 2 to 4; 2 findings in them, the loudest critical");
    assert_eq!(finding(2), Some("critical: Treasury Safe sent 60,000 SNT to Grantee: docs"));
    assert_eq!(finding(3), Some("high: Treasury Safe sent 60,000 SNT to Grantee: docs"));
    let late = &line(&plan).late[0];
    assert_eq!((late.from, late.to, late.blocks, late.findings), (2, 4, 3, 2));
    assert_eq!((line(&plan).blocks, late.severity), (Some(3), Some(Severity::Critical)));
    // The next block is seen in time.
    sight.0.commit_block(5, vec![treasury_finding(5, Severity::High)], T + 135 * MINUTE);
    assert_eq!(sight.of(Kind::Unreachable).origin.outage().unwrap().late[0].blocks, 3);
}

#[test]
fn a_reorg_while_blind_counts_each_block_that_stands_once() {
    let mut sight = Sight::new();
    sight.0.commit_block(1, vec![], T);
    sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T);
    let at = block_ref;
    sight.0.commit_block(2, vec![], T);
    sight.0.commit_block(3, vec![], T);
    let others = [
        judged_block(at(2, 1), at(1, 0), vec![]),
        judged_block(at(3, 1), at(2, 1), vec![]),
        judged_block(at(4, 1), at(3, 1), vec![]),
    ];
    sight.0.commit_step(&[at(3, 0), at(2, 0)], &others, T);
    let late = &sight.of(Kind::Unreachable).origin.outage().unwrap().late[0];
    assert_eq!((late.from, late.to, late.blocks), (2, 4, 3));
}

#[test]
fn a_warning_is_notified_and_pages_when_it_grows_louder_on_the_same_incident() {
    let mut sight = Sight::new();
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::StaleHead, Severity::Warning, T), T)), "trigger chat");
    assert_eq!(notified_recipients(&sight.0.advance_timers(T + 60 * MINUTE)), "", "nobody is woken by a warning");
    let plan = sight.blind(&trouble(Kind::StaleHead, Severity::High, T), T + MINUTE);
    assert_eq!(notified_recipients(&plan), "trigger keeper, update chat");
    assert_eq!(sight.of(Kind::StaleHead).severity, Severity::High);
    assert_eq!(notified_recipients(&sight.sighted(T + 2 * MINUTE)), "resolve chat, resolve keeper");
}

#[test]
fn one_outage_is_one_page_whatever_else_follows_from_it() {
    let mut sight = Sight::new();
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::StaleHead, Severity::Warning, T), T)), "trigger chat");
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T)), "trigger keeper");
    // The consequences are recorded as incidents of their own, and no one is notified.
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::StaleHead, Severity::High, T), T + MINUTE)), "");
    assert_eq!(notified_recipients(&sight.blind(&of_backup(Kind::EndpointDown, Severity::Warning, T), T + MINUTE)), "");
    assert_eq!(sight.0.incidents.len(), 3);
    // A false endpoint is a separate matter and pages.
    assert_eq!(
        notified_recipients(&sight.blind(&of_backup(Kind::WrongChain, Severity::High, T), T + MINUTE)),
        "trigger keeper"
    );
    let plan = sight.sighted(T + 5 * MINUTE);
    // The endpoint is still down, and no one was notified of that yet.
    let mut words: Vec<String> = notified_recipients(&plan).split(", ").map(str::to_owned).collect();
    words.sort();
    assert_eq!(words, ["resolve chat", "resolve keeper", "trigger chat"]);
    let state = |kind| sight.of(kind).state.kind();
    assert_eq!([state(Kind::Unreachable), state(Kind::StaleHead)], [State::Resolved; 2]);
    assert_eq!([state(Kind::EndpointDown), state(Kind::WrongChain)], [State::Open; 2]);
}

#[test]
fn the_other_way_round_a_head_that_stands_still_speaks_for_the_node_that_goes_away() {
    let mut sight = Sight::new();
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::StaleHead, Severity::High, T), T)), "trigger keeper");
    assert_eq!(notified_recipients(&sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T + MINUTE)), "");
    assert_eq!(
        notified_recipients(&sight.blind(&trouble(Kind::FinalizedReorg, Severity::Critical, T), T + MINUTE)),
        "trigger keeper"
    );
}

#[test]
fn an_endpoint_alone_is_a_warning_that_ends_when_it_is_back() {
    let mut sight = Sight::new();
    let plan = sight.blind(&of_backup(Kind::Lag, Severity::Warning, T), T);
    assert_eq!(notified_recipients(&plan), "trigger chat");
    assert_eq!(sight.0.only_incident().label, "Sight of mainnet through backup");
    assert!(line(&plan).blinds.is_empty(), "others see");
    let plan = sight.lifted(Kind::Lag, Some("backup"), T + MINUTE);
    assert_eq!(notified_recipients(&plan), "resolve chat");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(page.change.as_deref(), Some("lag at backup is over after 1 min"));
}

#[test]
fn what_comes_and_goes_is_never_louder_than_if_it_had_stayed() {
    let mut sight = Sight::new();
    let (mut pages, mut messages) = (0, 0);
    let mut hear = |words: &str| {
        pages += words.matches("trigger").count();
        messages += words.split(", ").filter(|word| !word.is_empty()).count();
    };
    // A minute of outage and a minute without, for an hour, without any acknowledgement.
    for n in 0..30 {
        let (from, to) = (T + n * 2 * MINUTE, T + (n * 2 + 1) * MINUTE);
        hear(&notified_recipients(&sight.blind(&trouble(Kind::Unreachable, Severity::High, from), from)));
        (1..60).for_each(|second| hear(&notified_recipients(&sight.0.advance_timers(from + second * 1000))));
        sight.lifted(Kind::Unreachable, None, to);
        hear(&notified_recipients(&sight.sighted(to)));
        (1..60).for_each(|second| hear(&notified_recipients(&sight.0.advance_timers(to + second * 1000))));
    }
    let mut lasting = Sight::new();
    lasting.blind(&trouble(Kind::Unreachable, Severity::High, T), T);
    let lasted: usize = (1..3_600)
        .map(|second| notified_recipients(&lasting.0.advance_timers(T + second * 1000)).matches("trigger").count())
        .sum::<usize>()
        + 1;
    assert!(pages <= lasted, "{pages} pages for what comes and goes, {lasted} for what stays");
    assert_eq!(messages, pages + 2, "beside pages, its first end and its first return");
    assert_eq!(sight.0.incidents.len(), 1);
    // It closes once it has stayed away, with a report.
    let end = T + 59 * MINUTE;
    let plan = sight.0.advance_timers(end + RETURNS_WITHIN_MS);
    assert!(notified_recipients(&plan).contains("resolve keeper"), "{}", notified_recipients(&plan));
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(page.change.as_deref(), Some("mainnet is seen again after 30 min"));
    assert_eq!(page.report[0], "From 2026-11-20T10:00:00Z to 2026-11-20T10:59:00Z: 30 min in 30 stretches");
}

#[test]
fn a_return_is_told_to_whoever_is_only_notified_and_pages_if_it_lasts() {
    let mut sight = Sight::new();
    assert_eq!(sight.outage(T, T + MINUTE), ("trigger keeper".to_owned(), "resolve keeper".to_owned()));
    let plan = sight.blind(&trouble(Kind::Unreachable, Severity::High, T + 2 * MINUTE), T + 2 * MINUTE);
    assert_eq!(notified_recipients(&plan), "update chat");
    assert_eq!(sight.0.only_incident().state.kind(), State::Open);
    assert_eq!(notified_recipients(&sight.0.advance_timers(T + 4 * MINUTE)), "");
    assert_eq!(
        notified_recipients(&sight.0.advance_timers(T + 5 * MINUTE)),
        "trigger boss",
        "when it was due all along"
    );
}

#[test]
fn whoever_took_it_keeps_it_when_it_comes_back() {
    let mut sight = Sight::new();
    sight.blind(&trouble(Kind::Unreachable, Severity::High, T), T);
    sight.0.respond_with(|incident| acknowledge_incident(incident, "keeper", T));
    sight.sighted(T + MINUTE);
    sight.blind(&trouble(Kind::Unreachable, Severity::High, T + 2 * MINUTE), T + 2 * MINUTE);
    assert_eq!(sight.0.only_incident().state.kind(), State::Acknowledged);
    assert_eq!(notified_recipients(&sight.0.advance_timers(T + 10 * MINUTE)), "");
}

#[test]
fn an_hour_later_it_is_another_outage() {
    let mut sight = Sight::new();
    sight.outage(T, T + MINUTE);
    let later = T + 60 * MINUTE;
    assert_eq!(sight.outage(later, later + MINUTE), ("trigger keeper".to_owned(), "resolve keeper".to_owned()));
    assert_eq!(sight.0.incidents.len(), 2);
}

#[test]
fn what_somebody_closed_by_hand_is_told_again_when_it_grows() {
    let mut sight = Sight::new();
    sight.blind(&trouble(Kind::StaleHead, Severity::Warning, T), T);
    sight.0.respond_with(|incident| resolve_incident(incident, "keeper", T));
    let plan = sight.blind(&trouble(Kind::StaleHead, Severity::High, T), T + MINUTE);
    assert_eq!(notified_recipients(&plan), "trigger keeper");
    let keys: std::collections::BTreeSet<_> = sight.0.outbox.iter().map(|message| message.key.clone()).collect();
    assert_eq!(keys.len(), sight.0.outbox.len(), "no message passes for one that was sent before");
}

#[test]
fn evidence_is_named_on_the_page_and_bounded() {
    let mut sight = Sight::new();
    for n in 0..20 {
        let file = format!("watchfire.db.evidence/{n}.json.gz");
        let trouble = of_backup(Kind::RefusedBlock, Severity::High, T);
        let plan = open_outage(&trouble, Some(&mainnet_info()), Some(&file), &sight.known(), &sight.0.roster, T + n);
        sight.0.apply_change_set(&plan);
        assert_eq!(notified_recipients(&plan), if n == 0 { "trigger keeper" } else { "" });
    }
    let incident = sight.of(Kind::RefusedBlock);
    assert_eq!(incident.page.report[0], "Evidence: watchfire.db.evidence/0.json.gz");
    assert_eq!(incident.page.report.len(), 8);
}

#[test]
fn a_store_that_refuses_hides_every_chain_and_is_reminded_of_under_keys_of_its_own() {
    let mut sight = Sight::new();
    let trouble = trouble(Kind::StoreRefuses, Severity::High, T);
    let plan = open_outage(&trouble, None, None, &[], &sight.0.roster, T);
    let incident = plan.incidents[0].clone();
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(page.headline, "Nothing can be written down since 2026-11-20T10:00:00Z: connection refused");
    let again = remind_first_step(&incident, "Nothing has been written down for 5 min", T + 5 * MINUTE);
    assert_eq!(notified_recipients(&again), "trigger keeper");
    assert_ne!(again.deliveries[0].key, plan.deliveries[0].key);
    sight.0.apply_change_set(&again);
    sight.0.commit_block(1, vec![treasury_finding(1, Severity::High)], T + 6 * MINUTE);
    let plan = complete_catch_up(None, at(T + 6 * MINUTE), &sight.known(), T + 6 * MINUTE);
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!(
        page.change.as_deref(),
        Some("What is seen can be written down again after 6 min: 1 block seen late, 1 finding in them")
    );
}

#[test]
fn a_disk_that_is_only_nearly_full_makes_no_block_late() {
    let mut sight = Sight::new();
    let trouble = trouble(Kind::StoreRefuses, Severity::Warning, T);
    let plan = open_outage(&trouble, None, None, &[], &sight.0.roster, T);
    assert_eq!(notified_recipients(&plan), "trigger chat");
    sight.0.apply_change_set(&plan);
    sight.0.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    assert!(sight.of(Kind::StoreRefuses).origin.outage().unwrap().late.is_empty());
}

#[test]
fn a_block_seen_late_says_so_in_its_line_and_on_its_page() {
    let mut kept = Kept::new();
    let id = mainnet_info().id;
    let plan = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T + 8_040_000);
    let late = |plan: &ChangeSet| {
        let verdict = plan.lines.iter().find_map(|l| if let Line::Verdict(v) = l { Some(v.late) } else { None });
        let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
        (verdict.flatten(), page.evidence[0].late)
    };
    assert_eq!(late(&plan), (None, None), "a chain whose clock is not ours is never late");
    let first = plan.deliveries[0].incident.clone();
    let mut kept = Kept::new();
    kept.roster.lateness.insert(id, 60);
    let plan = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T + 8_040_000);
    let seconds = (T + 8_040_000) / 1000 - (1_795_168_000 + 12);
    assert_eq!(late(&plan), (Some(seconds), Some(seconds)));
    assert_eq!(plan.deliveries[0].incident, first, "it is the same finding all the same");
    let plan = kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], (1_795_168_024 + 60) * 1000);
    assert_eq!(late(&plan), (None, None), "a minute is nothing");
}
