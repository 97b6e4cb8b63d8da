//! Messages of one lane that are in flight to one destination, in order, until one of them is not accepted.

use super::worker::attempt_deadline;
use super::{Outgoing, SendError, Target};
use crate::http::Receipt;
use crate::runtime::{Stop, monotonic_now};
use anyhow::anyhow;

/// Result of one flight.
#[derive(Debug, Default)]
pub(super) struct DeliveryResult {
    /// Receipt of each accepted message, in order.
    pub(super) taken: Vec<Receipt>,
    /// Error of the next message; absent when all were accepted, and when the flight was told to end early.
    pub(super) error: Option<SendError>,
}

/// Sends `messages` in order and stops at the first that is not taken, at the flight's deadline, or when told to `halt`.
///
/// Several messages are sent together where the destination accepts them in one request. After a rejected request they
/// are sent individually, so that one message does not fail the others.
pub(super) async fn send_in_order(target: &Target, messages: &[Outgoing], halt: &Stop) -> DeliveryResult {
    let (deadline, began) = (attempt_deadline(target), monotonic_now());
    let mut together = target.destination.batch_limit().max(1);
    let mut landing = DeliveryResult::default();
    let mut rest = messages;
    while !rest.is_empty() && began.elapsed() < deadline && !(halt.is_cancelled() && rest.len() < messages.len()) {
        let (now, later) = rest.split_at(together.min(rest.len()));
        let sending = match now {
            [one] => target.destination.send(one),
            several => target.destination.send_together(several),
        };
        // The lease outlasts this deadline, so no other worker sends the same messages meanwhile.
        let sent = match tokio::time::timeout(deadline, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(SendError::Retry(anyhow!("not done within {deadline:?}"))),
        };
        match sent {
            Ok(receipt) => {
                landing.taken.extend(std::iter::repeat_n(receipt, now.len()));
                rest = later;
            }
            Err(SendError::Refused(_)) if now.len() > 1 => together = 1,
            Err(error) => {
                landing.error = Some(error);
                return landing;
            }
        }
    }
    landing
}
