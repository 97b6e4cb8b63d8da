//! `[safe-service.X]`: services that keep the queues of Safes.

use super::chains::Chains;
use crate::model::{WatchId, WatchInfo};
use crate::safe_service;
use crate::settings::{At, Problems};
use crate::watchlist::book::QueueBook;
use crate::watchlist::file::ServiceText;

/// The services, each with the Safes of its chain among `queued`.
pub(super) fn compile_safe_services(
    texts: Vec<ServiceText<'_>>,
    chains: &Chains<'_>,
    watches: &[WatchInfo],
    queued: &[WatchId],
    problems: &mut Problems,
) -> Vec<QueueBook> {
    let mut compiled: Vec<(QueueBook, At<&str>)> = Vec::new();
    for text in texts {
        let Some((chain, service)) = safe_service::parse_service(&text.name, text.table, problems) else { continue };
        let Some(info) = chains.find_chain(&chain, problems) else { continue };
        if let Some((_, first)) = compiled.iter().find(|(other, _)| other.chain.id == info.id) {
            let problem = chain.problem(format!("the queues of {} are kept by one service", info.name));
            problems.push(
                problem
                    .with_related_spot(first.spot.clone(), "first here")
                    .with_hint("two would be asked about every Safe twice"),
            );
        }
        let is_here = |id: &&WatchId| watches.get(id.index()).is_some_and(|watch| watch.chain.id == info.id);
        let safes = queued.iter().filter(is_here).copied().collect();
        compiled.push((QueueBook { service, chain: info.clone(), safes }, chain));
    }
    compiled.into_iter().map(|(book, _)| book).collect()
}
