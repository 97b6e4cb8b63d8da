//! The demo: its tape is recorded from a real node by the program's own recorder, and what it shows is what it should.

use crate::support::anvil::Anvil;
use crate::support::treasury::{Step, Treasury};
use crate::support::watch::Watch;
use alloy_primitives::B256;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use watchfire::model::ChainId;
use watchfire::tape::{Head, Tape, Writer};

/// What the watcher of the demo is told before the block of each step.
const CAPTIONS: &[(&str, &str)] = &[
    (
        "ops_pays_ether",
        "Monday, 10:00 UTC. An ordinary day: every activity is vouched for by a rule, and nobody is woken.",
    ),
    ("grants_pays_in_a_batch", "Three payments in one MultiSend, judged leaf by leaf."),
    ("vault_pays_through_the_council", "A Safe that is owned by a Safe."),
    ("module_pays_ether", "A module pays; only the Safe's log tells."),
    (
        "multisig_pays_ether",
        "A legacy multisig: written down by one owner, executed inside the confirmation of another.",
    ),
    ("keeper_fails_once", "One failed attempt by the expected caller is no news."),
    (
        "payment_at_night",
        "Tuesday, 03:00 UTC. Somebody holds two keys. The same grant as always, at an hour that no rule knows.",
    ),
    ("change_controller_submitted", "A submission to the legacy multisig: found before anybody confirms it."),
    ("owner_swap_inside_a_nested_batch", "An owner is replaced, inside a batch, inside a Safe, inside a Safe."),
    ("delegatecall_to_unknown_code", "Foreign code runs as the Safe and replaces its own code. No event tells of it."),
    ("stolen_safe_swept", "And the thief takes what is there, without a signature."),
];

/// Plays the demo's story on a node: the first block of each of its two stretches, the last of each, and its steps.
async fn story(anvil: &Anvil) -> ([(u64, u64); 2], Vec<Step>) {
    let treasury = Treasury::deploy(anvil).await;
    let morning = anvil.block_number().await + 1;
    let mut steps = treasury.normal_day(anvil).await;
    let evening = anvil.block_number().await;
    // A quiet stretch that nobody needs to see: the two parts of the tape do not join.
    anvil.mine(20).await;
    let night = anvil.block_number().await + 1;
    steps.push(("payment_at_night", vec![treasury.payment_at_night(anvil).await]));
    steps.push(("change_controller_submitted", vec![treasury.change_controller_submitted(anvil).await.1]));
    steps.push(("owner_swap_inside_a_nested_batch", vec![treasury.owner_swap_inside_a_nested_batch(anvil).await]));
    steps.push(("delegatecall_to_unknown_code", vec![treasury.delegatecall_to_unknown_code(anvil).await]));
    steps.push(("stolen_safe_swept", vec![treasury.stolen_safe_swept(anvil).await]));
    ([(morning, evening), (night, anvil.block_number().await)], steps)
}

/// Records the story with `watchfire tape record`, and joins its stretches with captions into one tape.
async fn recorded(anvil: &Anvil) -> Vec<u8> {
    let (stretches, steps) = story(anvil).await;
    let watch = Watch::treasury(&anvil.ws_url(), "[destination.pager]\nkind = \"terminal\"\n");
    let mut captions: HashMap<B256, &str> = HashMap::new();
    for (step, caption) in CAPTIONS {
        let (_, txs) = steps.iter().find(|(name, _)| name == step).expect("the step is in the story");
        captions.insert(anvil.receipt(txs[0]).await.block_hash, caption);
    }
    let head = Head::new(ChainId(31_337), "A treasury lives through a normal day and an attack");
    let mut writer = Writer::new(Vec::new(), &head).expect("a vector takes it");
    for (part, (from, until)) in stretches.into_iter().enumerate() {
        let file = format!("part{part}.tape.gz");
        let (from, until) = (from.to_string(), until.to_string());
        let done = watch.run(&["tape", "record", &file, "--from-block", &from, "--until-block", &until]);
        assert!(matches!(done.code, 0 | 1), "{}", done.stderr);
        let tape = Tape::load_file(&watch.path(&file)).expect("the recorder's tape can be read");
        for stretch in tape.stretches {
            for block in stretch.blocks {
                if let Some(caption) = captions.get(&block.block.at.hash) {
                    writer.write_caption(caption).expect("a vector takes it");
                }
                let raw = block.raw.as_ref().expect("a loaded tape keeps the node's text");
                writer.write_block(block.block.link(), raw, &block.reads).expect("a vector takes it");
            }
        }
    }
    writer.finish().expect("a vector takes it")
}

/// `tests/world/record-demo` runs this test with `UPDATE_CASES=1`, which writes the tape anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_tape_is_what_a_real_node_says_of_the_story() {
    let anvil = Anvil::start().await;
    let fresh = recorded(&anvil).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo/treasury.tape.gz");
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &fresh).expect("the tape is written");
    }
    assert!(fresh.len() < 1_000_000, "{} bytes are too many to carry along", fresh.len());
    let tape = |bytes: &[u8]| {
        let reader = watchfire::tape::Reader::new(std::io::Cursor::new(bytes.to_vec())).expect("a tape");
        Tape::from_reader(reader).expect("a whole tape")
    };
    let (fresh, bundled) = (tape(&fresh), tape(&std::fs::read(&path).expect("the tape is there")));
    assert_eq!(fresh.stretches.len(), 2);
    for (fresh, bundled) in fresh.stretches.iter().zip(&bundled.stretches) {
        let hashes = |stretch: &watchfire::tape::Stretch| -> Vec<B256> {
            stretch.blocks.iter().map(|block| block.block.at.hash).collect()
        };
        assert_eq!(hashes(fresh), hashes(bundled), "run tests/world/record-demo and read the diff of what it shows");
        assert!(fresh.captions().eq(bundled.captions()));
    }
}

#[test]
fn the_demo_shows_a_silent_day_and_pages_for_the_attack() {
    let output = Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["demo", "--fast", "--format", "json"])
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    let found: Vec<&str> = lines
        .iter()
        .filter(|line| line["type"] == "verdict" && line["finding_id"].is_string())
        .map(|line| line["time"].as_str().unwrap_or("?"))
        .collect();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|time| time.starts_with("2026-11-03T03:")), "the day was silent: {found:?}");
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["findings"], &summary["dead"]), (&"summary".into(), &5.into(), &0.into()));
    assert!(stderr.contains("CRITICAL") && stderr.contains("Vault Safe"), "the page is shown: {stderr}");
    assert!(!stderr.contains("WARN"), "the end of the tape is no trouble: {stderr}");
}

#[test]
fn the_demo_can_be_read_without_color() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["demo", "--fast"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains('\u{1b}'), "no escape codes on a pipe");
    for told in ["normal", "critical", "an owner is replaced", "no known library", "Operations Safe"] {
        assert!(text.contains(told), "`{told}` is not told:\n{text}");
    }
}
