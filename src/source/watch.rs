//! Supervisor of a subscription to new heads: it is rebuilt after every failure, and its heads are only hints.
//!
//! Each head is a hint of a new block. A subscription that breaks, lags or is reopened is a hint to poll.

use super::node::Node;
use super::quorum::EndpointId;
use super::rpc::NodeError;
use crate::model::Link;
use crate::runtime::Stop;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Number of hints that may wait. Further ones are dropped, because a poll finds the same heads.
pub(super) const HINTS_MAX: usize = 1_024;

/// Hint of a new head: the head itself, or a reason to ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadHint {
    /// The node announced this head.
    Head(Link),
    /// Requests a poll, because a head may have been missed.
    Look,
}

/// Reason for the end of a subscription.
enum SubscriptionLost {
    Failed(NodeError),
    Silent,
    Closed,
    /// Receiver gone: nothing takes the hints any more.
    Unheard,
}

/// Keeps a subscription to `node` open until `stop`.
pub(super) async fn watch_heads(
    voice: EndpointId,
    node: Node,
    hints: mpsc::Sender<(EndpointId, HeadHint)>,
    stop: Stop,
    mut rng: fastrand::Rng,
) {
    let mut attempt = 0;
    loop {
        let mut heard = false;
        let lost = tokio::select! {
            // A stop closes the node at the same moment, and that must not be reported as a lost subscription.
            biased;
            () = stop.cancelled() => return,
            lost = forward_heads(voice, &node, &hints, &mut heard) => lost,
        };
        attempt = if heard { 0 } else { attempt + 1 };
        let wait = node.deadlines().backoff.jittered_delay(attempt, &mut rng);
        let name = node.name();
        // A quiet chain is silent too, and the poll detects a dead socket, so this needs no warning.
        let quiet = matches!(lost, SubscriptionLost::Silent);
        let why = match lost {
            SubscriptionLost::Unheard => return,
            SubscriptionLost::Failed(error) => error.to_string(),
            SubscriptionLost::Silent => format!("silent for {:?}", node.deadlines().silence),
            SubscriptionLost::Closed => "the socket broke".to_owned(),
        };
        // Logged once for each interruption; polling continues meanwhile, so this alone is not an outage.
        if attempt <= 1 && !quiet {
            warn!(endpoint = name, ?wait, "lost the subscription of {name} ({why}), retrying in {wait:?}");
        } else {
            debug!(endpoint = name, attempt, ?wait, "failed to subscribe to {name} ({why}), retrying in {wait:?}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Passes heads on until the subscription ends. `heard` becomes true once the first head arrived.
async fn forward_heads(
    voice: EndpointId,
    node: &Node,
    hints: &mpsc::Sender<(EndpointId, HeadHint)>,
    heard: &mut bool,
) -> SubscriptionLost {
    let mut heads = match node.subscribe_to_heads().await {
        Ok(heads) => heads,
        Err(error) => return SubscriptionLost::Failed(error),
    };
    // Blocks before the start of the subscription were not announced.
    let mut hint = HeadHint::Look;
    loop {
        if let Err(mpsc::error::TrySendError::Closed(_)) = hints.try_send((voice, hint)) {
            return SubscriptionLost::Unheard;
        }
        hint = match tokio::time::timeout(node.deadlines().silence, heads.next()).await {
            Ok(Ok(header)) => {
                *heard = true;
                // An invalid head is ignored; a poll finds the problem of the node.
                node.head_let_through(&header).map_or(HeadHint::Look, HeadHint::Head)
            }
            Ok(Err(RecvError::Lagged(_))) => HeadHint::Look,
            Ok(Err(RecvError::Closed)) => return SubscriptionLost::Closed,
            Err(_) => return SubscriptionLost::Silent,
        };
    }
}
