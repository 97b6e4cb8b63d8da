//! Feed: one message for each finding, revision and verdict, never merged, in order for each watch.

use super::routing::Routing;
use crate::model::incident::{Body, Delivery, DeliveryKind, Finding};
use crate::model::path::Feed;
use crate::model::record::{Line, VerdictLine};
use crate::model::{ChainId, DeliveryKey, FindingId, Severity};
use alloy_primitives::Address;

/// Sends the line of a verdict to the destinations with a feed.
///
/// The line of a finding is identified by the finding and its revision. Any other verdict has no identity of its own:
/// its line is identified by the activity, the voucher and the hash of its block, so that the same verdict in another
/// block after a reorg is sent again. Such lines are not retracted; a reader that needs only current ones compares
/// their `block_hash`.
pub(super) fn send_verdict_line(
    line: &VerdictLine,
    own: Option<(&FindingId, u32)>,
    severity: Severity,
    chain: ChainId,
    watch: Address,
    roster: &Routing,
    out: &mut Vec<Delivery>,
) {
    let listens = |feed: Feed| feed == Feed::Verdicts || own.is_some();
    if !roster.feeds.iter().any(|(_, feed)| listens(*feed)) {
        return;
    }
    let (about, revision) = match own {
        Some((finding, revision)) => (finding.clone(), revision),
        None => {
            let what = format!(
                "{chain}/{}/{}/{}/{}/{}/{}",
                line.address, line.tx, line.position, line.activity, line.stage, line.by
            );
            (FindingId::of_occasion("verdict", &what, line.block_hash.as_deref().unwrap_or_default()), 1)
        }
    };
    let line = Line::Verdict(Box::new(line.clone()));
    send_feed_line(&about, revision, severity, &line, &feed_lane(chain, watch), roster, listens, out);
}

/// Sends a finding's retraction to the destinations with a feed.
pub(super) fn send_retraction_line(finding: &Finding, line: &Line, roster: &Routing, out: &mut Vec<Delivery>) {
    let lane = feed_lane(finding.chain, finding.watch);
    send_feed_line(&finding.id, finding.revision, finding.severity, line, &lane, roster, |_| true, out);
}

#[expect(clippy::too_many_arguments, reason = "each is one column of the message")]
fn send_feed_line(
    about: &FindingId,
    revision: u32,
    severity: Severity,
    line: &Line,
    lane: &str,
    roster: &Routing,
    listens: impl Fn(Feed) -> bool,
    out: &mut Vec<Delivery>,
) {
    for (destination, _) in roster.feeds.iter().filter(|(_, feed)| listens(*feed)) {
        let kind = DeliveryKind::Feed;
        out.push(Delivery {
            key: DeliveryKey::new(about.as_str(), 0, 0, destination, kind.as_str(), revision),
            destination: destination.clone(),
            kind,
            incident: None,
            severity,
            body: Body::Line(Box::new(line.clone())),
            lane: lane.to_owned(),
        });
    }
}

fn feed_lane(chain: ChainId, watch: Address) -> String {
    format!("feed/{chain}/{}", watch.to_checksum(None))
}
