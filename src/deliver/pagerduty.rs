//! PagerDuty, by its Events API v2.
//!
//! Each of our incidents is an alert of theirs, under the incident's id followed by `/r<n>`, where n is its cycle: an
//! acknowledged alert sends no further notifications, so paging anew needs a new key. Source:
//! <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>.

use super::escape::{inert_all, neutralize_text, sanitize_line, truncate_text};
use super::layout::{Layout, format_rfc3339};
use super::{Common, Destination, DestinationKind, Outgoing, Receipt, SendError};
use crate::http::{Answer, Endpoint, Letter, Success, UrlIs, unfetched_secret_error};
use crate::model::Severity;
use crate::model::incident::{Body, DeliveryKind};
use crate::model::page::Page;
use crate::settings::{Problems, Secret, Table};
use futures::future::BoxFuture;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// Address for events unless `url` says otherwise; accounts in the EU region use
/// `https://events.eu.pagerduty.com/v2/enqueue`.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Maximum number of characters of a summary.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Maximum number of cycles of one incident that are resolved again, latest first: each is a separate request, within
/// one deadline.
const CYCLES_MAX: u32 = 20;
/// Minimum time between two events: about 120 events a minute are accepted for one key.
const PACE: Duration = Duration::from_millis(500);

const SUCCESS: Success = Success {
    is: "202 with `\"status\": \"success\"` in a JSON body",
    source: "https://developer.pagerduty.com/docs/events-api-v2/overview/",
    reads_body: true,
    judge: |status, body| {
        let said = serde_json::from_str::<Json>(body).unwrap_or_default();
        match said["status"].as_str() {
            Some("success") => Answer::taken_if(status.as_u16() == 202),
            Some("invalid event") => Answer::Refused,
            _ => Answer::NotTaken,
        }
    },
};

/// `kind = "pagerduty"`.
pub(super) struct PagerDutyKind;

struct PagerDuty {
    endpoint: Endpoint,
    routing_key: Secret,
}

impl DestinationKind for PagerDutyKind {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn example(&self) -> &'static str {
        r#"[destination.oncall]
kind        = "pagerduty"
routing_key = { env = "PAGERDUTY_ROUTING_KEY" }    # of an Events API v2 integration
"#
    }

    fn success(&self) -> Success {
        SUCCESS
    }

    fn parse(&self, table: &mut Table<'_>, common: &Common, problems: &mut Problems) -> Option<Box<dyn Destination>> {
        let is_theirs = table.key_spot("url").is_none();
        let endpoint = Endpoint::from_table(table, UrlIs::Plain(URL), common.timeout, problems);
        let routing_key = table.require_key("routing_key", problems, Table::secret);
        if let (true, Some(key), Some(spot)) = (is_theirs, &routing_key, table.key_spot("routing_key"))
            && let Some(text) = key.expose().filter(|text| !is_routing_key(text))
        {
            let message = format!("{} holds {} characters that are no routing key", key.source(), text.chars().count());
            let hint = "an integration of PagerDuty's Events API v2 shows its own: 32 letters and digits";
            problems.push(spot.problem(message).with_hint(hint).without_snippet());
            return None;
        }
        let (endpoint, routing_key) = (endpoint?, routing_key?);
        Some(Box::new(PagerDuty { endpoint: endpoint.with_secret_redacted(&routing_key), routing_key }))
    }
}

/// Returns whether this may be a routing key of PagerDuty's Events API v2: 32 letters and digits (its reference, `routing_key`).
fn is_routing_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Destination for PagerDuty {
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let Body::Page(page) = &message.body else {
                return Err(SendError::Refused("PagerDuty takes pages and no feed".to_owned()));
            };
            let key = self.routing_key.expose().ok_or_else(|| unfetched_secret_error(&self.routing_key))?;
            let mut receipt = Receipt::default();
            // If one of several events fails, all are sent again: resolving twice has no effect.
            for mut event in event_payloads(message.kind, page) {
                event["routing_key"] = json!(key);
                let body = serde_json::to_vec(&event).map_err(|error| SendError::Refused(error.to_string()))?;
                receipt = self.endpoint.post(Letter::new("application/json", body), &SUCCESS, message.now_ms).await?;
            }
            Ok(receipt)
        })
    }

    fn min_interval(&self) -> Duration {
        PACE
    }
}

/// Returns the events for `kind`, without their routing key.
fn event_payloads(kind: DeliveryKind, page: &Page) -> Vec<Json> {
    // An update or a retraction of a closed incident must not open it again.
    let kind = if page.state.is_live() { kind } else { DeliveryKind::Resolve };
    match kind {
        DeliveryKind::Trigger | DeliveryKind::Update | DeliveryKind::Retract | DeliveryKind::Feed => {
            vec![trigger_event(kind, page)]
        }
        DeliveryKind::Acknowledge => vec![action_event("acknowledge", page, page.cycle)],
        // Every cycle opened its own alert.
        DeliveryKind::Resolve => (page.cycle.saturating_sub(CYCLES_MAX)..=page.cycle)
            .rev()
            .map(|cycle| action_event("resolve", page, cycle))
            .collect(),
    }
}

fn action_event(action: &str, page: &Page, cycle: u32) -> Json {
    json!({ "event_action": action, "dedup_key": dedup_key(page, cycle) })
}

fn dedup_key(page: &Page, cycle: u32) -> String {
    // An id is much shorter than PagerDuty's limit of 255 characters.
    format!("{}/r{cycle}", page.incident)
}

/// Returns the source of an incident: its chain and its address. An incident about the program itself has no address,
/// and may have no chain.
fn event_source(page: &Page) -> String {
    match page.watch {
        Some(watch) => sanitize_line(&format!("{} {watch}", page.chain), 200),
        None if page.chain.is_empty() => "watchfire".to_owned(),
        None => sanitize_line(&page.chain, 200),
    }
}

fn trigger_event(kind: DeliveryKind, page: &Page) -> Json {
    let brief = Layout::new(Some(kind), page);
    let loudest = page.evidence.first();
    let mut details = Map::new();
    for section in &brief.sections {
        details.insert(section.name.to_lowercase().replace(' ', "_"), json!(section.lines));
    }
    details.insert("incident".to_owned(), json!(page.incident));
    let mut payload = json!({
        "summary": truncate_text(&neutralize_text(&brief.title()), SUMMARY_CHARS_MAX),
        "source": event_source(page),
        "severity": pagerduty_severity(page.severity),
        "component": brief.label,
        "group": sanitize_line(&page.path, 100),
        "class": loudest.map_or_else(String::new, |evidence| sanitize_line(&evidence.rule, 100)),
        "custom_details": details,
    });
    if let Some(time) = loudest.and_then(|evidence| format_rfc3339(evidence.time)) {
        payload["timestamp"] = json!(time);
    }
    let links: Vec<Json> = brief.links.iter().map(|(text, href)| json!({ "href": href, "text": text })).collect();
    let mut links = json!(links);
    // PagerDuty hands both on to chats and mail.
    [&mut payload, &mut links].into_iter().for_each(inert_all);
    json!({
        "event_action": "trigger",
        "dedup_key": dedup_key(page, page.cycle),
        "client": "Watchfire",
        "links": links,
        "payload": payload,
    })
}

fn pagerduty_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{hostile_page, oversized_page, sample_page};
    use super::*;
    use crate::model::incident_state::State;

    #[test]
    fn a_page_triggers_an_alert_with_everything_a_responder_needs() {
        let events = event_payloads(DeliveryKind::Trigger, &sample_page());
        let expected = json!([{
            "event_action": "trigger",
            "dedup_key": "inc_00112233445566778899aabbccddeeff/r0",
            "client": "Watchfire",
            "links": [
                { "href": "https://runbooks.example/stolen-funds", "text": "Runbook" },
                {
                    "href": "https://etherscan.io/tx/0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e",
                    "text": "Transaction",
                },
            ],
            "payload": {
                "summary": "CRITICAL Treasury Safe: Treasury Safe sends 60,000 SNT to Grantee: docs",
                "source": "mainnet 0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A",
                "severity": "critical",
                "component": "Treasury Safe",
                "group": "treasury",
                "class": "builtin/unvouched",
                "timestamp": "2026-11-20T10:00:00Z",
                "custom_details": {
                    "incident": "inc_00112233445566778899aabbccddeeff",
                    "why": [
                        "friday-grants: amount 60,000 SNT is above 50,000 SNT",
                        "payroll: function is transfer(address,uint256), and the rule vouches for \
                         approve(address,uint256) alone",
                        "2 more rules are about something else",
                    ],
                    "who": [
                        "sent by Executor bot (0x2222222222222222222222222222222222222222)",
                        "signed by Owner 1 (0x3131313131313131313131313131313131313131)",
                        "signed by 0x3232323232323232323232323232323232323232",
                    ],
                    "where": [
                        "0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A on mainnet",
                        "block 21234567, included, 2026-11-20 10:00:00 UTC",
                        "tx 0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e",
                        "through execTransaction at Treasury Safe, then multiSend at MultiSendCallOnly",
                        "touches Council Safe",
                    ],
                    "purpose": ["Pays grants on Fridays"],
                    "runbook": ["https://runbooks.example/stolen-funds"],
                    "next_step": [
                        "take it: watchfire incidents ack inc_00112233445566778899aabbccddeeff",
                        "if nobody does: security-lead, at 2026-11-20 10:05:00 UTC",
                    ],
                },
            },
        }]);
        assert_eq!(json!(events), expected);
    }

    #[test]
    fn paging_anew_opens_a_new_alert_and_resolving_closes_them_all() {
        let mut page = sample_page();
        page.cycle = 2;
        let keys = |kind, page: &Page| -> Vec<String> {
            let events = event_payloads(kind, page);
            events.iter().map(|e| format!("{} {}", e["event_action"], e["dedup_key"]).replace('"', "")).collect()
        };
        let id = page.incident.to_string();
        assert_eq!(keys(DeliveryKind::Trigger, &page), [format!("trigger {id}/r2")]);
        assert_eq!(keys(DeliveryKind::Update, &page), [format!("trigger {id}/r2")]);
        assert_eq!(keys(DeliveryKind::Acknowledge, &page), [format!("acknowledge {id}/r2")]);
        let all = [format!("resolve {id}/r2"), format!("resolve {id}/r1"), format!("resolve {id}/r0")];
        assert_eq!(keys(DeliveryKind::Resolve, &page), all);
        assert_eq!(keys(DeliveryKind::Retract, &page), [format!("trigger {id}/r2")]);
        page.state = State::FalseAlarm;
        assert_eq!(keys(DeliveryKind::Retract, &page), all);
        assert_eq!(keys(DeliveryKind::Update, &page), all);
    }

    #[test]
    fn severities_are_those_of_pagerduty() {
        assert_eq!(Severity::ALL.map(pagerduty_severity), ["info", "warning", "error", "critical"]);
    }

    #[test]
    fn hostile_texts_stay_within_bounds_and_carry_no_hidden_characters() {
        for page in [hostile_page(), oversized_page()] {
            let event = json!(event_payloads(DeliveryKind::Trigger, &page));
            let summary = event[0]["payload"]["summary"].as_str().expect("a summary");
            assert!(summary.chars().count() <= SUMMARY_CHARS_MAX);
            assert!(event.to_string().len() < 100_000, "{}", event.to_string().len());
            assert!(!event.to_string().chars().any(crate::model::text::is_treacherous));
            let links = event[0]["links"].as_array().expect("links");
            assert!(links.iter().all(|link| link["href"].as_str().is_some_and(|href| href.starts_with("https://"))));
        }
        let links = trigger_event(DeliveryKind::Trigger, &hostile_page())["links"].clone();
        assert_eq!(links.as_array().map(Vec::len), Some(1));
    }
}
