//! Tapes that were tampered with, tapes of several stretches, and what is kept of a tape that was played. A real node, real files.

use crate::support::accounts::{OWNER_A, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::watch::{Answers, Watch};
use alloy_primitives::U256;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// A key that may pay nobody, on a chain in which it paid a stranger in every block.
struct RecordedKey {
    anvil: Anvil,
    watch: Watch,
    last: u64,
}

impl RecordedKey {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        for _ in 0..6 {
            anvil.succeed(&Tx::pay(OWNER_A.address, STRANGER.address, U256::ONE)).await;
        }
        let key = format!(
            "[[watch]]\nlabel = \"Key\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"Pays\"\npath = \"treasury\"\n",
            OWNER_A.address
        );
        let watch = Watch::local(&format!("\"{}\"", anvil.ws_url()), "clock = \"chain\"\nslot = \"1s\"", &key);
        let last = anvil.block_number().await;
        Self { anvil, watch, last }
    }

    /// Records the whole chain.
    fn record(&self, name: &str) {
        let last = self.last.to_string();
        let recorded = self.watch.run(&["tape", "record", name, "--from-block", "1", "--until-block", &last]);
        assert_eq!(recorded.code, 1, "{}", recorded.stderr);
    }

    /// Writes blocks as a node answers them, each with its receipts.
    async fn save(&self, name: &str, numbers: &[u64], change: impl Fn(&mut Value)) {
        let mut text = String::new();
        for number in numbers {
            let number = format!("{number:#x}");
            let block = self.anvil.rpc("eth_getBlockByNumber", json!([number, true])).await;
            let receipts = self.anvil.rpc("eth_getBlockReceipts", json!([number])).await;
            let mut pair = json!({ "block": block, "receipts": receipts });
            change(&mut pair);
            text.push_str(&format!("{pair}\n"));
        }
        self.watch.write(name, &text);
    }

    /// Writes the tape `to` as `from`, with every line changed.
    fn forge(&self, from: &str, to: &str, change: impl Fn(&mut Value)) {
        let mut text = String::new();
        GzDecoder::new(std::fs::File::open(self.watch.path(from)).unwrap()).read_to_string(&mut text).unwrap();
        let mut packed = GzEncoder::new(std::fs::File::create(self.watch.path(to)).unwrap(), Compression::fast());
        for line in text.lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            change(&mut line);
            writeln!(packed, "{line}").unwrap();
        }
        packed.finish().unwrap();
    }
}

#[track_caller]
fn refused(answers: &Answers, blocks: &[&str]) {
    assert_eq!(answers.code, 2, "{}", answers.stderr);
    for block in blocks {
        let told = answers.stderr.contains(&format!("block {block}: "))
            || answers.lines.iter().any(|line| line.to_string().contains(&format!("\"block\":{block}")));
        assert!(told, "block {block} is not told: {} {:?}", answers.stderr, answers.lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_contradict_their_hash_are_refused_at_once_and_all_listed() {
    let stage = RecordedKey::new().await;
    stage.record("true.tape.gz");
    assert_eq!(stage.watch.run(&["tape", "info", "true.tape.gz"]).code, 0);
    assert_eq!(stage.watch.run(&["tape", "play", "true.tape.gz"]).code, 1);
    // What a forger may change: when a block was, what a transaction sent, what a receipt says, to whom fees went.
    type Change = fn(&mut Value);
    let forgeries: [(&str, Change); 4] = [
        ("timestamp", |block| block["block"]["timestamp"] = json!("0x7fffffff")),
        ("value", |block| block["block"]["transactions"][0]["value"] = json!("0x2")),
        ("status", |block| block["receipts"][0]["status"] = json!("0x0")),
        ("miner", |block| block["block"]["miner"] = json!(STRANGER.address)),
    ];
    for (what, change) in forgeries {
        let name = format!("{what}.tape.gz");
        let forged = |line: &mut Value| {
            if ["0x2", "0x4"].iter().any(|number| line["block"]["number"] == **number) {
                change(line);
            }
        };
        stage.forge("true.tape.gz", &name, forged);
        for command in [
            &["tape", "info", &name][..],
            &["tape", "play", &name],
            &["tape", "play", &name, "--serve"],
            &["tape", "play", &name, "--pace", "1x"],
        ] {
            refused(&stage.watch.run(command), &["2", "4"]);
        }
        let numbers: Vec<u64> = (1..=stage.last).collect();
        stage.save("blocks.jsonl", &numbers, forged).await;
        let imported = stage.watch.run(&["tape", "import", "made.tape.gz", "blocks.jsonl", "--chain-id", "31337"]);
        refused(&imported, &["2", "4"]);
        assert!(!stage.watch.path("made.tape.gz").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_of_several_stretches_is_served_and_explained() {
    let stage = RecordedKey::new().await;
    stage.save("blocks.jsonl", &[1, 2, 5, 6], |_| ()).await;
    let imported = stage.watch.run(&["tape", "import", "two.tape.gz", "blocks.jsonl", "--chain-id", "31337"]);
    assert!(imported.code == 0 && imported.stderr.contains("2 stretches"), "{}", imported.stderr);
    let serving = stage.watch.start(&["tape", "play", "two.tape.gz", "--serve"]);
    let url = async {
        loop {
            let text = std::fs::read_to_string(stage.watch.path("answers.jsonl")).unwrap_or_default();
            if let Some(url) = text.lines().find_map(|line| line.strip_prefix("ws://")) {
                return format!("http://{url}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let url = tokio::time::timeout(Duration::from_secs(60), url).await.expect("it is served");
    assert!(stage.watch.log().contains("2 stretches that do not join"), "{}", stage.watch.log());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in [1, 2, 5, 6] {
        let block = stage.anvil.block(&format!("{number:#x}")).await;
        let hash = block["transactions"][0].as_str().unwrap().to_owned();
        let asked = |method: &'static str, params: Value| {
            let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            let request = client.post(&url).json(&question);
            async move { request.send().await.unwrap().json::<Value>().await.unwrap()["result"].take() }
        };
        let served = asked("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        assert_eq!(served["hash"], block["hash"], "block {number}");
        assert_eq!(asked("eth_getTransactionReceipt", json!([hash])).await["blockHash"], block["hash"]);
        let explained = stage.watch.run(&["explain", "--tape", "two.tape.gz", &hash]);
        assert_eq!(explained.code, 1, "{}", explained.stderr);
        assert_eq!(explained.of("verdict").next().unwrap()["block_hash"], block["hash"]);
    }
    assert_eq!(serving.end().await, 0);
    let none = stage.watch.run(&["tape", "play", "two.tape.gz", "--serve", "--stretch", "3"]);
    assert!(none.code == 2 && none.stderr.contains("it has 2 stretches"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_played_tape_keeps_its_incidents_to_look_at_and_nobody_is_told() {
    let stage = RecordedKey::new().await;
    stage.record("run.tape.gz");
    let played = stage.watch.run(&["tape", "play", "run.tape.gz", "--store", "look.db"]);
    assert_eq!(played.code, 1, "{}", played.stderr);
    let place = stage.watch.path("look.db");
    let way = format!("incidents list --store {}`", place.canonicalize().expect("a store").display());
    assert!(played.stderr.contains(&way), "{}", played.stderr);
    let listed = stage.watch.run(&["incidents", "list", "--store", "look.db"]);
    let incident = listed.of("incident").next().expect("an incident")["incident_id"].as_str().unwrap().to_owned();
    let shown = stage.watch.shows(&["incidents", "list", "--store", "look.db"]);
    assert!(shown.contains("paged nobody"), "{shown}");
    let page = stage.watch.shows(&["incidents", "show", &incident, "--store", "look.db"]);
    assert!(page.contains("Key"), "{page}");
    // A run on what was kept sends none of it.
    let run = stage.watch.run(&["run", "--store", "look.db", "--until-block", "1"]);
    assert_eq!(run.of("delivery").count(), 0, "{}", run.stderr);
    let again = stage.watch.run(&["tape", "play", "run.tape.gz", "--store", "look.db"]);
    assert!(again.code == 2 && again.stderr.contains("is there already"), "{}", again.stderr);
    assert!(!stage.watch.path("watchfire.db").exists());
}
