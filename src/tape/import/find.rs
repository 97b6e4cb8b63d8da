//! Search for blocks, receipts and traces in JSON with any supported wrapping.

use crate::source::trace::TraceMethod;
use crate::tape::read::short_json_error;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Deepest nesting of answers and lists: a batch of answers with lists of pairs, and some to spare.
const DEPTH_MAX: usize = 4;

/// A part of a tape, as it stands in a file.
pub(super) enum Found<'a> {
    /// A block, with the receipts and traces in the same object.
    Block { block: &'a RawValue, receipts: Option<&'a RawValue>, traces: Option<(TraceMethod, &'a RawValue)> },
    /// The receipts of a block.
    Receipts(&'a RawValue),
    /// The traces of a block.
    Traces(TraceMethod, &'a RawValue),
}

/// Fields that identify an object. All other fields are ignored.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    block: Option<&'a RawValue>,
    #[serde(borrow)]
    receipts: Option<&'a RawValue>,
    #[serde(borrow)]
    traces: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, rename = "parentHash")]
    parent: Option<&'a RawValue>,
    #[serde(borrow)]
    transactions: Option<&'a RawValue>,
    #[serde(borrow, rename = "transactionHash")]
    tx: Option<&'a RawValue>,
    #[serde(borrow, rename = "txHash")]
    traced_tx: Option<&'a RawValue>,
    #[serde(borrow)]
    logs: Option<&'a RawValue>,
    #[serde(borrow, rename = "traceAddress")]
    place: Option<&'a RawValue>,
    #[serde(borrow)]
    tape: Option<&'a RawValue>,
}

/// Finds the parts of a tape in the JSON values of `text`, each with its line, counted from 1.
pub(super) fn find_parts(text: &str) -> Vec<Result<(usize, Found<'_>), (usize, String)>> {
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for (start, value) in split_json_values(text) {
        line += text.get(counted..start).unwrap_or_default().matches('\n').count();
        counted = start;
        match value {
            Ok(value) => {
                let mut parts = Vec::new();
                match parts_of(value, DEPTH_MAX, &mut parts) {
                    Ok(()) => found.extend(parts.into_iter().map(|part| Ok((line, part)))),
                    Err(why) => found.push(Err((line, why))),
                }
            }
            Err(error) => {
                // serde_json counts lines from the start of the value.
                let at = line + error.line().saturating_sub(1);
                found.push(Err((at, short_json_error(&error))));
            }
        }
    }
    found
}

/// Returns the JSON values of a text, each with its start. An invalid value ends the text, unless each value has a line
/// of its own.
fn split_json_values(text: &str) -> Vec<(usize, Result<&RawValue, serde_json::Error>)> {
    let mut whole = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    loop {
        let at = stream.byte_offset();
        let start = at + text.get(at..).map_or(0, |rest| rest.len() - rest.trim_start().len());
        match stream.next() {
            Some(Ok(value)) => whole.push((start, Ok(value))),
            None => return whole,
            // If each value has its own line, an invalid line does not affect the others.
            Some(Err(_)) if !whole.is_empty() && start > 0 && text.as_bytes().get(start - 1) == Some(&b'\n') => {
                return by_line(text);
            }
            Some(Err(error)) => {
                // The line of this error is counted from the beginning of the text.
                let error = text.get(start..).map_or(error, |rest| match serde_json::from_str::<&RawValue>(rest) {
                    Err(again) => again,
                    Ok(_) => serde::de::Error::custom("this is not JSON"),
                });
                whole.push((start, Err(error)));
                return whole;
            }
        }
    }
}

fn by_line(text: &str) -> Vec<(usize, Result<&RawValue, serde_json::Error>)> {
    let mut at = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            lines.push((at, serde_json::from_str(line.trim_end())));
        }
        at += line.len();
    }
    lines
}

/// Adds the part that a value represents, or the parts that it contains, to `parts`.
fn parts_of<'a>(value: &'a RawValue, depth: usize, parts: &mut Vec<Found<'a>>) -> Result<(), String> {
    let deeper = depth.checked_sub(1).ok_or("wrapped too often")?;
    if value.get().starts_with('[') {
        let list: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
        // An empty list is the answer for a block without transactions, so its block does not matter.
        let Some(first) = list.first() else { return Ok(()) };
        let first = parse_object(first)?;
        if first.tx.is_some() && first.logs.is_some() {
            parts.push(Found::Receipts(value));
        } else if first.place.is_some() {
            parts.push(Found::Traces(TraceMethod::TraceBlock, value));
        } else if first.traced_tx.is_some() {
            parts.push(Found::Traces(TraceMethod::CallTracer, value));
        } else {
            return list.into_iter().try_for_each(|value| parts_of(value, deeper, parts));
        }
        return Ok(());
    }
    if value.get() == "null" {
        return Err("null: the node did not know what it was asked for".to_owned());
    }
    match parse_object(value)? {
        Object { block: Some(block), receipts, traces, .. } => {
            let traces = match traces.map(unwrap_rpc_result).filter(|raw| raw.get() != "[]" && raw.get() != "null") {
                Some(raw) => match single_part(raw, deeper)? {
                    Found::Traces(method, raw) => Some((method, raw)),
                    _ => return Err("its traces are something else".to_owned()),
                },
                None => None,
            };
            parts.push(Found::Block {
                block: unwrap_rpc_result(block),
                receipts: receipts.map(unwrap_rpc_result),
                traces,
            });
            Ok(())
        }
        Object { result: Some(result), .. } => parts_of(result, deeper, parts),
        Object { error: Some(_), .. } => Err("an error of the node stands where its answer should be".to_owned()),
        Object { parent: Some(_), transactions: Some(_), .. } => {
            parts.push(Found::Block { block: value, receipts: None, traces: None });
            Ok(())
        }
        Object { tape: Some(_), .. } => Err("this is a tape already".to_owned()),
        _ => Err("neither a block, nor receipts, nor traces".to_owned()),
    }
}

/// Returns the part, if the value contains exactly one.
fn single_part(value: &RawValue, depth: usize) -> Result<Found<'_>, String> {
    let mut parts = Vec::new();
    parts_of(value, depth, &mut parts)?;
    let only = if parts.len() == 1 { parts.pop() } else { None };
    only.ok_or_else(|| "not one thing".to_owned())
}

/// Returns the result inside a JSON-RPC answer, or the value itself.
fn unwrap_rpc_result(value: &RawValue) -> &RawValue {
    if !value.get().starts_with('{') {
        return value;
    }
    parse_object(value).ok().and_then(|object| object.result).unwrap_or(value)
}

fn parse_object(value: &RawValue) -> Result<Object<'_>, String> {
    serde_json::from_str(value.get()).map_err(|_| "neither a block, nor receipts, nor traces".to_owned())
}
