//! Incidents and findings, stored whole as JSON beside the columns that queries use.

use super::chain::{sql_to_u64, u64_to_sql};
use super::{Result, StoreError, finality};
use crate::escalate::{AHEAD_MS, WINDOW_MS};
use crate::model::coverage::Paged;
use crate::model::incident::{ChangeSet, Delivery, DeliveryKind, Finding, Incident};
use crate::model::{BlockRef, ChainId, Confidence, Finality, FindingId, IncidentId, IncidentScope, Severity};
use alloy_primitives::B256;
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Filter for listing incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Selects only open and acknowledged incidents.
    pub live: bool,
    /// Selects only incidents of this scope.
    pub scope: Option<IncidentScope>,
    /// Selects only incidents of this path.
    pub path: Option<String>,
    /// Maximum number of incidents; unlimited when absent.
    pub limit: Option<u32>,
}

impl Filter {
    /// Returns a filter for open and acknowledged incidents.
    #[must_use]
    pub fn live_only() -> Self {
        Self { live: true, ..Self::default() }
    }
}

/// Returns the live incidents of all scopes, in the order in which they opened.
pub(super) fn all_live_incidents(db: &Connection) -> Result<Vec<Incident>> {
    query_incidents(db, "SELECT body FROM incidents WHERE live = 1 ORDER BY seq", [])
}

/// Returns the live incidents of one scope, in the order in which they opened.
pub(super) fn live_incidents(db: &Connection, scope: IncidentScope) -> Result<Vec<Incident>> {
    let sql = "SELECT body FROM incidents WHERE live = 1 AND chain IS ?1 ORDER BY seq";
    query_incidents(db, sql, [scope_to_sql(scope)])
}

/// Returns the value of the column `chain`: null for the whole program.
fn scope_to_sql(scope: IncidentScope) -> Option<i64> {
    scope.chain().map(|chain| u64_to_sql(chain.0))
}

/// Number of closed incidents that are searched for one whose outage has returned. If so many have closed since, the
/// return counts as a new outage: it pages once more, and never once too few.
const CLOSED_LATELY_MAX: u32 = 64;

/// Returns the newest closed incidents of a scope, newest first.
pub(super) fn closed_lately(db: &Connection, scope: IncidentScope) -> Result<Vec<Incident>> {
    let sql = "SELECT body FROM incidents WHERE live = 0 AND chain IS ?1 ORDER BY seq DESC LIMIT ?2";
    query_incidents(db, sql, params![scope_to_sql(scope), CLOSED_LATELY_MAX])
}

pub(super) fn list_incidents(db: &Connection, filter: &Filter) -> Result<Vec<Incident>> {
    let sql = "SELECT body FROM incidents WHERE (?1 = 0 OR live = 1) AND (?2 = 0 OR chain IS ?3) \
               AND (?4 IS NULL OR path = ?4) ORDER BY seq DESC LIMIT ?5";
    let limit = filter.limit.map_or(-1, i64::from);
    let chain = filter.scope.and_then(scope_to_sql);
    let params = params![filter.live, filter.scope.is_some(), chain, filter.path, limit];
    let mut found = query_incidents(db, sql, params)?;
    found.iter_mut().try_for_each(|incident| set_confidence(db, incident))?;
    Ok(found)
}

pub(super) fn by_id(db: &Connection, id: &IncidentId) -> Result<Option<Incident>> {
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM incidents WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    body.map(|body| decode_shaped("incidents", &body)).transpose()
}

pub(super) fn by_prefix(db: &Connection, prefix: &str) -> Result<Incident> {
    let full = if prefix.starts_with(IncidentId::PREFIX) {
        prefix.to_owned()
    } else {
        format!("{}{prefix}", IncidentId::PREFIX)
    };
    let sql = "SELECT id, body FROM incidents WHERE substr(id, 1, length(?1)) = ?1 ORDER BY seq DESC LIMIT 10";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([&full], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let found: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    match found.as_slice() {
        [] => Err(StoreError::NoIncident(prefix.to_owned())),
        [(_, body)] => {
            let mut incident = decode_shaped("incidents", body)?;
            set_confidence(db, &mut incident)?;
            Ok(incident)
        }
        several => Err(StoreError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: several.iter().map(|(id, _)| IncidentId(id.clone())).collect(),
        }),
    }
}

pub(super) fn findings_of(db: &Connection, incident: &IncidentId) -> Result<Vec<Finding>> {
    query_findings(db, "f.incident = ?1", [incident.as_str()])
}

/// Returns the findings of this rule whose incidents are closed, each with its incident, oldest first: the newest
/// [`CLOSED_MAX`].
pub(super) fn closed_by_rule(db: &Connection, chain: ChainId, rule: &str) -> Result<Vec<(Finding, Incident)>> {
    let place = "f.chain = ?1 AND f.rule = ?2 AND f.orphaned = 0 \
                 AND f.incident IN (SELECT id FROM incidents WHERE live = 0)";
    let found = query_findings(db, place, params![u64_to_sql(chain.0), rule])?;
    let newest = found.len().saturating_sub(CLOSED_MAX);
    let with = |finding: Finding| Ok(by_id(db, &finding.incident)?.map(|incident| (finding, incident)));
    found.into_iter().skip(newest).map(with).filter_map(Result::transpose).collect()
}

/// Maximum number of closed findings of one rule that are read: more than the differences of any configuration at one
/// time.
const CLOSED_MAX: usize = 4_096;

/// Returns the active findings of a block.
pub(super) fn findings_in(db: &Connection, chain: ChainId, block: BlockRef) -> Result<Vec<Finding>> {
    let place = "f.chain = ?1 AND f.number = ?2 AND f.block_hash = ?3 AND f.orphaned = 0";
    query_findings(db, place, params![u64_to_sql(chain.0), u64_to_sql(block.number), block.hash.to_string()])
}

/// Findings that this transaction, or this Safe transaction, caused.
pub(super) fn findings_of_tx(db: &Connection, chain: ChainId, tx: B256) -> Result<Vec<Finding>> {
    query_findings(db, "f.chain = ?1 AND f.tx = ?2", params![u64_to_sql(chain.0), tx.to_string()])
}

pub(super) fn finding_by_id(db: &Connection, id: &FindingId) -> Result<Option<Finding>> {
    Ok(query_findings(db, "f.id = ?1", [id.as_str()])?.pop())
}

pub(super) fn write_incident(db: &Connection, incident: &Incident) -> Result<()> {
    let sql = "INSERT INTO incidents (id, chain, watch, path, state, live, severity, opened_at_ms, next_escalation, body, \
               origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
               live = excluded.live, severity = excluded.severity, next_escalation = excluded.next_escalation, \
               body = excluded.body";
    db.prepare_cached(sql)?.execute(params![
        incident.id.as_str(),
        scope_to_sql(incident.origin.scope()),
        incident.origin.watch().map(|watch| watch.address.to_checksum(None)),
        incident.path.name,
        incident.state.kind().as_str(),
        incident.state.is_live(),
        incident.severity.as_str(),
        u64_to_sql(incident.opened_at),
        incident.state.next_escalation().map(u64_to_sql),
        encode_shaped("incidents", incident)?,
        incident.origin.as_str()
    ])?;
    Ok(())
}

pub(super) fn write_finding(db: &Connection, finding: &Finding) -> Result<()> {
    let sql = "INSERT INTO findings (id, incident, chain, block_hash, tx, watch, rule, severity, revision, orphaned, body, \
               number, sources, endpoints, verified, anchor) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT (id) DO UPDATE SET \
               incident = excluded.incident, block_hash = excluded.block_hash, severity = excluded.severity, \
               revision = excluded.revision, orphaned = excluded.orphaned, body = excluded.body, \
               number = excluded.number, sources = excluded.sources, endpoints = excluded.endpoints, \
               verified = excluded.verified, anchor = excluded.anchor";
    db.prepare_cached(sql)?.execute(params![
        finding.id.as_str(),
        finding.incident.as_str(),
        u64_to_sql(finding.chain.0),
        finding.anchor.block_hash(),
        finding.tx.to_string(),
        finding.watch.to_checksum(None),
        finding.rule,
        finding.severity.as_str(),
        finding.revision,
        finding.orphaned,
        encode_shaped("findings", finding)?,
        u64_to_sql(finding.anchor.number()),
        finding.footing.sources,
        finding.footing.endpoints,
        finding.footing.verified,
        finding.anchor.as_str()
    ])?;
    Ok(())
}

/// Returns the pages, of all chains, that paths sent within the window of the storm limit.
pub(super) fn paged_lately(db: &Connection, now_ms: u64) -> Result<Vec<Paged>> {
    let sql = "SELECT path, severity, at_ms FROM pages WHERE at_ms > ?1 AND at_ms <= ?2";
    let since = u64_to_sql(now_ms.saturating_sub(WINDOW_MS));
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![since, u64_to_sql(now_ms.saturating_add(AHEAD_MS))], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, u8>(1)?, sql_to_u64(row.get(2)?)))
    })?;
    let paged = |(path, severity, at_ms): (String, u8, u64)| {
        let damaged = || StoreError::Damaged { table: "pages", why: "no such severity".to_owned() };
        let severity = *Severity::ALL.get(usize::from(severity)).ok_or_else(damaged)?;
        Ok(Paged { path, severity, at_ms })
    };
    rows.map(|row| paged(row?)).collect()
}

/// Counts the pages of a plan for the storm limit: one for each incident that wakes people along its path. Pages
/// outside the window of the limit are deleted.
pub(super) fn write_pages(db: &Connection, plan: &ChangeSet, now_ms: u64) -> Result<()> {
    let wakes = |incident: &&Incident| {
        let triggers = |delivery: &&Delivery| {
            delivery.kind == DeliveryKind::Trigger && delivery.incident.as_ref() == Some(&incident.id)
        };
        incident.paging
            && incident.origin.storm().is_none()
            && plan.deliveries.iter().any(|delivery| triggers(&delivery))
    };
    let mut any = false;
    for incident in plan.incidents.iter().filter(wakes) {
        any = true;
        let severity = incident.heard.unwrap_or(incident.severity) as u8;
        let sql = "INSERT INTO pages (path, incident, severity, at_ms) VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql)?.execute(params![
            incident.path.name,
            incident.id.as_str(),
            severity,
            u64_to_sql(now_ms)
        ])?;
    }
    if any {
        let sql = "DELETE FROM pages WHERE at_ms <= ?1 OR at_ms > ?2";
        db.prepare_cached(sql)?.execute(params![
            u64_to_sql(now_ms.saturating_sub(WINDOW_MS)),
            u64_to_sql(now_ms.saturating_add(AHEAD_MS))
        ])?;
    }
    Ok(())
}

/// Updates the footing of the evidence on the page of a live incident.
pub(super) fn put_on_page(db: &Connection, id: &IncidentId) -> Result<()> {
    let Some(mut incident) = by_id(db, id)?.filter(|incident| incident.state.is_live()) else { return Ok(()) };
    set_confidence(db, &mut incident)?;
    for evidence in incident.page.evidence.iter_mut().filter(|evidence| !evidence.orphaned) {
        if let Some(finding) = finding_by_id(db, &evidence.finding)? {
            evidence.footing = finding.footing;
        }
    }
    write_incident(db, &incident)
}

/// Sets the footing of an incident to that of its weakest active finding.
fn set_confidence(db: &Connection, incident: &mut Incident) -> Result<()> {
    // A finding that is in no block has the lowest finality.
    let sql = "SELECT max(iif(block_hash IS NULL, 9223372036854775807, number)), min(sources), max(endpoints), \
               CASE WHEN min(verified) = 0 THEN 0 WHEN count(verified) = count(*) THEN 1 END \
               FROM findings WHERE incident = ?1 AND orphaned = 0";
    // Incidents about the whole program have no finding.
    let Some(chain) = incident.origin.scope().chain() else { return Ok(()) };
    let chain = finality::settled_finality(db, chain)?;
    incident.footing = db.prepare_cached(sql)?.query_row([incident.id.as_str()], |row| {
        let Some(newest) = row.get::<_, Option<i64>>(0)?.map(sql_to_u64) else { return Ok(None) };
        let (sources, endpoints, verified) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Some(Confidence { finality: chain.finality_at(newest), sources, endpoints, verified }))
    })?;
    incident.page.finality = incident.footing.map(|footing| footing.finality);
    Ok(())
}

/// Returns findings with their current footing, in the order they were first written. `which` is a condition on `f`.
fn query_findings(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Finding>> {
    let sql = format!(
        "SELECT f.body, f.sources, CASE WHEN f.orphaned OR f.block_hash IS NULL THEN 0 WHEN f.number <= c.finalized_number THEN 2 \
         WHEN f.number <= c.safe_number THEN 1 ELSE 0 END \
         FROM findings f LEFT JOIN chains c ON c.id = f.chain WHERE {which} ORDER BY f.seq"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params, |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, u8>(2)?)))?;
    rows.map(|row| {
        let (body, sources, finality) = row?;
        let mut finding: Finding = decode_shaped("findings", &body)?;
        finding.footing.sources = sources;
        finding.footing.finality = match finality {
            0 => Finality::Included,
            1 => Finality::Safe,
            _ => Finality::Finalized,
        };
        Ok(finding)
    })
    .collect()
}

fn query_incidents(db: &Connection, sql: &str, params: impl Params) -> Result<Vec<Incident>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get::<_, String>(0))?;
    rows.map(|body| decode_shaped("incidents", &body?)).collect()
}

/// Schema that gave the bodies of incidents and findings their present shape.
const SHAPE: u32 = 13;

/// Reads the body of an incident or a finding. A migration brings older shapes to the present one.
fn decode_shaped<T: DeserializeOwned>(table: &'static str, body: &str) -> Result<T> {
    #[derive(Deserialize)]
    struct Shape {
        v: u32,
    }
    match decode_body(table, body)? {
        Shape { v: SHAPE } => decode_body(table, body),
        Shape { v } => Err(StoreError::Damaged { table, why: format!("a body has shape {v}, accepted is {SHAPE}") }),
    }
}

/// Writes the body of an incident or a finding, with the schema that gave it its shape.
fn encode_shaped<T: Serialize>(table: &'static str, value: &T) -> Result<String> {
    #[derive(Serialize)]
    struct Shaped<'a, T> {
        v: u32,
        #[serde(flatten)]
        body: &'a T,
    }
    encode_body(table, &Shaped { v: SHAPE, body: value })
}

pub(super) fn decode_body<T: DeserializeOwned>(table: &'static str, body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(|why| StoreError::Damaged { table, why: why.to_string() })
}

pub(super) fn encode_body<T: Serialize>(table: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|why| StoreError::Damaged { table, why: why.to_string() })
}
