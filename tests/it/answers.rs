//! Success is what each service says it is: one table of answers over every destination and every heartbeat, over real HTTP.

use crate::support::desk::{Desk, page, trigger};
use crate::support::inbox::{Answer, Inbox};
use std::time::Duration;
use watchfire::deliver::{DESTINATIONS, Outgoing, SendError};
use watchfire::heartbeat::{self, HEARTBEATS, HealthReport, HeartbeatTarget};
use watchfire::model::incident::{Body, DeliveryKind};
use watchfire::model::{DeliveryKey, Severity};
use watchfire::settings::{Document, Problems, Secrets, SourceFile};

/// A page that somebody else answers with: a captive portal, a parked domain, a sign-in page of a proxy.
const WEB_PAGE: &str = "<!DOCTYPE html><html><body>Sign in to the guest network</body></html>";

/// Kind of service, and every answer with a 2xx status that it documents as success.
const TAKEN: [(&str, &[(u16, &str)]); 5] = [
    ("pagerduty", &[(202, r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#)]),
    ("slack", &[(200, "ok"), (200, "ok\n")]),
    ("webhook", &[(200, ""), (200, "ok"), (202, r#"{"queued":true}"#), (204, "")]),
    ("healthchecks", &[(200, "OK"), (201, "Created")]),
    ("alertmanager", &[(200, "")]),
];

/// Answers with a 2xx status that are no success to anybody, beside those of [`TAKEN`] that are another's.
const NOT_TAKEN: [(u16, &str); 9] = [
    (200, WEB_PAGE),
    (203, " \n<html><head><title>Buy this domain</title></head></html>"),
    (200, r#"{"ok":false,"error":"channel_is_archived"}"#),
    (200, "invalid_payload"),
    (202, r#"{"status":"invalid event","message":"Event object is invalid","errors":["routing_key"]}"#),
    (200, r#"{"status":"success"}"#),
    (200, "OK (not found)"),
    (200, "OK (rate limited)"),
    (206, "partial"),
];

/// A webhook leaves the body of its answer to the receiver, so that only a page is none.
fn is_taken(kind: &str, answer: (u16, &str)) -> bool {
    let listed = TAKEN.iter().any(|(of, answers)| *of == kind && answers.contains(&answer));
    listed || (kind == "webhook" && !answer.1.trim_start().starts_with('<'))
}

fn every_answer() -> Vec<(u16, &'static str)> {
    let mut all: Vec<_> = TAKEN.iter().flat_map(|(_, answers)| answers.iter().copied()).chain(NOT_TAKEN).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn outgoing() -> Outgoing {
    Outgoing {
        key: DeliveryKey("dlv_00".to_owned()),
        kind: DeliveryKind::Trigger,
        attempt: 1,
        now_ms: 1_795_168_812_345,
        severity: Severity::Critical,
        body: Body::Page(Box::new(page())),
    }
}

fn heart(kind: &str, url: &str, dir: &std::path::Path) -> HeartbeatTarget {
    std::fs::write(dir.join("url"), url).unwrap();
    let text = format!("[heartbeat.switch]\nkind = \"{kind}\"\nurl = {{ file = \"url\" }}\n");
    let file = SourceFile::new(dir.join("watch.toml").display().to_string(), text);
    let mut problems = Problems::new();
    let document = Document::parse(&file, Secrets::Resolve, &mut problems);
    let all = document.root_table().table("heartbeat", &mut problems).unwrap();
    let entries = all.into_entries();
    let heart = heartbeat::parse_heartbeat("switch", entries[0].1.table(&mut problems).unwrap(), &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    heart.unwrap()
}

/// What must be said of an answer that is no success: the answer itself, and what would have been one.
fn quotes(error: &SendError, (status, body): (u16, &str), is: &str) {
    let said = error.to_string();
    let begins: String = body.trim().chars().take(40).collect();
    let quoted = if begins.is_empty() { said.contains("an empty body") } else { said.contains(&begins) };
    assert!(quoted && said.contains(&status.to_string()) && said.contains(is), "{status} {body}: {said}");
}

#[tokio::test]
async fn every_destination_counts_its_service_s_own_success_and_nothing_else() {
    let inbox = Inbox::start().await;
    let config = format!(
        "[destination.slack]\nkind = \"slack\"\nurl = {{ file = \"room\" }}\n\
         [destination.pagerduty]\nkind = \"pagerduty\"\nurl = \"{0}\"\nrouting_key = {{ file = \"key\" }}\n\
         [destination.webhook]\nkind = \"webhook\"\nurl = \"{0}\"\nunsigned = true\n",
        inbox.url("/")
    );
    let desk = Desk::new(&config, &[("room", &inbox.url("/x")), ("key", "R0UT1NGKEY")]).await;
    for kind in DESTINATIONS.iter().filter(|kind| kind.name() != "terminal") {
        let (name, is) = (kind.name(), kind.success().is);
        assert!(TAKEN.iter().any(|(of, _)| *of == name), "{name} has no row in the table");
        assert!(kind.success().source.starts_with("https://"), "{name} names where its service says so");
        for answer in every_answer() {
            inbox.script([Answer::Body(answer.0, answer.1.to_owned())]);
            let sent = desk.targets[name].destination.send(&outgoing()).await;
            match sent {
                Ok(_) => assert!(is_taken(name, answer), "{name} counts {answer:?} as delivered"),
                Err(error) => {
                    assert!(!is_taken(name, answer), "{name} refuses {answer:?}: {error}");
                    quotes(&error, answer, is);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_heartbeat_counts_its_service_s_own_success_and_nothing_else() {
    let inbox = Inbox::start().await;
    let dir = tempfile::tempdir().unwrap();
    let vitals = HealthReport { now_ms: 1_000_000, every: Duration::from_secs(60), n_checks: 1, failing: Vec::new() };
    for kind in HEARTBEATS {
        let (name, is) = (kind.name(), kind.success().is);
        assert!(TAKEN.iter().any(|(of, _)| *of == name), "{name} has no row in the table");
        let heart = heart(name, &inbox.url("/ping"), dir.path());
        for answer in every_answer() {
            inbox.script([Answer::Body(answer.0, answer.1.to_owned())]);
            match heart.heartbeat.beat(&vitals).await {
                Ok(_) => assert!(is_taken(name, answer), "{name} counts {answer:?} as heard"),
                Err(error) => {
                    assert!(!is_taken(name, answer), "{name} refuses {answer:?}: {error}");
                    quotes(&error, answer, is);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_that_a_captive_portal_swallowed_is_sent_again_until_its_service_takes_it() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    inbox.script([Answer::Body(200, WEB_PAGE.to_owned()), Answer::Body(200, WEB_PAGE.to_owned()), Answer::Ok]);
    desk.write(vec![trigger(1, "hook")]).await;
    for _ in 0..3 {
        desk.after(61).await;
    }
    assert_eq!(desk.outcomes(), ["1 retry", "2 retry", "3 sent"]);
    assert!(desk.heard().contains("Sign in to the guest network"), "{}", desk.heard());
}
