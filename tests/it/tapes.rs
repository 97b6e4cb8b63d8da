//! Tapes end to end: a real node, a real watch that is recorded, and the same verdicts when the recording is played.

use crate::support::anvil::{Anvil, Options};
use crate::support::process::Process;
use crate::support::watch::Watch;
use crate::support::{bill_payers, stored};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use watchfire::tape;

/// How many clerks are watched.
const CLERKS: usize = 3;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Office {
    anvil: Anvil,
    watch: Watch,
    first: u64,
}

impl Office {
    async fn open() -> Self {
        let extra = vec!["--auto-impersonate".to_owned()];
        let anvil = Anvil::start_with(Options { slots_in_an_epoch: Some(2), extra, ..Options::default() }).await;
        bill_payers::hire(&anvil, CLERKS).await;
        anvil.set_automine(false).await;
        let watch = configured(&anvil.ws_url());
        let first = anvil.block_number().await + 1;
        Self { anvil, watch, first }
    }

    fn run(&self, more: &[&str]) -> Process {
        self.watch.start(&[&["run", "--from-block", &self.first.to_string()], more].concat())
    }

    /// One block in which clerk `n` pays a bill, or robs the till; waits until it is committed.
    async fn day(&self, n: usize, theft: bool) {
        let nonce = self.anvil.sent_by(bill_payers::clerk(n), self.anvil.block_number().await).await;
        let tx =
            if theft { bill_payers::theft(n, nonce) } else { bill_payers::bill(n, bill_payers::SHOPS[0], 1, nonce) };
        bill_payers::mine(&self.anvil, &[tx]).await;
        self.committed().await;
    }

    async fn committed(&self) {
        let head = self.anvil.block("latest").await["hash"].as_str().expect("a hash").to_owned();
        let store = self.watch.path("watchfire.db");
        let committed = || stored::progress(&store).is_some_and(|(tip, _)| tip == head);
        assert!(comes(committed).await, "the newest block is not committed: {}", self.watch.log());
    }
}

fn configured(endpoint: &str) -> Watch {
    let watch = Watch::empty();
    watch.write("clerks.toml", &bill_payers::watchlist(CLERKS, &["treasury".to_owned()]));
    watch.write(
        "watchfire.toml",
        &format!(
            "store = \"watchfire.db\"\nwatchlists = [\"clerks.toml\"]\n[chain.demo]\nid = 31337\nendpoint = \"{endpoint}\"\n\
             clock = \"chain\"\nslot = \"1s\"\nverify = false\n[destination.screen]\nkind = \"terminal\"\n[path.treasury]\n\
             steps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n\
             [path.self]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n"
        ),
    );
    watch
}

/// Whether it holds before long.
async fn comes(mut holds: impl FnMut() -> bool) -> bool {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.is_ok()
}

/// What was said of the chain, in order: verdicts and retractions without what a clock adds.
fn said(lines: &[Value]) -> Vec<String> {
    let keys =
        ["type", "block_hash", "tx", "watch", "activity", "verdict", "by", "finding_id", "revision", "orphaned_block"];
    let told = lines.iter().filter(|line| ["verdict", "retraction"].contains(&line["type"].as_str().unwrap_or("")));
    told.map(|line| keys.map(|key| line[key].to_string()).join(" ")).collect()
}

/// Findings that were not taken back.
fn standing(lines: &[Value]) -> Vec<String> {
    let mut standing = Vec::new();
    for line in lines {
        let Some(id) = line["finding_id"].as_str().map(str::to_owned) else { continue };
        standing.retain(|it| *it != id);
        if line["type"] == "verdict" {
            standing.push(id);
        }
    }
    standing.sort();
    standing
}

fn n_blocks(tape: &Path) -> usize {
    tape::open_tape(tape).map_or(0, |reader| reader.filter(|entry| matches!(entry, Ok(tape::Entry::Block(_)))).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_watch_is_played_back_to_the_same_verdicts() {
    let office = Office::open().await;
    let run = office.run(&["--record", "run.tape.gz", "--traces"]);
    for (n, theft) in [(0, false), (1, true), (2, false), (0, true)] {
        office.day(n, theft).await;
    }
    // The last theft never was, and another was in its place.
    let nonce = office.anvil.sent_by(bill_payers::clerk(2), office.anvil.block_number().await - 2).await;
    office.anvil.reorg(2, &[(bill_payers::theft(2, nonce), 0)]).await;
    office.committed().await;
    office.day(1, false).await;
    assert!(matches!(run.end().await, 0 | 1), "{}", office.watch.log());
    let live = office.watch.answers();
    assert!(said(&live).iter().any(|line| line.contains("retraction")), "the reorg was seen");

    let told = office.watch.run(&["tape", "info", "run.tape.gz"]);
    let info = &told.lines[0];
    assert_eq!(
        (info["type"].as_str(), info["whole"].as_bool(), info["reorgs"].as_u64()),
        (Some("tape"), Some(true), Some(1))
    );
    assert_eq!(info["retracted"], 2);
    assert!(info["traces"]["trace_block"].as_u64() >= Some(5), "{info}");

    let played = office.watch.run(&["tape", "play", "run.tape.gz"]);
    assert_eq!(said(&played.lines), said(&live), "{}", played.stderr);

    // As a node that goes wrong, for a watch that knows nothing of tapes.
    let drop = format!("drop-socket@block={}", office.first + 2);
    let empty = format!("empty-receipts@block={},times=2", office.first + 1);
    let faults = ["--fault", &drop, "--fault", &empty, "--fault", "delay=10ms@times=20"];
    let serve = ["tape", "play", "run.tape.gz", "--serve", "--unverified", "--pace", "200ms"];
    let _node = office.watch.start(&[serve.as_slice(), &faults].concat());
    let url = || {
        let text = std::fs::read_to_string(office.watch.path("answers.jsonl")).unwrap_or_default();
        text.lines().find(|line| line.starts_with("ws://")).map(str::to_owned)
    };
    assert!(comes(|| url().is_some()).await, "the tape is not served: {}", office.watch.log());
    let watch = configured(&url().expect("it is served"));
    let last = office.anvil.block_number().await.to_string();
    let followed = watch.run(&["run", "--from-block", &office.first.to_string(), "--until-block", &last]);
    assert_eq!(standing(&followed.lines), standing(&live), "{}", followed.stderr);
    assert!(office.watch.log().contains("is active"), "who rehearses is told what goes wrong when");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_a_tape_that_is_good_up_to_there_and_the_next_run_keeps_it() {
    let office = Office::open().await;
    let run = office.run(&["--record", "run.tape.zst"]);
    for n in 0..3 {
        office.day(n, false).await;
    }
    let tape = office.watch.path("run.tape.zst");
    assert!(comes(|| n_blocks(&tape) == 3).await, "three blocks are not on the tape: {}", office.watch.log());
    run.kill();
    // Nobody signed what an impersonated account sent, so that the blocks contradict their hashes.
    assert_eq!(office.watch.run(&["tape", "info", "run.tape.zst"]).code, 2);
    let info = office.watch.run(&["tape", "info", "run.tape.zst", "--unverified"]);
    assert_eq!((info.code, &info.lines[0]["whole"], &info.lines[0]["blocks"]), (0, &false.into(), &3.into()));
    let played = office.watch.run(&["tape", "play", "run.tape.zst"]);
    assert!(played.stderr.contains("is cut short after line"), "{}", played.stderr);
    assert_eq!(said(&played.lines).len(), 3);

    let run = office.run(&["--record", "run.tape.zst"]);
    office.day(0, false).await;
    run.end().await;
    assert_eq!(n_blocks(&office.watch.path("run.tape.zst.1")), 3);
    assert_eq!(n_blocks(&tape), 1);
    let info = office.watch.run(&["tape", "info", "run.tape.zst"]);
    assert_eq!(info.lines[0]["whole"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_the_tape_is_told_and_stops_no_watch() {
    let office = Office::open().await;
    let run = office.run(&["--record", "/dev/full"]);
    office.day(0, true).await;
    assert!(office.watch.log().contains("failed to write the recording /dev/full"), "{}", office.watch.log());
    assert_eq!(run.end().await, 1, "the theft was found");
    let nowhere = office.watch.run(&["run", "--record", "no/such/directory/tape.gz"]);
    assert_eq!(nowhere.code, 2, "a slip of the keyboard is told before anything is watched: {}", nowhere.stderr);
}
