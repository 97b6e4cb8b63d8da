//! What a node answers: one function for both ways of asking.

use super::{FakeNode, Fault, State, lies};
use crate::support::chain::{CHAIN_ID, Chain, Form, Made};
use alloy_primitives::B256;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::time::Duration;

/// What comes of a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// The answer.
    Result(Box<RawValue>),
    /// A JSON-RPC error.
    Refused(i64, String),
    /// Asked too often; come back after so many seconds.
    Limited(u64),
    /// Something that is no answer.
    Garbled(Fault),
    /// Nothing, ever.
    Nothing,
}

/// A JSON-RPC error: code and message.
type Refusal = (i64, String);

impl FakeNode {
    /// The answer to one question, and how long it takes to come.
    pub(super) fn reply(&self, method: &str, params: &Value) -> (Reply, Duration) {
        self.state(|state, chain| {
            state.asked.push(method.to_owned());
            let slow = state.script.take_like(|fault| if let Fault::Slow(by) = fault { Some(*by) } else { None });
            (state.reply(chain, method, params), slow.unwrap_or_default())
        })
    }
}

impl State {
    fn reply(&mut self, chain: &Chain, method: &str, params: &Value) -> Reply {
        if self.script.has(&Fault::Mute) || self.script.take(&Fault::Unanswered) {
            return Reply::Nothing;
        }
        // Who cannot say which chain it serves is not asked for anything else.
        if method != "eth_chainId" {
            for fault in [Fault::NullNull, Fault::WithoutId, Fault::Unpaid, Fault::Html, Fault::BadGzip] {
                if self.script.take(&fault) {
                    return Reply::Garbled(fault);
                }
            }
            let limited = |fault: &Fault| if let Fault::Limited(after) = fault { Some(*after) } else { None };
            if let Some(after) = self.script.take_like(limited) {
                return Reply::Limited(after);
            }
        }
        let answer = self.answer(chain, method, params).and_then(|answer| match &self.bend {
            None => Ok(answer),
            Some(bend) => {
                let mut answer = serde_json::from_str(answer.get()).expect("JSON");
                bend(method, params, &mut answer).map(|()| raw(&answer))
            }
        });
        match answer {
            Ok(result) => Reply::Result(result),
            Err((code, message)) => Reply::Refused(code, message),
        }
    }

    fn answer(&mut self, chain: &Chain, method: &str, params: &Value) -> Result<Box<RawValue>, Refusal> {
        match method {
            "eth_chainId" => {
                let other =
                    self.script.take_like(|fault| if let Fault::OtherChain(id) = fault { Some(*id) } else { None });
                Ok(raw(&format!("{:#x}", other.unwrap_or(CHAIN_ID))))
            }
            "eth_subscribe" if self.script.take(&Fault::RefusesSubscription) => {
                Err((-32000, "too many subscriptions".to_owned()))
            }
            "eth_subscribe" => Ok(raw("0x1")),
            "eth_blockNumber" => Ok(raw(&format!("{:#x}", self.path.len() - 1))),
            "eth_getBlockByNumber" => self.by_number(chain, params),
            "eth_getBlockByHash" => {
                let Some(made) = self.by_hash(chain, &params[0]) else { return Ok(null()) };
                if self.script.take(&Fault::NullByHash) {
                    return Ok(null());
                }
                Ok(lies::block(self, chain, made, form(&params[1])))
            }
            "eth_getBlockReceipts" if self.script.has(&Fault::LacksReceipts) => Err(unknown(method)),
            "eth_getBlockReceipts" => {
                Ok(self.by_hash(chain, &params[0]).map_or_else(null, |made| lies::receipts(self, chain, made)))
            }
            "eth_getTransactionByHash" => Ok(self
                .included(chain, &params[0])
                .map_or_else(null, |(made, at)| raw(&made.block["transactions"][at]))),
            "debug_traceTransaction" => Ok(self
                .included(chain, &params[0])
                .map_or_else(null, |(made, at)| raw(&self.traces(made, &params[1]["tracer"])[at]["result"]))),
            "eth_getTransactionReceipt" => {
                Ok(self.included(chain, &params[0]).map_or_else(null, |(made, at)| raw(&made.receipts[at])))
            }
            "eth_getRawTransactionByHash" | "debug_getRawTransaction" | "debug_getRawReceipts"
                if self.script.has(&Fault::LacksRaw) =>
            {
                Err(unknown(method))
            }
            "eth_getRawTransactionByHash" | "debug_getRawTransaction" => {
                Ok(self.included(chain, &params[0]).map_or_else(null, |(made, at)| raw(&made.raw[at].0)))
            }
            "debug_getRawReceipts" => match self.by_hash(chain, &params[0]) {
                Some(made) => Ok(raw(&made.raw.iter().map(|(_, receipt)| receipt).collect::<Vec<_>>())),
                None => Err((-32000, "block not found".to_owned())),
            },
            "debug_traceBlockByHash" => match self.by_hash(chain, &params[0]) {
                Some(made) => Ok(raw(&self.traces(made, &params[1]["tracer"]))),
                None => Err((-32000, "block not found".to_owned())),
            },
            // What a call answers depends on its first byte; the block has to be named by its hash.
            "eth_call" => match (self.by_hash(chain, &params[1]["blockHash"]), params[0]["data"].as_str()) {
                (None, _) => Err((-32000, "header not found".to_owned())),
                (_, Some("0x01")) => Err((3, "execution reverted".to_owned())),
                (_, Some("0x02")) => Err((-32000, "missing trie node".to_owned())),
                (Some(made), _) => Ok(raw(&made.link.at.hash)),
            },
            _ => Err(unknown(method)),
        }
    }

    fn by_number(&mut self, chain: &Chain, params: &Value) -> Result<Box<RawValue>, Refusal> {
        let asked = params[0].as_str().unwrap_or_default();
        if asked == "latest" && self.script.take(&Fault::FailsPoll) {
            return Err((-32000, "upstream timeout".to_owned()));
        }
        let height = match asked.strip_prefix("0x") {
            Some(digits) => usize::from_str_radix(digits, 16).ok(),
            None if asked == "earliest" => Some(0),
            // geth's words before the merge, and for ever where there is no beacon chain.
            None => Some(self.tag(asked).ok_or_else(|| (-39001, format!("{asked} block not found")))?),
        };
        let Some(hash) = height.and_then(|height| self.path.get(height)).copied() else { return Ok(null()) };
        let made = &*chain.blocks[&hash];
        if asked == "latest" && self.script.take(&Fault::PhantomHead) {
            self.note(Fault::PhantomHead, hash);
            return Ok(lies::phantom(made));
        }
        Ok(lies::block(self, chain, made, form(&params[1])))
    }

    fn by_hash<'a>(&self, chain: &'a Chain, hash: &Value) -> Option<&'a Made> {
        let hash: B256 = hash.as_str()?.parse().ok()?;
        self.known.contains(&hash).then(|| &*chain.blocks[&hash])
    }

    /// The canonical block that includes a transaction, and its place there.
    fn included<'a>(&self, chain: &'a Chain, tx: &Value) -> Option<(&'a Made, usize)> {
        let tx: B256 = tx.as_str()?.parse().ok()?;
        self.path.iter().rev().find_map(|hash| {
            let made = &*chain.blocks[hash];
            Some((made, made.content.iter().position(|happened| happened.hash == tx)?))
        })
    }

    /// Frames as geth's `callTracer` gives them; other tracers are not known, which is told by an empty object and no error.
    fn traces(&mut self, made: &Made, tracer: &Value) -> Value {
        let knows = tracer == "callTracer" && !self.script.take(&Fault::EmptyTraces);
        let frame = |(tx, happened): (&Value, &crate::support::chain::Happened)| {
            let frame = json!({
                "type": if happened.to.is_some() { "CALL" } else { "CREATE" }, "from": happened.from, "to": happened.to,
                "value": tx["value"], "input": tx["input"], "gas": "0x5208", "gasUsed": "0x5208",
            });
            json!({ "txHash": happened.hash, "result": if knows { frame } else { json!({}) } })
        };
        made.block["transactions"].as_array().into_iter().flatten().zip(&made.content).map(frame).collect()
    }
}

fn form(whole: &Value) -> Form {
    if *whole == json!(true) { Form::Whole } else { Form::Brief }
}

fn unknown(method: &str) -> Refusal {
    (-32601, format!("the method {method} does not exist"))
}

fn raw<T: serde::Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("JSON")
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}
