//! Encodes messages as CloudEvents 1.0 in structured mode, with a bounded size independent of the content.
//!
//! Source: <https://github.com/cloudevents/spec> 1.0.2.

use super::escape::{inert_all, is_plain_address, truncate_text};
use super::layout::format_rfc3339;
use super::{Outgoing, SendError};
use crate::model::incident::Body;
use crate::model::page::Page;
use crate::model::record::{Line, VerdictLine};
use alloy_primitives::Address;
use serde_json::{Value as Json, json};

/// Maximum size of a page's event in bytes: the limit that Standard Webhooks recommends to senders.
const PAGE_BYTES_MAX: usize = 20_000;
/// Maximum size of a feed line's event in bytes: the size that every CloudEvents intermediary must forward.
const LINE_BYTES_MAX: usize = 64_000;
/// Maximum number of characters of any text in a page's event.
const TEXT_CHARS_MAX: usize = 2_000;
/// The event's bytes; the same for every attempt.
pub(super) fn encode_cloud_event(message: &Outgoing) -> Result<Vec<u8>, SendError> {
    match &message.body {
        Body::Page(page) => page_event(message, page),
        Body::Line(line) => line_event(message, line),
    }
}

fn page_event(message: &Outgoing, page: &Page) -> Result<Vec<u8>, SendError> {
    let envelope = |data: Json| {
        let mut event = json!({
            "specversion": "1.0",
            "id": message.key,
            "source": event_source(&page.chain, page.watch.map(|watch| watch.to_string()).as_deref()),
            "type": format!("watchfire.incident.{}.v1", message.kind.as_str()),
            "subject": page.incident,
            "datacontenttype": "application/json",
            "data": data,
        });
        if let Some(time) = page.evidence.first().and_then(|evidence| format_rfc3339(evidence.time)) {
            event["time"] = json!(time);
        }
        event
    };
    let mut page = page.clone();
    page.links.retain(|link| is_plain_address(&link.href));
    // Longer texts come from attackers. The first cut also keeps the loop below from encoding them repeatedly.
    let mut chars_max = TEXT_CHARS_MAX;
    let mut shortened = cut_texts(&mut page, chars_max);
    let mut bytes = encode_json(&envelope(page_data(&page, shortened)))?;
    // The most severe evidence comes first, so the least severe is removed first.
    while bytes.len() > PAGE_BYTES_MAX && chars_max > 10 {
        if page.evidence.len() > 1 {
            let gone = page.evidence.pop().map_or(0, |evidence| evidence.alike);
            page.more += 1 + gone;
        } else {
            chars_max /= 2;
            cut_texts(&mut page, chars_max);
        }
        shortened = true;
        bytes = encode_json(&envelope(page_data(&page, shortened)))?;
    }
    Ok(bytes)
}

fn page_data(page: &Page, shortened: bool) -> Json {
    // Every page can be represented in JSON.
    let mut data = serde_json::to_value(page).unwrap_or_default();
    checksum_addresses(&mut data);
    data["next"] =
        json!(page.next.as_ref().map(|next| json!({ "at": format_rfc3339(next.at / 1_000), "to": next.to })));
    for (told, evidence) in data["evidence"].as_array_mut().into_iter().flatten().zip(&page.evidence) {
        told["time"] = json!(format_rfc3339(evidence.time));
    }
    drop_absent(&mut data);
    inert_all(&mut data);
    if shortened {
        data["shortened"] = json!("evidence was cut to keep the message below 20 KB; the incident has all of it");
    }
    data
}

/// Cuts every text to `chars_max` characters and every list in proportion; returns whether anything was cut.
fn cut_texts(page: &mut Page, chars_max: usize) -> bool {
    let items_max = chars_max / 50;
    let before = page.clone();
    let shorten = |text: &mut String| *text = truncate_text(text, chars_max);
    for evidence in &mut page.evidence {
        evidence.reasons.truncate(items_max);
        evidence.reasons.iter_mut().for_each(shorten);
        evidence.via.truncate(items_max);
        evidence.via.iter_mut().for_each(shorten);
        evidence.signers.iter_mut().for_each(|signers| signers.truncate(items_max));
        let dropped = evidence.parties.len().saturating_sub(items_max);
        evidence.parties.truncate(items_max);
        evidence.more_parties += dropped as u64;
        let named = evidence.signers.iter_mut().flatten().chain(&mut evidence.sender).chain([&mut evidence.watch]);
        for party in named.chain(&mut evidence.parties) {
            let known = party.looks_like.as_mut().and_then(|known| known.name.as_mut());
            party.name.iter_mut().chain(known).for_each(shorten);
        }
        shorten(&mut evidence.headline);
        shorten(&mut evidence.rule);
    }
    page.touches.truncate(items_max);
    page.report.truncate(items_max);
    page.links.truncate(items_max);
    page.links.retain(|link| link.href.len() <= TEXT_CHARS_MAX);
    page.links.iter_mut().for_each(|link| shorten(&mut link.text));
    page.next.iter_mut().for_each(|next| next.to.truncate(items_max));
    let texts = [&mut page.headline, &mut page.label, &mut page.purpose];
    texts
        .into_iter()
        .chain(&mut page.runbook)
        .chain(&mut page.change)
        .chain(page.loudest.iter_mut().map(|gist| &mut gist.headline))
        .chain(&mut page.touches)
        .chain(&mut page.report)
        .for_each(shorten);
    *page != before
}

fn line_event(message: &Outgoing, line: &Line) -> Result<Vec<u8>, SendError> {
    let (word, place, subject, time) = match line {
        Line::Verdict(verdict) => (
            "verdict",
            Some((verdict.chain.as_str(), verdict.address.as_str())),
            verdict.finding_id.clone().unwrap_or_else(|| format!("{}/{}", verdict.tx, verdict.position)),
            Some(verdict.time.clone()),
        ),
        Line::Retraction(retraction) => ("retraction", None, retraction.finding_id.clone(), None),
        Line::Incident(incident) => ("incident", None, incident.incident_id.clone(), Some(incident.opened.clone())),
        Line::Blindness(blindness) => {
            let subject = blindness.chain.clone().unwrap_or_else(|| "store".to_owned());
            ("blindness", None, subject, Some(blindness.since.clone()))
        }
        Line::Footing(footing) => ("footing", None, footing.chain.clone(), None),
        Line::Finding(finding) => {
            ("finding", Some((finding.chain.as_str(), finding.address.as_str())), finding.finding_id.clone(), None)
        }
        Line::Chain(chain) => ("chain", None, chain.chain.clone(), chain.time.clone()),
        Line::Delivery(delivery) => ("delivery", None, delivery.key.clone(), None),
        Line::Summary(_) => ("summary", None, "run".to_owned(), None),
    };
    let envelope = |data: Json| {
        let mut event = json!({
            "specversion": "1.0",
            "id": message.key,
            "source": place.map_or_else(|| event_source("", None), |(chain, address)| event_source(chain, Some(address))),
            "type": format!("watchfire.feed.{word}.v1"),
            "subject": subject,
            "datacontenttype": "application/json",
            "data": data,
        });
        if let Some(time) = &time {
            event["time"] = json!(time);
        }
        event
    };
    let mut data = json!(line);
    inert_all(&mut data);
    let bytes = encode_json(&envelope(data))?;
    let Line::Verdict(verdict) = line else { return Ok(bytes) };
    if bytes.len() <= LINE_BYTES_MAX {
        return Ok(bytes);
    }
    let mut data = json!(Line::Verdict(Box::new(without_args(verdict))));
    inert_all(&mut data);
    data["shortened"] = json!("args, reasons and via were cut to keep the message below 64 KB");
    encode_json(&envelope(data))
}

fn without_args(verdict: &VerdictLine) -> VerdictLine {
    let mut short = verdict.clone();
    short.args.clear();
    short.args_human.clear();
    for texts in [&mut short.reasons, &mut short.via] {
        texts.truncate(20);
        texts.iter_mut().for_each(|text| *text = truncate_text(text, 500));
    }
    short.signers.iter_mut().for_each(|signers| signers.truncate(100));
    for text in [&mut short.headline, &mut short.function, &mut short.value_human] {
        *text = truncate_text(text, 1_000);
    }
    short
}

/// Returns the event source, such as `/watchfire/mainnet/0x5a0A…`: a URI reference, so characters that are not plain
/// are left out.
fn event_source(chain: &str, address: Option<&str>) -> String {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)).take(100).collect()
    };
    match (chain, address) {
        ("", None) => "/watchfire".to_owned(),
        (chain, None) => format!("/watchfire/{}", plain(chain)),
        (chain, Some(address)) => format!("/watchfire/{}/{}", plain(chain), plain(address)),
    }
}

/// Converts addresses to EIP-55, as in every other record; the model's own form is lower-case.
fn checksum_addresses(json: &mut Json) {
    match json {
        Json::String(text) if text.len() == 42 && text.starts_with("0x") => {
            if let Ok(address) = text.parse::<Address>() {
                *text = address.to_string();
            }
        }
        Json::Array(items) => items.iter_mut().for_each(checksum_addresses),
        Json::Object(entries) => entries.values_mut().for_each(checksum_addresses),
        _ => {}
    }
}

/// Removes absent values, as in every other record.
fn drop_absent(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(drop_absent),
        Json::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_absent);
        }
        _ => {}
    }
}

fn encode_json(event: &Json) -> Result<Vec<u8>, SendError> {
    // Names and arguments come from the chain, and a reader may print the line as it is.
    let line = crate::model::json::to_json_line(event);
    line.map(String::into_bytes).map_err(|error| SendError::Refused(format!("cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{oversized_page, sample_message, sample_page};
    use super::*;
    use crate::model::DeliveryKey;
    use crate::model::incident::DeliveryKind;

    fn parsed(bytes: &[u8]) -> Json {
        serde_json::from_slice(bytes).expect("an event is JSON")
    }

    #[test]
    fn a_page_is_a_cloud_event() {
        let event =
            parsed(&encode_cloud_event(&sample_message(DeliveryKind::Trigger, sample_page())).expect("an event"));
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], "dlv_00112233445566778899aabbccddeeff");
        assert_eq!(event["source"], "/watchfire/mainnet/0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A");
        assert_eq!(event["type"], "watchfire.incident.trigger.v1");
        assert_eq!(event["subject"], "inc_00112233445566778899aabbccddeeff");
        assert_eq!(event["time"], "2026-11-20T10:00:00Z");
        assert_eq!(event["data"]["headline"], "Treasury Safe sends 60,000 SNT to Grantee: docs");
        assert_eq!(event["data"]["watch"], "0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A");
        assert_eq!(event["data"].get("shortened"), None);
    }

    #[test]
    fn times_are_written_alike_and_what_is_not_known_is_missing() {
        let mut page = sample_page();
        page.evidence[0].signers = None;
        let event = parsed(&encode_cloud_event(&sample_message(DeliveryKind::Trigger, page)).expect("an event"));
        let data = &event["data"];
        assert_eq!(data["evidence"][0]["time"], "2026-11-20T10:00:00Z");
        assert_eq!(data["next"], json!({ "at": "2026-11-20T10:05:00Z", "to": ["security-lead"] }));
        assert_eq!(data["evidence"][0].get("signers"), None);
        assert_eq!(data.get("acked_by"), None);
    }

    #[test]
    fn the_body_is_the_same_for_every_attempt() {
        let first = sample_message(DeliveryKind::Trigger, sample_page());
        let second = Outgoing { attempt: 7, now_ms: first.now_ms + 60_000, ..first.clone() };
        assert_eq!(encode_cloud_event(&first).expect("an event"), encode_cloud_event(&second).expect("an event"));
    }

    #[test]
    fn a_page_too_big_loses_evidence_and_says_so() {
        let mut long = sample_page();
        long.evidence = vec![long.evidence[0].clone(); 10];
        for evidence in &mut long.evidence {
            evidence.reasons = vec!["because ".repeat(60); 8];
        }
        for (page, at_least) in [(long, 2), (oversized_page(), 1)] {
            let bytes = encode_cloud_event(&sample_message(DeliveryKind::Trigger, page)).expect("an event");
            assert!(bytes.len() <= PAGE_BYTES_MAX, "{}", bytes.len());
            let event = parsed(&bytes);
            assert!(event["data"]["shortened"].is_string());
            let kept = event["data"]["evidence"].as_array().map_or(0, Vec::len) as u64;
            assert!(kept >= at_least);
            assert_eq!(event["data"]["more"], 10 - kept);
        }
    }

    #[test]
    fn a_line_of_the_feed_is_a_cloud_event_and_never_too_big() {
        let mut verdict = VerdictLine {
            chain: "mainnet".to_owned(),
            block: 1,
            block_hash: Some("0x01".to_owned()),
            time: "2026-11-20T10:00:00Z".to_owned(),
            tx: "0x02".to_owned(),
            position: "call".to_owned(),
            watch: "Treasury Safe".to_owned(),
            address: "0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A".to_owned(),
            activity: "act".to_owned(),
            function: "transfer(address,uint256)".to_owned(),
            stage: "included".to_owned(),
            fate: "executed".to_owned(),
            verdict: "abnormal".to_owned(),
            by: "builtin/unvouched".to_owned(),
            severity: Some("high".to_owned()),
            reasons: Vec::new(),
            near: 0,
            finding_id: Some("fnd_1".to_owned()),
            incident_id: None,
            revision: 1,
            headline: "x".to_owned(),
            args: serde_json::Map::new(),
            args_human: serde_json::Map::new(),
            value: "0".to_owned(),
            value_human: "0 ETH".to_owned(),
            via: Vec::new(),
            from: "0x".to_owned(),
            origin: "0x".to_owned(),
            to: None,
            operation: "call".to_owned(),
            signers: None,
            implementation: None,
            abi: None,
            sources: 1,
            verified: true,
            late: None,
        };
        let send = |verdict: &VerdictLine| {
            let body = Body::Line(Box::new(Line::Verdict(Box::new(verdict.clone()))));
            let key = DeliveryKey("dlv_1".to_owned());
            encode_cloud_event(&Outgoing { key, body, ..sample_message(DeliveryKind::Feed, sample_page()) })
                .expect("an event")
        };
        let event = parsed(&send(&verdict));
        assert_eq!(event["type"], "watchfire.feed.verdict.v1");
        assert_eq!(event["subject"], "fnd_1");
        assert_eq!(event["data"]["type"], "verdict");
        verdict.args.insert("data".to_owned(), json!("ff".repeat(200_000)));
        verdict.reasons = vec!["no ".repeat(1_000); 100];
        let bytes = send(&verdict);
        assert!(bytes.len() <= LINE_BYTES_MAX, "{}", bytes.len());
        assert!(parsed(&bytes)["data"]["shortened"].is_string());
    }
}
