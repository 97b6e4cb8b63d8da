//! Who a node is and what it can do, asked of nodes that say so and of nodes that pretend.

use super::chain::Chain;
use super::node::{FakeNode, deadlines};
use alloy_primitives::B256;
use watchfire::model::ChainId;
use watchfire::source::{Endpoint, Identity, Node, NodeError};

fn node(fake: &FakeNode, scheme: &str, genesis: Option<B256>) -> Node {
    let endpoint = Endpoint { name: "primary".into(), url: fake.url(scheme).into() };
    Node::new(&endpoint, Identity { chain: ChainId(1), genesis }, deadlines()).expect("a good address")
}

#[tokio::test]
async fn a_chain_that_began_otherwise_is_another_chain_whatever_its_id() {
    let fake = FakeNode::start(Chain::new(5)).await;
    let first = fake.canonical()[0];
    for scheme in ["ws", "http"] {
        let head = node(&fake, scheme, Some(first)).head().await.expect("the right chain");
        assert_eq!(head.map(|head| head.at.number), Some(4));
        let expected = B256::repeat_byte(1);
        let refused = node(&fake, scheme, Some(expected)).head().await;
        assert_eq!(refused, Err(NodeError::WrongGenesis { expected, found: first }));
    }
}
