//! Connection to a node without one of our sockets: for embedders with a client of their own, and for nodes in memory,
//! so that the whole source can run under simulated time.

use super::rpc::NodeError;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::value::RawValue;

/// New heads as the node announced them, each the JSON of a header. The end of the stream means that the subscription
/// broke. Dropped heads need not be reported: a poll finds them.
pub type RawHeads = BoxStream<'static, Box<RawValue>>;

/// Sends requests to a node and returns its answers, exactly as the node wrote them.
///
/// Its answers are verified like those of a socket, and the same [`Deadlines`] apply. It should not repeat a request by
/// itself: the caller must see the failure. The text of its errors is shown and logged, so it must contain no URL and
/// no key.
///
/// ```
/// # use futures::future::BoxFuture;
/// # use serde_json::value::RawValue;
/// # use std::sync::Arc;
/// # use watchfire::model::ChainId;
/// # use watchfire::source::{Deadlines, Node, NodeError, RawHeads, Transport};
/// /// A node that knows its chain and nothing else.
/// struct Newborn;
///
/// impl Transport for Newborn {
///     fn ask<'a>(&'a self, method: &'a str, _: &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, NodeError>> {
///         let answer = if method == "eth_chainId" { r#""0x1""# } else { "null" };
///         let answer = RawValue::from_string(answer.to_owned());
///         Box::pin(async move { answer.map_err(|error| NodeError::Unreachable(error.to_string())) })
///     }
///
///     fn subscribe(&self) -> BoxFuture<'_, Result<RawHeads, NodeError>> {
///         let refused = NodeError::Refused { code: -32601, message: "no subscriptions".to_owned(), data: false };
///         Box::pin(async move { Err(refused) })
///     }
///
///     fn can_subscribe(&self) -> bool {
///         false
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), NodeError> {
/// let node = Node::with_transport("newborn", ChainId(1), Deadlines::default(), Arc::new(Newborn));
/// assert_eq!(node.fetch_head().await?, None);
/// # Ok(())
/// # }
/// ```
///
/// [`Deadlines`]: super::Deadlines
pub trait Transport: Send + Sync + 'static {
    /// Returns the node's answer to one JSON-RPC request: its `result`, or the reason why there is none.
    fn ask<'a>(&'a self, method: &'a str, params: &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, NodeError>>;

    /// A subscription to new heads, which ends when the stream is dropped.
    fn subscribe(&self) -> BoxFuture<'_, Result<RawHeads, NodeError>>;

    /// Returns whether [`Transport::subscribe`] is of any use. If not, heads are polled.
    fn can_subscribe(&self) -> bool {
        true
    }
}
