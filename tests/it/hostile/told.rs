//! Words that an attacker puts into calldata and logs, followed to every destination: nothing is markup, a command or a lie
//! to the eye by the time a person or a machine gets it.

use super::bytes::{BOX, judged, lenient};
use crate::support::abi::INoise;
use crate::support::accounts::STRANGER;
use crate::support::hostile_blocks::*;
use crate::support::inbox::{Answer, Inbox};
use alloy_primitives::B256;
use alloy_sol_types::SolValue;
use serde_json::Value as Json;
use watchfire::abi::Function;
use watchfire::deliver::{self, Outgoing, Targets, render_page};
use watchfire::model::incident::{Body, DeliveryKind};
use watchfire::model::record::Line;
use watchfire::model::value::Value;
use watchfire::model::{BlockRef, DeliveryKey, JudgedBlock, Provenance, Severity};
use watchfire::settings::{Document, Problems, Secrets, SourceFile};
use watchfire::telemetry::Form;

/// Calls to everybody, markup, links that run, commands to terminals, text that reads backwards, what no eye sees.
const WORDS: &[&str] = &[
    "<!channel> <!here> <@U024BE7LH> <#C024BE7LH>",
    "@everyone @channel @here",
    "[click](javascript:alert(1)) ](javascript:alert(1)) <https://evil.example|etherscan.io>",
    "\u{1b}[2J\u{1b}]0;calm\u{7}\u{1b}[31mred \u{9b}2J",
    "a\0b\rc\nd\te\u{8}\u{7f}",
    "\u{202e}gpj.exe \u{2066}hidden\u{2069} \u{200b}\u{200d}\u{feff}\u{e0041}",
    "</pre><script>alert(1)</script> \" ' ` \\ {{7*7}} ${HOME} $(reboot)",
];

/// Nothing that a terminal obeys or an eye misses; line ends only where `lines` are laid out.
#[track_caller]
fn harmless(text: &str, lines: bool) {
    let bad = |c: char| {
        c.is_control() && !(lines && c == '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    assert!(!text.contains(bad), "{:?} in {text:?}", text.chars().find(|c| bad(*c)));
}

/// Every string of a JSON document, and whether it is one that Slack shows as it stands.
fn strings(json: &Json, plain: bool, into: &mut Vec<(bool, String)>) {
    match json {
        Json::String(text) => into.push((plain, text.clone())),
        Json::Array(items) => items.iter().for_each(|item| strings(item, false, into)),
        Json::Object(fields) => fields.values().for_each(|field| strings(field, json["type"] == "plain_text", into)),
        _ => {}
    }
}

/// Everything that is told of a transaction that carries `words` in a call, in a call of no known function, and in logs.
fn told_of(words: &str) -> (Vec<Body>, Vec<Line>) {
    let court = lenient();
    // A rule that looks at the words, so that its refusal quotes them.
    let named = Function::parse("named(string)").unwrap();
    let call = named.encode_calldata(&[Value::String(words.as_bytes().to_vec().into())]).unwrap();
    let broken = [&call[..], &[1]].concat();
    let log = event(BOX, &INoise::Named { name: words.to_owned() });
    let mut hanging = log.clone();
    hanging.data = [&hanging.data[..], &[1]].concat().into();
    let stray = raw(SAFE, "ExecutionSuccess(bytes32,uint256)", &[], (B256::ZERO, words).abi_encode());
    let short = words.as_bytes()[..words.len().min(3)].to_vec();
    let txs = [
        Tx::call(STRANGER.address, BOX, broken).log(log).log(hanging).log(stray),
        Tx::call(STRANGER.address, BOX, short),
        Tx::call(STRANGER.address, BOX, words.as_bytes().to_vec()),
    ];
    let judged = judged(&court, &txs);
    let at = BlockRef { number: 1, hash: B256::ZERO };
    let block = JudgedBlock {
        chain: court.book.chains[0].info.id,
        anchor: at.into(),
        parent: B256::ZERO,
        time: court.time,
        judged,
        deltas: vec![],
        sight: Provenance::default(),
    };
    let plan = court.plan(&block);
    (plan.deliveries.into_iter().map(|delivery| delivery.body).collect(), plan.lines)
}

fn outgoing(body: Body) -> Outgoing {
    Outgoing {
        key: DeliveryKey("dlv_0".to_owned()),
        kind: DeliveryKind::Trigger,
        attempt: 1,
        now_ms: FRIDAY * 1_000,
        severity: Severity::High,
        body,
    }
}

/// One destination of each kind that speaks HTTP, all of them to `inbox`.
fn targets(inbox: &Inbox, dir: &std::path::Path) -> Targets {
    std::fs::write(dir.join("room"), inbox.url("/room")).unwrap();
    std::fs::write(dir.join("key"), "R0UT1NGKEY").unwrap();
    let config = format!(
        "[destination.room]\nkind = \"slack\"\nurl = {{ file = \"room\" }}\n\
         [destination.oncall]\nkind = \"pagerduty\"\nurl = \"{}\"\nrouting_key = {{ file = \"key\" }}\n\
         [destination.hook]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\nfeed = \"verdicts\"\n",
        inbox.url("/pager"),
        inbox.url("/hook"),
    );
    let file = SourceFile::new(dir.join("watch.toml").display().to_string(), config);
    let mut problems = Problems::new();
    let document = Document::parse(&file, Secrets::Resolve, &mut problems);
    let table = document.root_table().table("destination", &mut problems).unwrap();
    let entries = table.into_entries();
    let read = entries.iter().filter_map(|(name, value)| {
        let target = deliver::parse_destination(name, value.table(&mut problems)?, &mut problems)?;
        Some((target.name.clone(), target))
    });
    let targets: Targets = read.collect();
    assert!(problems.is_empty(), "{}", problems.render(false));
    targets
}

#[tokio::test]
async fn no_destination_is_handed_anything_that_acts() {
    let inbox = Inbox::start().await;
    let dir = tempfile::tempdir().unwrap();
    let targets = targets(&inbox, dir.path());
    let long = "A\u{202e}<!channel>".repeat(4_096);
    let mut n_bodies = 0;
    for words in WORDS.iter().copied().chain([&*long]) {
        let words = words.to_owned();
        let (bodies, lines) = std::thread::spawn(move || told_of(&words)).join().unwrap();
        assert!(!bodies.is_empty() && !lines.is_empty());
        for body in bodies {
            let Body::Page(page) = &body else { continue };
            harmless(&render_page(page, false), true);
            for name in ["room", "oncall", "hook"] {
                n_bodies += 1;
                match name {
                    "oncall" => inbox.script([Answer::Body(202, "{\"status\": \"success\"}".to_owned())]),
                    "room" => inbox.script([Answer::Body(200, "ok".to_owned())]),
                    _ => {}
                }
                targets[name].destination.send(&outgoing(body.clone())).await.unwrap();
            }
        }
        for line in lines {
            targets["hook"].destination.send(&outgoing(Body::Line(Box::new(line)))).await.unwrap();
        }
    }
    let received = inbox.received();
    assert!(n_bodies >= 3 * WORDS.len() && received.len() > n_bodies);
    for request in received {
        let text = std::str::from_utf8(&request.body).unwrap();
        assert!(text.len() < 256 << 10, "{} bytes to {}", text.len(), request.path);
        harmless(text, request.path == "/hook");
        let mut said = Vec::new();
        strings(&request.json(), false, &mut said);
        for (plain, text) in said {
            if request.path == "/room" {
                // Links of ours begin with a web address; nothing else may open a bracket where there is markup.
                let ours = |at: usize| text[at..].starts_with("<https://") || text[at..].starts_with("<http://");
                assert!(plain || text.match_indices('<').all(|(at, _)| ours(at)), "{text:?}");
                assert!(plain || !text.contains("evil.example"), "{text:?}");
                assert!(!["@everyone", "@channel", "@here"].iter().any(|call| text.contains(call)), "{text:?}");
            }
            harmless(&text, true);
            if request.path != "/room" {
                // Whoever passes it on to a chat rings nobody and shows no link but ours.
                let rings = ["<!", "<@", "<#", "@everyone", "@channel", "@here", "](", "</", "<https"];
                assert!(!rings.iter().any(|word| text.contains(word)), "{}: {text:?}", request.path);
                assert!(!text.contains("://") || text.starts_with("https://"), "{}: {text:?}", request.path);
            }
            assert!(!text.to_lowercase().starts_with("javascript:"), "{text:?}");
        }
    }
}

#[test]
fn a_name_of_64_kilobytes_is_told_in_a_line() {
    let (bodies, lines) = told_of(&"\u{202e}é<".repeat(12_000));
    for line in lines {
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.len() < 64 << 10, "{} bytes", text.len());
    }
    for body in bodies {
        if let Body::Page(page) = body {
            assert!(render_page(&page, false).lines().all(|line| line.chars().count() < 400));
        }
    }
}

#[test]
fn nothing_that_an_attacker_wrote_acts_in_a_log() {
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for form in [Form::Text, Form::Json] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = watchfire::telemetry::log_subscriber(move || writer.clone(), "trace", form, false);
        tracing::subscriber::with_default(subscriber, || {
            for words in WORDS {
                tracing::warn!(target: "watchfire::test", said = %words, "failed to deliver: {words}");
            }
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().count() == WORDS.len() && text.contains("202e"), "{text}");
        harmless(&text, true);
        if form == Form::Json {
            for line in text.lines() {
                let said: Json = serde_json::from_str(line).unwrap();
                assert!(WORDS.iter().any(|words| said["said"] == **words), "{line}: a log for programs stays exact");
            }
        }
    }
}
