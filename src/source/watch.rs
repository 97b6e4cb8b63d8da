//! The supervisor of a subscription to new heads: rebuilt for ever, believed never.
//!
//! A head that arrives is a hint of where to look; a subscription that breaks, lags or is opened anew is a hint to look.

use super::council::Voice;
use super::node::Node;
use super::rpc::NodeError;
use crate::model::Link;
use crate::runtime::Stop;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Hints that may wait. More are dropped, since a poll finds what they would have said.
pub(super) const HINTS_MAX: usize = 1_024;

/// Where to look, or that one should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// The node announced this head.
    Head(Link),
    /// Something may have been missed: ask for the newest head.
    Look,
}

/// Why a subscription ended.
enum Lost {
    Failed(NodeError),
    Silent,
    Closed,
    /// Nobody listens to us any more.
    Unheard,
}

/// Keeps a subscription to `node` open until `stop`.
pub(super) async fn watch(
    voice: Voice,
    node: Node,
    hints: mpsc::Sender<(Voice, Hint)>,
    stop: Stop,
    mut rng: fastrand::Rng,
) {
    let mut attempt = 0;
    loop {
        let mut heard = false;
        let lost = tokio::select! {
            // Whoever stops us closes the node at the same moment, and that is no loss to tell of.
            biased;
            () = stop.cancelled() => return,
            lost = listen(voice, &node, &hints, &mut heard) => lost,
        };
        attempt = if heard { 0 } else { attempt + 1 };
        let wait = node.deadlines().backoff.wait(attempt, &mut rng);
        let name = node.name();
        // A quiet chain is silent too, and the poll would find what a dead socket hides: nothing to look into.
        let quiet = matches!(lost, Lost::Silent);
        let why = match lost {
            Lost::Unheard => return,
            Lost::Failed(error) => error.to_string(),
            Lost::Silent => format!("silent for {:?}", node.deadlines().silence),
            Lost::Closed => "the socket broke".to_owned(),
        };
        // Once for each outage; the poll goes on meanwhile, so this alone blinds nobody.
        if attempt <= 1 && !quiet {
            warn!(endpoint = name, ?wait, "lost the subscription of {name} ({why}), next try in {wait:?}");
        } else {
            debug!(endpoint = name, attempt, ?wait, "no subscription of {name} ({why}), next try in {wait:?}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Passes heads on until the subscription ends. `heard` becomes true once it was open.
async fn listen(voice: Voice, node: &Node, hints: &mpsc::Sender<(Voice, Hint)>, heard: &mut bool) -> Lost {
    let mut heads = match node.subscribe().await {
        Ok(heads) => heads,
        Err(error) => return Lost::Failed(error),
    };
    // Whatever happened before the subscription stood was not announced to us.
    let mut hint = Hint::Look;
    loop {
        if let Err(mpsc::error::TrySendError::Closed(_)) = hints.try_send((voice, hint)) {
            return Lost::Unheard;
        }
        hint = match tokio::time::timeout(node.deadlines().silence, heads.next()).await {
            Ok(Ok(header)) => {
                *heard = true;
                // One that is not what it claims to be is as good as none; a poll finds out what is the matter with the node.
                node.head_let_through(&header).map_or(Hint::Look, Hint::Head)
            }
            Ok(Err(RecvError::Lagged(_))) => Hint::Look,
            Ok(Err(RecvError::Closed)) => return Lost::Closed,
            Err(_) => return Lost::Silent,
        };
    }
}
