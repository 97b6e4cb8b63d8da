//! The node in memory: no socket, and no time but tokio's, which a test can pause.

use super::answers::Reply;
use super::{FakeNode, Fault};
use crate::support::chain::CHAIN_ID;
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use watchfire::model::ChainId;
use watchfire::source::{Deadlines, Node, NodeError, RawHeads, Transport};

type Announced = broadcast::Receiver<Box<RawValue>>;

impl FakeNode {
    /// This node for a source, asked without a socket.
    pub(crate) fn in_memory(&self, name: &str, deadlines: Deadlines) -> Node {
        Node::with_transport(name, ChainId(CHAIN_ID), deadlines, Arc::new(self.clone()))
    }

    async fn say(&self, method: &str, params: &RawValue) -> Result<Box<RawValue>, NodeError> {
        self.until_reached().await?;
        self.linger().await;
        let params: Value = serde_json::from_str(params.get()).expect("the client writes JSON");
        if method == "eth_call" && self.state(|state, _| state.script.has(&Fault::BreaksAtCalls)) {
            return Err(NodeError::Unreachable("HTTP 502".to_owned()));
        }
        let (reply, slow) = self.reply(method, &params);
        tokio::time::sleep(slow).await;
        self.linger().await;
        self.until_thawed().await;
        match reply {
            Reply::Result(result) => Ok(result),
            Reply::Refused(code, message) => Err(NodeError::Refused { code, message, data: code == 3 }),
            Reply::Limited(after) => {
                Err(NodeError::Limited { why: "HTTP 429".to_owned(), after: Some(Duration::from_secs(after)) })
            }
            Reply::Garbled(Fault::Unpaid) => Err(NodeError::Unreachable("HTTP 402".to_owned())),
            Reply::Garbled(_) => Err(NodeError::Unreachable("the answer is not JSON-RPC".to_owned())),
            Reply::Nothing => std::future::pending().await,
        }
    }

    /// Waits as a connection would that cannot be opened.
    async fn until_reached(&self) -> Result<(), NodeError> {
        let (refuses, stalls) =
            self.state(|state, _| (state.script.take(&Fault::Refuses), state.script.take(&Fault::Stalls)));
        if refuses {
            return Err(NodeError::Unreachable("connection refused".to_owned()));
        }
        if stalls {
            std::future::pending::<()>().await;
        }
        self.until_thawed().await;
        Ok(())
    }

    /// Half of the time on the way; what happens meanwhile happens between question and answer.
    async fn linger(&self) {
        let ms = self.state(|state, _| state.rng.u64(state.latency.clone()));
        if ms > 0 {
            tokio::time::sleep(Duration::from_micros(ms * 500)).await;
        }
    }
}

impl Transport for FakeNode {
    fn ask<'a>(&'a self, method: &'a str, params: &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, NodeError>> {
        let mut cut = self.cuts();
        Box::pin(async move {
            tokio::select! {
                biased;
                said = self.say(method, params) => said,
                _ = cut.changed() => Err(NodeError::Unreachable("the socket broke".to_owned())),
            }
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<RawHeads, NodeError>> {
        Box::pin(async move {
            let (cut, heads) = (self.cuts(), self.state(|state, _| state.heads.subscribe()));
            self.ask("eth_subscribe", RawValue::NULL).await?;
            let node = self.clone();
            let next = async move |(node, mut cut, mut heads): (Self, watch::Receiver<u32>, Announced)| loop {
                let head = tokio::select! {
                    biased;
                    _ = cut.changed() => return None,
                    head = heads.recv() => head,
                };
                node.until_thawed().await;
                match head {
                    Ok(_) if node.is_mute() => std::future::pending().await,
                    Ok(head) => return Some((head, (node, cut, heads))),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            };
            Ok(futures::stream::unfold((node, cut, heads), next).boxed())
        })
    }
}
