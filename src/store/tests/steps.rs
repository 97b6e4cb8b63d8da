//! Commits of steps: what they write, what they reject, and what readers see.

use super::*;
use crate::escalate::{ResponseError, acknowledge_incident, advance_timers, resolve_incident};
use crate::model::incident::{Finding, Incident};
use crate::model::incident_state::State;
use crate::model::{IncidentId, IncidentScope, Severity, WindowEntry};
use crate::runtime::Moment;
use crate::store::{Filter, StoreError, WINDOW_BLOCKS_MAX};
use alloy_primitives::U256;

fn with_delta(mut block: JudgedBlock, amount: u64) -> JudgedBlock {
    block.deltas.push(WindowEntry {
        watch: numbered_address(TREASURY),
        rule: "friday-grants".into(),
        amount: U256::from(amount),
    });
    block
}

#[tokio::test]
async fn the_first_place_of_a_chain_is_committed_once() {
    let kit = Kit::new().await;
    kit.store.begin_chain(MAINNET, 50).await.unwrap();
    assert_eq!(kit.store.first_block_number(MAINNET).await.unwrap(), Some(0), "a chain that began keeps its place");
    assert_eq!(kit.store.last_committed_block(ChainId(5)).await.unwrap(), None);
    assert_eq!(kit.store.first_block_number(ChainId(5)).await.unwrap(), None);
    kit.store.begin_chain(ChainId(5), 50).await.unwrap();
    assert_eq!(kit.store.first_block_number(ChainId(5)).await.unwrap(), Some(50));
    assert_eq!(kit.store.last_committed_block(ChainId(5)).await.unwrap(), None, "nothing is judged yet");
}

#[tokio::test]
async fn a_step_commits_its_blocks_activities_windows_incidents_and_messages_together() {
    let kit = Kit::new().await;
    let judged = vec![judged_normal(snt_transfer(TREASURY, 1, &[0], 5)), treasury_finding(2, Severity::High)];
    let block = with_delta(judged_block(block_ref(1, 0), block_ref(0, 0), judged), 5);
    let plan = kit.step(&[], vec![block]).await.unwrap();
    assert_eq!(notified_recipients(&plan), "trigger pager");
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(1, 0)));
    assert_eq!(kit.number("SELECT count(*) FROM activities"), 2);
    let deltas = kit.store.window_entries_since(MAINNET, 0).await.unwrap();
    assert_eq!((deltas.len(), deltas[0].at, deltas[0].delta.amount), (1, block_ref(1, 0), U256::from(5)));
    assert_eq!(kit.store.window_entries_since(MAINNET, deltas[0].time + 1).await.unwrap(), []);
    let incident = kit.store.find_incident(plan.incidents[0].id.as_str()).await.unwrap();
    assert_eq!(incident, plan.incidents[0]);
    assert_eq!(kit.store.findings_of(&incident.id).await.unwrap(), plan.findings);
    let counts = kit.store.counts().await.unwrap();
    assert_eq!((counts.incidents_live, counts.findings_standing, counts.waiting["pager"].messages), (1, 1, 1));
}

#[tokio::test]
async fn a_step_whose_engine_panics_leaves_nothing_and_the_store_goes_on() {
    let kit = Kit::new().await;
    let step = kit.owned(
        &[],
        vec![with_delta(judged_block(block_ref(1, 0), block_ref(0, 0), vec![treasury_finding(1, Severity::High)]), 1)],
    );
    let refusal = kit.store.commit_step(step, T, |_, _| panic!("out of cheese")).await.unwrap_err();
    assert_eq!(refusal.to_string(), "planning panicked: out of cheese");
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(0, 0)));
    assert_eq!(kit.number("SELECT (SELECT count(*) FROM deltas) + (SELECT count(*) FROM incidents)"), 0);
    assert_eq!(notified_recipients(&kit.block(1, vec![treasury_finding(1, Severity::High)]).await), "trigger pager");
}

#[tokio::test]
async fn a_plan_that_cannot_be_written_in_full_is_not_written_at_all() {
    let kit = Kit::new().await;
    let roster = kit.roster.clone();
    let step =
        kit.owned(&[], vec![judged_block(block_ref(1, 0), block_ref(0, 0), vec![treasury_finding(1, Severity::High)])]);
    let engine = move |step: &crate::escalate::StepJudged<'_>, standing: &_| {
        let mut plan = step_change_set(step, standing, &roster, T);
        // A finding of an incident that does not exist.
        plan.findings.push(Finding {
            incident: IncidentId("inc_none".into()),
            id: crate::model::FindingId("fnd_x".into()),
            ..plan.findings[0].clone()
        });
        plan
    };
    assert!(matches!(kit.store.commit_step(step, T, engine).await, Err(StoreError::Sqlite(_))));
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(0, 0)));
    assert_eq!(kit.number("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM incidents)"), 0);
}

#[tokio::test]
async fn a_step_that_does_not_build_on_the_cursor_is_refused() {
    let kit = Kit::new().await;
    let gap = kit.step(&[], vec![judged_block(block_ref(2, 0), block_ref(1, 0), vec![])]).await;
    assert!(matches!(gap, Err(StoreError::Gap { cursor, .. }) if cursor == block_ref(0, 0)), "{gap:?}");
    // The right parent with the wrong number is rejected as well.
    let jump = kit.step(&[], vec![judged_block(block_ref(7, 0), block_ref(0, 0), vec![])]).await;
    assert!(matches!(jump, Err(StoreError::Gap { .. })), "{jump:?}");
    kit.block(1, vec![]).await;
    let twice = kit.step(&[], vec![judged_block(block_ref(1, 0), block_ref(0, 0), vec![])]).await;
    assert!(matches!(twice, Err(StoreError::Gap { .. })), "{twice:?}");
    let stranger = kit.step(&[block_ref(1, 7)], vec![judged_block(block_ref(1, 8), block_ref(0, 0), vec![])]).await;
    assert!(matches!(stranger, Err(StoreError::Unknown(_))), "{stranger:?}");
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(1, 0)));
    kit.step(&[block_ref(0, 0), block_ref(1, 0)], vec![]).await.unwrap();
    assert_eq!(
        kit.store.last_committed_block(MAINNET).await.unwrap(),
        None,
        "a chain may be taken back to where it began"
    );
}

#[tokio::test]
async fn a_reorg_takes_window_entries_away_and_marks_activities() {
    let kit = Kit::new().await;
    kit.step(&[], vec![with_delta(judged_block(block_ref(1, 0), block_ref(0, 0), vec![]), 1)]).await.unwrap();
    let second = judged_block(block_ref(2, 0), block_ref(1, 0), vec![treasury_finding(1, Severity::High)]);
    kit.step(&[], vec![with_delta(second, 2)]).await.unwrap();
    let fork = with_delta(judged_block(block_ref(2, 1), block_ref(1, 0), vec![]), 4);
    let plan =
        kit.step(&[block_ref(2, 0)], vec![fork, judged_block(block_ref(3, 1), block_ref(2, 1), vec![])]).await.unwrap();
    assert_eq!(notified_recipients(&plan), "retract pager, resolve pager");
    let amounts: Vec<U256> =
        kit.store.window_entries_since(MAINNET, 0).await.unwrap().iter().map(|past| past.delta.amount).collect();
    assert_eq!(amounts, [U256::from(1), U256::from(4)]);
    let window: Vec<BlockRef> = kit.store.recent_blocks(MAINNET).await.unwrap().iter().map(|block| block.at).collect();
    assert_eq!(window, [block_ref(0, 0), block_ref(1, 0), block_ref(2, 1), block_ref(3, 1)]);
    assert_eq!(kit.number("SELECT count(*) FROM activities WHERE orphaned = 1"), 1);
    let counts = kit.store.counts().await.unwrap();
    assert_eq!((counts.findings_standing, counts.findings_retracted, counts.incidents_live), (0, 1, 0));
}

#[tokio::test]
async fn even_the_first_block_can_be_reorged_away() {
    let kit = Kit::new().await;
    let other = JudgedBlock { parent: block_ref(9, 8).hash, ..judged_block(block_ref(0, 1), block_ref(0, 0), vec![]) };
    kit.step(&[block_ref(0, 0)], vec![other]).await.unwrap();
    assert_eq!(
        kit.store.last_committed_block(MAINNET).await.unwrap(),
        Some(block_ref(0, 1)),
        "nothing before the first block is of interest"
    );
    let skipped = judged_block(block_ref(2, 1), block_ref(1, 1), vec![]);
    assert!(
        matches!(kit.step(&[block_ref(0, 1)], vec![skipped]).await, Err(StoreError::Gap { .. })),
        "but it has to be that one"
    );
}

#[tokio::test]
async fn the_engine_is_given_what_returns_even_when_its_incident_is_long_closed() {
    let kit = Kit::new().await;
    kit.block(1, vec![treasury_finding(1, Severity::High)]).await;
    kit.step(&[block_ref(1, 0)], vec![judged_block(block_ref(1, 1), block_ref(0, 0), vec![])]).await.unwrap();
    let plan = kit
        .step(&[], vec![judged_block(block_ref(2, 1), block_ref(1, 1), vec![treasury_finding(1, Severity::High)])])
        .await
        .unwrap();
    assert_eq!(
        (notified_recipients(&plan).as_str(), plan.findings[0].revision, plan.incidents[0].cycle),
        ("trigger pager", 3, 1)
    );
    assert_eq!(kit.store.list_incidents(Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening_again() {
    let kit = Kit::new().await;
    let block =
        with_delta(judged_block(block_ref(1, 0), block_ref(0, 0), vec![treasury_finding(1, Severity::High)]), 7);
    let plan = kit.step(&[], vec![block]).await.unwrap();
    let Kit { store, dir, .. } = kit;
    drop(store);
    let store = Store::open(&dir.path().join("store.db")).await.unwrap();
    assert_eq!(store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(1, 0)));
    assert_eq!(store.list_incidents(Filter { live: true, ..Filter::default() }).await.unwrap(), plan.incidents);
    assert_eq!(store.window_entries_since(MAINNET, 0).await.unwrap().len(), 1);
    let leased = store.lease_any_budget(T, 10, 1000, vec!["pager".into()]).await.unwrap();
    assert_eq!(leased[0].delivery, plan.deliveries[0]);
}

#[tokio::test]
async fn two_processes_that_acknowledge_at_once_see_each_other() {
    let kit = Kit::new().await;
    let id = kit.block(1, vec![treasury_finding(1, Severity::High)]).await.incidents[0].id.clone();
    let page = kit.store.lease_any_budget(T, 1, 1000, vec!["pager".into()]).await.unwrap().remove(0);
    kit.store.mark_sent(&page.delivery.key, T).await.unwrap();
    let other = kit.other().await;
    let ack = |store: Store, who: &'static str| {
        let id = id.clone();
        async move {
            store.commit_response(id, T, None, move |incident| acknowledge_incident(incident, who, T)).await.unwrap()
        }
    };
    for round in 0..20 {
        let (one, two) = tokio::join!(ack(kit.store.clone(), "one"), ack(other.clone(), "two"));
        let winner = match (&one, &two) {
            (Ok(_), Err(ResponseError::Acknowledged(who))) if who == "one" => "one",
            (Err(ResponseError::Acknowledged(who)), Ok(_)) if who == "two" => "two",
            both => panic!("round {round}: {both:?}"),
        };
        let incident = other.find_incident(id.as_str()).await.unwrap();
        assert_eq!(incident.state.acknowledged_by(), Some(winner));
        // The passing of time returns the incident to open.
        kit.store.commit_change(T, |live| advance_timers(live, T + 3_600_000)).await.unwrap();
    }
}

#[tokio::test]
async fn an_incident_is_found_by_the_beginning_of_its_id() {
    let kit = Kit::new().await;
    let child = judged_abnormal(snt_transfer(CHILD, 2, &[0], 1), "builtin/unvouched", Severity::High);
    let plan = kit.block(1, vec![treasury_finding(1, Severity::High), child]).await;
    let id = &plan.incidents[0].id;
    assert_eq!(kit.store.find_incident(&id.as_str()[..12]).await.unwrap().id, *id);
    assert_eq!(kit.store.find_incident(&id.as_str()[4..12]).await.unwrap().id, *id);
    assert!(matches!(kit.store.find_incident("zz%").await, Err(StoreError::NoIncident(_))));
    let ambiguous = kit.store.find_incident("inc_").await.unwrap_err();
    assert!(matches!(&ambiguous, StoreError::Ambiguous { candidates, .. } if candidates.len() == 2), "{ambiguous}");
}

#[tokio::test]
async fn incidents_are_listed_newest_first_through_a_filter() {
    let kit = Kit::new().await;
    let token = judged_abnormal(snt_transfer(TOKEN, 2, &[0], 1), "builtin/unvouched", Severity::High);
    let plan = kit.block(1, vec![treasury_finding(1, Severity::High), token]).await;
    let (treasury, token) = (plan.incidents[0].clone(), plan.incidents[1].clone());
    kit.store
        .commit_response(treasury.id.clone(), T, Some(u32::MAX), |i| resolve_incident(i, "x", T))
        .await
        .unwrap()
        .unwrap();
    let labels = |filter| async {
        let found = kit.store.list_incidents(filter).await.unwrap();
        found.into_iter().map(|incident| incident.label).collect::<Vec<_>>()
    };
    assert_eq!(labels(Filter::default()).await, ["SNT", "Treasury Safe"]);
    assert_eq!(labels(Filter { live: true, ..Filter::default() }).await, ["SNT"]);
    assert_eq!(labels(Filter { path: Some("treasury".into()), ..Filter::default() }).await, ["Treasury Safe"]);
    assert_eq!(labels(Filter { scope: Some(IncidentScope::Chain(ChainId(5))), ..Filter::default() }).await, [""; 0]);
    assert_eq!(labels(Filter { limit: Some(1), ..Filter::default() }).await, [token.label]);
    assert_eq!(kit.store.find_incident(treasury.id.as_str()).await.unwrap().state.kind(), State::Resolved);
}

#[tokio::test]
async fn old_blocks_leave_the_window_and_old_rows_are_pruned_when_asked() {
    let kit = Kit::new().await;
    let last = WINDOW_BLOCKS_MAX + 10;
    let blocks =
        (1..=last).map(|n| with_delta(judged_block(block_ref(n, 0), block_ref(n - 1, 0), vec![]), 1)).collect();
    kit.step(&[], blocks).await.unwrap();
    let window = kit.store.recent_blocks(MAINNET).await.unwrap();
    assert_eq!((window.len() as u64, window[0].at), (WINDOW_BLOCKS_MAX, block_ref(11, 0)));
    let all: Vec<BlockRef> = window.iter().map(|block| block.at).collect();
    let nothing_left = kit.step(&all, vec![]).await;
    assert!(matches!(nothing_left, Err(StoreError::Unknown(_))), "the place in the chain would be lost");
    let times: Vec<u64> =
        kit.store.window_entries_since(MAINNET, 0).await.unwrap().iter().map(|past| past.time).collect();
    assert_eq!(times.len() as u64, last, "windows reach further back than reorgs");
    let pruned = kit.store.prune_expired(MAINNET, times[100], T).await.unwrap();
    assert_eq!((pruned.deltas, pruned.messages), (100, 0));
}

#[tokio::test]
async fn deadlines_move_with_a_clock_that_was_set_while_nobody_ran() {
    let boot = |boot: &str, since_boot_ms: u64, utc_ms: u64| Moment { boot: boot.to_owned(), since_boot_ms, utc_ms };
    let hour = 3_600_000;
    // The moment recorded at the start, the moment read at the next start, and the shift of the deadlines.
    for (now, moved) in [
        (boot("a", 61_000, T + 60_000), None),
        (boot("a", 61_000, T + 61_500), None),
        (boot("a", 61_000, T + 60_000 - hour), Some(-3_600_000)),
        (boot("a", 61_000, T + 60_000 + hour), Some(3_600_000)),
        // The machine was off: time may have passed, but it never goes back.
        (boot("b", 1_000, T + hour), None),
        (boot("b", 1_000, T - hour), Some(-3_600_000)),
    ] {
        let kit = Kit::new().await;
        assert_eq!(kit.store.rebase_deadlines(boot("a", 1_000, T)).await.unwrap(), None);
        kit.block(1, vec![treasury_finding(1, Severity::High)]).await;
        let before = kit.store.list_incidents(Filter::live_only()).await.unwrap();
        let due = kit.number("SELECT min(next_at_ms) FROM outbox");
        assert_eq!(kit.store.rebase_deadlines(now.clone()).await.unwrap(), moved, "{now:?}");
        let by = moved.unwrap_or(0);
        let after = kit.store.list_incidents(Filter::live_only()).await.unwrap();
        let step = |of: &[Incident]| of[0].state.next_escalation().unwrap();
        assert_eq!(step(&after), step(&before).saturating_add_signed(by), "{now:?}");
        assert_eq!(kit.number("SELECT min(next_at_ms) FROM outbox"), due + by, "{now:?}");
        assert_eq!(kit.store.last_moment().await.unwrap(), Some(now.clone()));
        assert_eq!(kit.store.rebase_deadlines(now).await.unwrap(), None, "moved once");
    }
}
