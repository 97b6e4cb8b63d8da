//! A store that an earlier schema wrote, with incidents of every origin in every state: `earlier/schema_10.sql` is its
//! dump, and `earlier/schema_10.txt` is what the program of that schema did with it.

use super::*;
use crate::escalate::{
    acknowledge_incident, advance_timers, complete_catch_up, finding_line, incident_line, resolve_incident,
};
use crate::model::incident::{Body, DeliveryKind, Incident};
use crate::model::{IncidentScope, Severity};
use crate::store::Filter;
use std::fmt::Write;

const SCHEMA_10: &str = include_str!("earlier/schema_10.sql");

/// Opens the dump, changed by some SQL, as a store, which brings it to the newest schema.
async fn open_dump(dump: &str, change: &str) -> Kit {
    let dir = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(dump).unwrap();
    db.execute_batch(change).unwrap();
    drop(db);
    let store = Store::open(&dir.path().join("store.db")).await.unwrap();
    let mut roster = sample_routing();
    roster.paths.insert("self".into(), paging_path("self", &[(&["keeper"], 300), (&["boss"], 600)]));
    Kit { store, roster, dir }
}

#[tokio::test]
async fn incidents_of_an_earlier_schema_escalate_and_are_answered_and_close_as_before() {
    let kit = open_dump(SCHEMA_10, "").await;
    let (before, after) = (include_str!("earlier/schema_10.txt"), record_behavior(&kit).await);
    for (place, (before, after)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(after, before, "line {}", place + 1);
    }
    assert_eq!(after.lines().count(), before.lines().count());
    assert_eq!(kit.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#[tokio::test]
async fn an_outage_from_before_outages_were_recorded_ends_too() {
    let of_chain = "UPDATE incidents SET body = json_remove(body, '$.blindness') \
                    WHERE json_extract(body, '$.label') = 'Sight of mainnet'";
    let kit = open_dump(SCHEMA_10, of_chain).await;
    let until = jiff::Timestamp::from_millisecond(T as i64).unwrap();
    let engine = move |known: &[_]| complete_catch_up(Some(&mainnet_info()), until, known, T);
    let plan = kit.store.commit_visibility(IncidentScope::Chain(MAINNET), T, engine).await.unwrap();
    assert_eq!(notified_recipients(&plan), "resolve keeper");
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused_and_named() {
    let kit = open_dump(SCHEMA_10, "").await;
    let db = rusqlite::Connection::open(kit.file()).unwrap();
    db.execute("UPDATE incidents SET body = json_set(body, '$.v', 10) WHERE seq = 1", []).unwrap();
    let error = kit.store.list_incidents(Filter::default()).await.unwrap_err();
    assert!(error.to_string().contains("shape 10"), "{error}");
}

/// Returns every incident and finding of a store as their lines, and what becomes of them as time passes, as people
/// respond, and as the chain continues.
async fn record_behavior(kit: &Kit) -> String {
    let mut said = String::new();
    list_incidents(kit, &mut said).await;
    for after_ms in [400_000, 1_000_000] {
        let plan = kit.store.commit_change(T + after_ms, move |open| advance_timers(open, T + after_ms)).await.unwrap();
        list_messages(&format!("after {after_ms} ms"), &plan, &mut said);
    }
    for incident in all_incidents(kit).await {
        let now_ms = T + 1_100_000;
        let respond = move |incident: &Incident| acknowledge_incident(incident, "carol", now_ms);
        match kit.store.commit_response(incident.id.clone(), now_ms, Some(99), respond).await.unwrap() {
            Ok(answered) => list_messages("acknowledged", &answered.plan, &mut said),
            Err(refused) => writeln!(said, "acknowledged: {refused}").unwrap(),
        }
    }
    let now_ms = T + 86_400_000;
    let plan = kit.store.commit_change(now_ms, move |open| advance_timers(open, now_ms)).await.unwrap();
    list_messages("a day later", &plan, &mut said);
    let until = jiff::Timestamp::from_millisecond(now_ms as i64).unwrap();
    let engine = move |known: &[_]| complete_catch_up(Some(&mainnet_info()), until, known, now_ms);
    list_messages(
        "caught up",
        &kit.store.commit_visibility(IncidentScope::Chain(MAINNET), now_ms, engine).await.unwrap(),
        &mut said,
    );
    let engine = move |known: &[_]| complete_catch_up(None, until, known, now_ms);
    list_messages(
        "writes again",
        &kit.store.commit_visibility(IncidentScope::Program, now_ms, engine).await.unwrap(),
        &mut said,
    );
    let next = judged_block(block_ref(25, 1), block_ref(24, 0), vec![treasury_finding(5, Severity::High)]);
    let next = JudgedBlock { time: T / 1000 + 2 * 86_400, ..next };
    list_messages("a reorg, and a new day", &kit.step(&[block_ref(25, 0)], vec![next]).await.unwrap(), &mut said);
    for incident in all_incidents(kit).await {
        let respond = move |incident: &Incident| resolve_incident(incident, "dave", now_ms);
        match kit.store.commit_response(incident.id.clone(), now_ms, Some(99), respond).await.unwrap() {
            Ok(answered) => list_messages("resolved", &answered.plan, &mut said),
            Err(refused) => writeln!(said, "resolved: {refused}").unwrap(),
        }
    }
    list_incidents(kit, &mut said).await;
    said
}

async fn all_incidents(kit: &Kit) -> Vec<Incident> {
    let mut all = kit.store.list_incidents(Filter::default()).await.unwrap();
    all.reverse();
    all
}

async fn list_incidents(kit: &Kit, said: &mut String) {
    for incident in all_incidents(kit).await {
        let findings = kit.store.findings_of(&incident.id).await.unwrap();
        let ids: Vec<_> = findings.iter().map(|finding| finding.id.clone()).collect();
        writeln!(said, "{}", serde_json::to_string(&incident_line(&incident, &ids)).unwrap()).unwrap();
        for finding in &findings {
            writeln!(said, "  {}", serde_json::to_string(&finding_line(finding, &kit.roster)).unwrap()).unwrap();
        }
    }
}

fn list_messages(what: &str, plan: &ChangeSet, said: &mut String) {
    writeln!(said, "{what}:").unwrap();
    for delivery in plan.deliveries.iter().filter(|delivery| delivery.kind != DeliveryKind::Feed) {
        let Body::Page(page) = &delivery.body else { continue };
        let (kind, to, change) = (delivery.kind.as_str(), &delivery.destination, page.change.as_deref());
        writeln!(said, "  {} {kind} {to}: {}: {}", delivery.key, page.label, page.headline).unwrap();
        writeln!(said, "    {} {}", page.state.as_str(), change.unwrap_or_default()).unwrap();
        page.report.iter().for_each(|line| writeln!(said, "    {line}").unwrap());
    }
}
