//! What becomes of a true block and true receipts on their way out of a node that lies, or that is odd.

use super::{Fault, State};
use crate::support::chain::{Chain, Form, Made};
use alloy_consensus::Header;
use alloy_primitives::{B256, keccak256};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// More digits than fit in 256 bits.
const HUGE: usize = 70;

/// A block as the node writes it.
pub(super) fn block(state: &mut State, chain: &Chain, made: &Made, form: Form) -> Box<RawValue> {
    let hash = made.link.at.hash;
    if state.script.is_empty() {
        return made.text(form).to_owned();
    }
    if let Some(parent) = chain.blocks.get(&made.link.parent)
        && state.script.take(&Fault::OtherBlock)
    {
        state.note(Fault::OtherBlock, hash);
        return parent.text(form).to_owned();
    }
    if form == Form::Whole
        && state.script.has(&Fault::Forges)
        && let Some((block, _)) = forged(chain, made)
        && state.script.take(&Fault::Forges)
    {
        state.note(Fault::Forges, hash);
        return raw(&block);
    }
    let mut block = if form == Form::Whole { made.block.clone() } else { made.brief(form == Form::Brief) };
    let mut faults = vec![Fault::AltersHeader, Fault::AltersParent, Fault::HugeQuantity, Fault::ExtraField];
    if form == Form::Whole && !made.content.is_empty() {
        faults.extend([Fault::AltersTx, Fault::AltersSender, Fault::DropsTx]);
        if made.content.iter().any(|tx| tx.to.is_some()) {
            faults.push(Fault::MissingTo);
        }
    }
    for fault in faults {
        if state.script.take(&fault) {
            change_block(&mut block, &fault);
            state.note(fault, hash);
        }
    }
    if form == Form::Whole
        && let Some(bytes) = state.script.take_like(|fault| if let Fault::Padded(n) = fault { Some(*n) } else { None })
    {
        block["padding"] = format!("0x{}", "00".repeat(bytes / 2)).into();
    }
    raw(&block)
}

/// A block's receipts as the node writes them.
pub(super) fn receipts(state: &mut State, chain: &Chain, made: &Made) -> Box<RawValue> {
    let hash = made.link.at.hash;
    if state.said.iter().any(|said| said.fault == Fault::Forges && said.about == hash)
        && let Some((_, receipts)) = forged(chain, made)
    {
        return raw(&receipts);
    }
    if state.script.is_empty() || made.content.is_empty() {
        return made.text(Form::Receipts).to_owned();
    }
    if state.script.take(&Fault::EmptyReceipts) {
        state.note(Fault::EmptyReceipts, hash);
        return raw(&Value::Array(Vec::new()));
    }
    let mut receipts = made.receipts.clone();
    let list = receipts.as_array_mut().expect("receipts are a list");
    // The transaction that was left out of the block is left out here as well.
    if state.said.iter().any(|said| said.fault == Fault::DropsTx && said.about == hash) {
        list.remove(list.len() / 2);
        for (receipt, index) in list.iter_mut().zip(0u64..) {
            receipt["transactionIndex"] = hex(index);
        }
        number_logs(list);
    }
    if made.content.iter().any(|tx| !tx.logs.is_empty()) {
        for fault in [Fault::DropsLog, Fault::AltersLog] {
            if state.script.take(&fault) {
                change_logs(list, &fault);
                state.note(fault, hash);
            }
        }
    }
    // Another fault may have left the only receipt out.
    if !list.is_empty() && state.script.take(&Fault::AltersStatus) {
        let status = &mut list[0]["status"];
        *status = if *status == "0x1" { "0x0" } else { "0x1" }.into();
        state.note(Fault::AltersStatus, hash);
    }
    raw(&receipts)
}

/// Another block that says it is this one, and its receipts.
fn forged(chain: &Chain, made: &Made) -> Option<(Value, Value)> {
    let (parent, hash) = (chain.blocks.get(&made.link.parent)?, made.link.at.hash);
    let other = Made::on(Some(parent), made.link.time, made.content.len() + 1, keccak256(hash), None);
    let as_asked = |value: &Value| -> Value {
        let text = value.to_string().replace(&other.link.at.hash.to_string(), &hash.to_string());
        serde_json::from_str(&text).expect("JSON")
    };
    let mut block = as_asked(&other.block);
    block["futureRoot"] = serde_json::json!(keccak256(keccak256(hash)));
    Some((block, as_asked(&other.receipts)))
}

/// A head above this one that nobody ever made, and that hashes to what it says all the same.
pub(super) fn phantom(head: &Made) -> Box<RawValue> {
    let mut phantom = head.brief(true);
    phantom["number"] = hex(head.link.at.number + 2);
    phantom["parentHash"] = serde_json::json!(keccak256(head.link.at.hash));
    let header: Header = serde_json::from_value(phantom.clone()).expect("a header");
    phantom["hash"] = serde_json::json!(header.hash_slow());
    raw(&phantom)
}

fn change_block(block: &mut Value, fault: &Fault) {
    let other = |block: &Value| serde_json::json!(keccak256(block["hash"].to_string()));
    match fault {
        Fault::AltersHeader => block["stateRoot"] = other(block),
        Fault::AltersParent => block["parentHash"] = other(block),
        Fault::HugeQuantity => block["timestamp"] = format!("0x1{}", "0".repeat(HUGE)).into(),
        Fault::ExtraField => block["totalBurnt"] = "0x1".into(),
        Fault::AltersTx => block["transactions"][0]["value"] = "0x2a".into(),
        Fault::AltersSender => {
            block["transactions"][0]["from"] = serde_json::json!(alloy_primitives::Address::repeat_byte(0x42));
        }
        Fault::MissingTo => {
            let mut txs = block["transactions"].as_array_mut().into_iter().flatten();
            // Another fault may have left the only call out of the block.
            if let Some(call) = txs.find(|tx| !tx["to"].is_null()).and_then(Value::as_object_mut) {
                call.remove("to");
            }
        }
        Fault::DropsTx => {
            let txs = block["transactions"].as_array_mut().expect("whole transactions");
            txs.remove(txs.len() / 2);
            for (tx, index) in txs.iter_mut().zip(0u64..) {
                tx["transactionIndex"] = hex(index);
            }
        }
        _ => {}
    }
}

fn change_logs(receipts: &mut [Value], fault: &Fault) {
    let logs = receipts.iter_mut().filter_map(|receipt| receipt["logs"].as_array_mut()).find(|logs| !logs.is_empty());
    let Some(logs) = logs else { return };
    if *fault == Fault::DropsLog {
        logs.remove(0);
        number_logs(receipts);
    } else {
        logs[0]["data"] = serde_json::json!(B256::repeat_byte(0x42));
    }
}

fn number_logs(receipts: &mut [Value]) {
    let logs = receipts.iter_mut().filter_map(|receipt| receipt["logs"].as_array_mut()).flatten();
    for (log, index) in logs.zip(0u64..) {
        log["logIndex"] = hex(index);
    }
}

fn hex(n: u64) -> Value {
    format!("{n:#x}").into()
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("JSON")
}
