//! What is announced and in no block yet: a node whose blocks come when they are told to, and the program as it is run.

use super::Row;
use crate::pending::Stage;
use crate::support::accounts::{GRANTEE, PAYER};
use serde_json::Value;
use watchfire::model::Severity::High;

pub(super) const ROWS: &[&Row] = &[&E6];

const E6: Row = Row {
    id: "E6-war",
    finds: "a payment that waits for its block is displaced by something else for the same nonce, though a rule vouches for that as well",
    by: "builtin/replaced",
    severity: High,
    incidents: 1,
    beside: "a higher bid for the same payment; and a cancellation, by a rule that may replace",
};

/// Whether a finding of this row was told, each incident counted once.
fn told(stage: &Stage, row: &Row) -> bool {
    let found = stage.of("verdict").into_iter().filter(|line| line["finding_id"].is_string());
    let found: Vec<Value> = found.collect();
    let mut incidents: Vec<&Value> = found.iter().map(|line| &line["incident_id"]).collect();
    incidents.dedup();
    let as_said = |line: &Value| line["by"] == row.by && line["severity"] == row.severity.to_string();
    assert!(found.iter().all(as_said) && incidents.len() <= row.incidents, "{}: {found:#?}", row.id);
    !found.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_payment_is_displaced() {
    let own = PAYER.address;
    let more = format!("[[watch.normal]]\nname = \"back\"\nact = \"ether\"\nto = [\"{own}\"]");
    for (rule, silent) in [(more.clone(), false), (format!("{more}\nreplaces = true"), true)] {
        let mut stage = Stage::new(&rule).await;
        stage.watch.set("WATCHFIRE_LOG", "info,watchfire::pipeline=debug");
        let process = stage.start().await;
        // A node tells of what it holds: what is displaced before it was asked for is not known to anybody.
        for (to, gwei) in [(GRANTEE.address, 10), (GRANTEE.address, 20), (own, 40)] {
            let hash = stage.pays(to, 0, gwei).await;
            let judged = format!("judged the pending transaction {hash}");
            stage.until("it is judged", || stage.watch.log().contains(&judged)).await;
        }
        // What is found behind it says that all of these were heard.
        if silent {
            let beacon = stage.pays(crate::support::accounts::STRANGER.address, 1, 10).await;
            let heard = |line: &Value| line["tx"] == beacon.to_string();
            stage.until("the last is heard", || stage.of("verdict").iter().any(heard)).await;
            let others = stage.of("verdict").into_iter().filter(|line| line["finding_id"].is_string() && !heard(line));
            assert_eq!(others.count(), 0, "{:#?}", stage.told());
        } else {
            stage.tells("high builtin/replaced pending").await;
            assert!(told(&stage, &E6), "{:#?}", stage.told());
        }
        process.end().await;
    }
}
