//! How a chain is reached: what its settings mean to the source.

use crate::source::{Deadlines, Endpoint, Identity, Node, Options, Pool};
use crate::watchlist::{ChainBook, EndpointSettings};
use anyhow::{Context as _, bail};

/// The node of a chain's first endpoint, which is the one preferred.
pub(crate) fn node_of(chain: &ChainBook) -> anyhow::Result<Node> {
    let first = chain.endpoints.first().with_context(|| format!("{} has no endpoint", chain.info.name))?;
    node(chain, first)
}

/// Nodes of all endpoints, in the order of the file.
fn nodes_of(chain: &ChainBook) -> anyhow::Result<Vec<Node>> {
    chain.endpoints.iter().map(|endpoint| node(chain, endpoint)).collect()
}

/// All endpoints, asked as one.
pub(crate) fn pool_of(chain: &ChainBook) -> anyhow::Result<Pool> {
    let rates = chain.endpoints.iter().map(|endpoint| endpoint.requests_per_second.map(|rate| f64::from(rate.get())));
    let nodes = nodes_of(chain)?.into_iter().zip(rates).collect();
    Pool::new(nodes).with_context(|| format!("use the endpoints of {}", chain.info.name))
}

/// How to follow the chain.
pub(crate) fn options_of(chain: &ChainBook) -> Options {
    Options { finality: chain.finality, ..Options::for_chain(chain.info.id) }
}

fn node(chain: &ChainBook, endpoint: &EndpointSettings) -> anyhow::Result<Node> {
    let Some(url) = endpoint.url.expose() else {
        bail!("the endpoint {} of {} is kept in a secret that was not fetched", endpoint.name, chain.info.name);
    };
    let address = Endpoint { name: endpoint.name.clone(), url: url.to_owned().into() };
    let identity = Identity { chain: chain.info.id, genesis: chain.genesis };
    Node::new(&address, identity, Deadlines::for_slot(chain.slot))
        .with_context(|| format!("use the endpoint {} of {}", endpoint.name, chain.info.name))
}
