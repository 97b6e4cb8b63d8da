//! Direct delivery: sends messages that were not committed, because the store cannot commit anything.

use super::worker::attempt_deadline;
use super::{Outgoing, SendError, Targets};
use crate::model::incident::Delivery;
use anyhow::anyhow;
use futures::future::join_all;

/// Tries each message once, all concurrently, and returns the result of each. Nothing is recorded: the caller retries
/// messages that did not arrive, under the same key.
pub async fn send_directly(
    targets: &Targets,
    messages: &[Delivery],
    attempt: u32,
    now_ms: u64,
) -> Vec<Result<(), SendError>> {
    join_all(messages.iter().map(|message| send_direct(targets, message, attempt, now_ms))).await
}

async fn send_direct(targets: &Targets, message: &Delivery, attempt: u32, now_ms: u64) -> Result<(), SendError> {
    let Some(target) = targets.get(&message.destination) else {
        return Err(SendError::Refused(format!("no destination is called `{}`", message.destination)));
    };
    let outgoing = Outgoing {
        key: message.key.clone(),
        kind: message.kind,
        attempt,
        now_ms,
        severity: message.severity,
        body: message.body.clone(),
    };
    let deadline = attempt_deadline(target);
    match tokio::time::timeout(deadline, target.destination.send(&outgoing)).await {
        Ok(sent) => sent.map(|_| ()),
        Err(_) => Err(SendError::Retry(anyhow!("not done within {deadline:?}"))),
    }
}
