//! Recorded blocks are proven against their own headers, with the sender of every transaction recovered from its signature.

use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use watchfire::source::verify::{Raw, verify_block, verify_senders};
use watchfire::wire;

/// Every `*.json` and `*.json.gz` of a directory: `{"block": …, "receipts": […]}`, as `watchfire tape import` takes them.
pub(crate) fn run(directory: &Path) {
    let files = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().contains(".json")).collect();
    files.sort();
    assert!(!files.is_empty(), "there is nothing to verify in {}", directory.display());
    for file in files {
        let (block, receipts) = recorded(&file);
        let sealed = wire::parse_sealed_block(block.get(), receipts.get()).expect("a block");
        let all = 0..u32::try_from(sealed.block.txs.len()).expect("few");
        let gaps = [
            verify_block(&sealed, &Raw::default()).expect("an honest block"),
            verify_senders(&sealed, all).expect("senders"),
        ];
        assert_eq!(gaps.concat(), [], "block {}", sealed.block.at);
        let types = sealed.block.txs.iter().fold([0; 5], |mut n, tx| {
            n[usize::try_from(tx.kind).expect("small").min(4)] += 1;
            n
        });
        let n_withdrawals = sealed.withdrawals.as_ref().map_or(0, Vec::len);
        println!("{}: proven, transactions by type {types:?}, {n_withdrawals} withdrawals", sealed.block.at);
    }
}

fn recorded(file: &Path) -> (Box<RawValue>, Box<RawValue>) {
    #[derive(serde::Deserialize)]
    struct Pair {
        block: Box<RawValue>,
        receipts: Box<RawValue>,
    }
    let mut bytes = std::fs::read(file).expect("a file");
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("gzip");
        bytes = plain;
    }
    let Pair { block, receipts } = serde_json::from_slice(&bytes).expect("a block and its receipts");
    (block, receipts)
}
