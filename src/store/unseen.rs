//! Evidence that is only on pages which no destination accepted. An answer does not cover it.

use super::incidents::{self, decode_body};
use super::{Result, commit, lanes};
use crate::escalate;
use crate::model::Severity;
use crate::model::ids::{FindingId, IncidentId};
use crate::model::incident::{Body, Incident};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// Evidence on pages that wait or were given up, and on no page that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Severity of the evidence.
    pub severity: Severity,
    /// Headline of the evidence on the page.
    pub headline: String,
    /// Destinations of its pages.
    pub destinations: BTreeSet<String>,
    /// Last error of one of its pages; `None` where none was tried.
    pub error: Option<String>,
}

/// Evidence as shown on a page: a different amount makes it different evidence. A page without evidence counts by its
/// incident alone.
type Item = (Option<FindingId>, Severity, String);

fn body_items(body: &Body) -> BTreeSet<Item> {
    let Body::Page(page) = body else { return BTreeSet::new() };
    let item = |e: &crate::model::page::Evidence| (Some(e.finding.clone()), e.severity, e.headline.clone());
    let listed: BTreeSet<Item> = page.evidence.iter().filter(|e| !e.orphaned).map(item).collect();
    if page.evidence.is_empty() { BTreeSet::from([(None, Severity::Critical, String::new())]) } else { listed }
}

/// Returns the evidence of an incident that stands only on pages that wait or are dead letters. Evidence on a page in
/// flight counts as seen: if that page fails, [`hold_for_retry`] handles it.
pub(super) fn unseen_findings(db: &Connection, incident: &Incident) -> Result<Vec<Unseen>> {
    let sql = "SELECT body, destination, last_error FROM outbox WHERE incident = ?1 AND kind = 'trigger' \
               AND state IN ('due', 'dead') ORDER BY seq";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([incident.id.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let mut waiting: BTreeMap<Item, Unseen> = BTreeMap::new();
    for row in rows {
        let (body, destination, error) = row?;
        for item in body_items(&decode_body("outbox", &body)?) {
            let fresh = || Unseen {
                severity: item.1,
                headline: if item.2.is_empty() { incident.page.headline.clone() } else { item.2.clone() },
                destinations: BTreeSet::new(),
                error: None,
            };
            let unseen = waiting.entry(item.clone()).or_insert_with(fresh);
            unseen.destinations.insert(destination.clone());
            unseen.error = error.clone().or(unseen.error.take());
        }
    }
    let left = unseen_items_left(db, incident, waiting.keys().cloned().collect(), "'sent', 'leased'", NONE)?;
    Ok(waiting.into_iter().filter(|(item, _)| left.contains(item)).map(|(_, unseen)| unseen).collect())
}

/// Sequence number of no message: messages are numbered from 1.
const NONE: i64 = 0;

/// Returns those of `items` that are active, severe enough to page, and on no page in one of `states` except the page
/// at `except`.
fn unseen_items_left(
    db: &Connection,
    incident: &Incident,
    mut items: BTreeSet<Item>,
    states: &str,
    except: i64,
) -> Result<BTreeSet<Item>> {
    let sql = format!(
        "SELECT body FROM outbox WHERE incident = ?1 AND kind = 'trigger' AND state IN ({states}) AND seq <> ?2 ORDER BY seq DESC"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut seen = statement.query(params![incident.id.as_str(), except])?;
    while let Some(row) = seen.next()?.filter(|_| !items.is_empty()) {
        for item in body_items(&decode_body("outbox", &row.get::<_, String>(0)?)?) {
            items.remove(&item);
        }
    }
    let mut standing = BTreeSet::new();
    for item in items {
        let stands = match &item.0 {
            None => true,
            Some(id) => {
                item.1 >= incident.path.page_at
                    && incidents::finding_by_id(db, id)?
                        .is_some_and(|known| !known.orphaned && known.incident == incident.id)
            }
        };
        if stands {
            standing.insert(item);
        }
    }
    Ok(standing)
}

/// Handles a page that could not be delivered while a responder answered. Returns whether it has to be tried again; for
/// a page with unseen evidence, the incident is opened again.
pub(super) fn hold_for_retry(db: &Connection, seq: i64, now_ms: u64) -> Result<bool> {
    let sql = "SELECT incident, body FROM outbox WHERE seq = ?1 AND kind = 'trigger' AND incident IS NOT NULL";
    let row = db.prepare_cached(sql)?.query_row([seq], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let Some((id, body)) = row.optional()? else { return Ok(true) };
    let Some(incident) = incidents::by_id(db, &IncidentId(id))? else { return Ok(true) };
    if incident.state.is_open() {
        return Ok(true);
    }
    // Another page in flight may still deliver the evidence; if it fails as well, that page is the one that is kept.
    let left = unseen_items_left(db, &incident, body_items(&decode_body("outbox", &body)?), "'sent', 'leased'", seq)?;
    // Only the effect of a person's answer is undone; an incident closed by a reorg or by the end of its cause stays
    // closed.
    let answered = incident.state.is_acknowledged() || incident.state.closed_by().is_some();
    if left.is_empty() || !answered {
        return Ok(false);
    }
    commit::write_plan(db, &escalate::open_again(&incident, now_ms), now_ms)?;
    Ok(true)
}

/// Handles all expired leases of one destination whose incidents were answered meanwhile.
pub(super) fn hold_lapsed(db: &Connection, destination: &str, now_ms: u64) -> Result<()> {
    let sql = "SELECT seq FROM outbox WHERE place = 3 AND destination = ?1 AND lease_until_ms <= ?2 AND kind = 'trigger' \
               AND EXISTS (SELECT 1 FROM incidents i WHERE i.id = outbox.incident AND i.state <> 'open')";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![destination, super::chain::u64_to_sql(now_ms)], |row| row.get(0))?;
    let lapsed: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
    for seq in lapsed {
        if !hold_for_retry(db, seq, now_ms)? {
            lanes::drop_page(db, seq, now_ms)?;
        }
    }
    Ok(())
}

/// Resets the record of what an incident's pages showed, after one of them was given up and no other page contains its
/// evidence: the same evidence pages again.
pub(super) fn clear_coverage(db: &Connection, id: &IncidentId, body: &Body) -> Result<()> {
    let Some(mut incident) = incidents::by_id(db, id)? else { return Ok(()) };
    if !unseen_items_left(db, &incident, body_items(body), "'sent', 'due', 'leased'", NONE)?.is_empty()
        && !incident.coverage.shown.is_empty()
    {
        incident.coverage = crate::model::coverage::Coverage::default();
        incidents::write_incident(db, &incident)?;
    }
    Ok(())
}
