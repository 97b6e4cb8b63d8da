//! What the decoder makes of each step of the treasury's story, on a real node: one line for each activity.
//!
//! The whole list is written down in `tests/cases/decode/treasury.txt`; `UPDATE_CASES=1` writes it anew after a change that was
//! meant, and the diff is read like code.

use crate::support::anvil::Anvil;
use crate::support::treasury::Treasury;
use alloy_primitives::{B256, Bytes};
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use watchfire::abi::{Abi, bundled};
use watchfire::contracts::kind_named;
use watchfire::decode::{Library, Subject, Subjects, decode_block};
use watchfire::model::activity::Note;
use watchfire::model::read::{Answer, Answers, Read};
use watchfire::model::{Activity, Block, ChainId, Role, WatchId};
use watchfire::wire;

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_story_is_decoded_to_its_leaves() {
    let anvil = Anvil::start().await;
    let treasury = Treasury::deploy(&anvil).await;
    let world = World::of(&treasury);
    let mut steps = treasury.normal_day(&anvil).await;
    steps.extend(treasury.attacks(&anvil).await);
    let mut told = String::new();
    for (name, txs) in steps {
        writeln!(told, "{name}").expect("a string takes it");
        for tx in txs {
            world.tell(&anvil, tx, &mut told).await;
        }
        told.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/decode/treasury.txt");
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &told).expect("the case is written");
    }
    let expected = std::fs::read_to_string(&path).expect("the case is there");
    for (line, (is, was)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, was, "line {} of {}", line + 1, path.display());
    }
    assert_eq!(told.lines().count(), expected.lines().count());
}

/// The treasury's contracts as subjects, with the names of the story.
struct World {
    subjects: Subjects,
    names: HashMap<String, String>,
}

impl World {
    fn of(treasury: &Treasury) -> Self {
        let mut subjects = Subjects::new(ChainId(31_337));
        let artifact =
            std::fs::read_to_string(crate::support::anvil::world_dir().join("artifacts/Box.json")).expect("built");
        let plain = Arc::new(Abi::from_json(&artifact).expect("Box has an ABI"));
        let none = Arc::new(Abi::default());
        let mut n = 0;
        let mut names = HashMap::new();
        for (label, address) in treasury.labels() {
            names.insert(address.to_string(), label.clone());
            let (kind, abi) = match &*label {
                l if l.ends_with("Safe") && !l.contains("Fake") => ("safe", bundled::safe().clone()),
                l if l.ends_with("multisig") => ("multisig", bundled::multisig_wallet().clone()),
                "NET" => ("minime", bundled::minime().clone()),
                "Box" => ("contract", (*plain).clone()),
                "Payer" => ("eoa", Abi::default()),
                l if l.starts_with("MultiSendCallOnly") => {
                    subjects.insert_library(address, Library::MultiSendCallOnly);
                    continue;
                }
                l if l.starts_with("MultiSend") => {
                    subjects.insert_library(address, Library::MultiSend);
                    continue;
                }
                _ => continue,
            };
            let kind = kind_named(kind).expect("a kind");
            let subject = Subject { watch: WatchId(n), kind, abi: Arc::new(abi), rule_abi: none.clone() };
            subjects.insert_subject(address, subject);
            n += 1;
        }
        Self { subjects, names }
    }

    /// Decodes the block of `tx` as the pipeline does, and writes a line for each activity of that transaction.
    async fn tell(&self, anvil: &Anvil, tx: B256, told: &mut String) {
        let block = block_of(anvil, tx).await;
        let mut answers = Answers::new();
        let mut decoded = decode_block(&block, &self.subjects, &watchfire::model::Known::default(), &answers);
        while !decoded.wanted.is_empty() {
            for read in std::mem::take(&mut decoded.wanted) {
                let at = json!({ "blockHash": block.at.hash, "requireCanonical": false });
                let answer = match &read {
                    Read::Call { to, data } => {
                        match anvil.try_rpc("eth_call", json!([{ "to": to, "data": data }, at])).await {
                            Ok(data) => Answer::Data(serde_json::from_value::<Bytes>(data).expect("hex")),
                            Err(_) => Answer::Reverted,
                        }
                    }
                    _ => Answer::Unavailable,
                };
                answers.insert(read, answer);
            }
            decoded = decode_block(&block, &self.subjects, &watchfire::model::Known::default(), &answers);
        }
        for (index, activity) in decoded.activities.iter().enumerate().filter(|(_, a)| a.tx == tx) {
            writeln!(told, "  {index:>2} {}", self.line(activity)).expect("a string takes it");
        }
    }

    fn line(&self, a: &Activity) -> String {
        let args: Vec<String> = a.deed.args.iter().map(|arg| self.named(&arg.to_string())).collect();
        let role = match &a.role {
            Role::Leaf => "leaf".to_owned(),
            Role::Envelope { carries } => format!("envelope of {carries:?}"),
            Role::Effect { of } => format!("effect of {of}"),
        };
        let signers = a.signers.as_ref().map_or("unknown".to_owned(), |all| {
            let all: Vec<String> = all.iter().map(|one| self.named(&one.to_string())).collect();
            format!("[{}]", all.join(", "))
        });
        let mut line = format!(
            "watch {:<2} {:<5} {:<12} {:?}/{:?} {}  {} -> {}: {}({}) value {} signers {signers}",
            a.watch.0,
            a.kind.as_str(),
            a.position.to_string(),
            a.stage,
            a.fate,
            role,
            self.named(&a.from.to_string()),
            a.to.map_or("-".to_owned(), |to| self.named(&to.to_string())),
            a.deed.name,
            args.join(", "),
            a.value,
        );
        if !matches!(a.deed.decoding, watchfire::model::Decoding::Clean | watchfire::model::Decoding::Ether) {
            write!(line, " {:?}", a.deed.decoding).expect("a string takes it");
        }
        // What is around it stands in the lines before it; what is held of the token is asked later.
        let own = |note: &&Note| !matches!(note, Note::Inside(_) | Note::Holding(_));
        for note in a.notes.iter().filter(own) {
            write!(line, " {}", self.named(&format!("{note:?}"))).expect("a string takes it");
        }
        line
    }

    fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, name) in &self.names {
            text = text.replace(address, name).replace(&address.to_lowercase(), name);
        }
        if text.chars().count() > 160 { format!("{}...", text.chars().take(157).collect::<String>()) } else { text }
    }
}

async fn block_of(anvil: &Anvil, tx: B256) -> Block {
    let hash = anvil.receipt(tx).await.block_hash;
    let block = anvil.rpc("eth_getBlockByHash", json!([hash, true])).await;
    let receipts = anvil.rpc("eth_getBlockReceipts", json!([hash])).await;
    wire::parse_block(&block.to_string(), &receipts.to_string()).expect("a real node's block parses")
}
