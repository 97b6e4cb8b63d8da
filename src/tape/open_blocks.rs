//! Current chain of a stretch as its lines go by: the writer and the reader of a tape keep the same state.

use super::RETRACT_MAX;
use crate::model::{BlockRef, Link};
use std::collections::VecDeque;

/// The newest blocks of a stretch, as far back as a retraction may reach.
#[derive(Debug, Default)]
pub(super) struct OpenBlocks {
    first: Option<u64>,
    links: VecDeque<Link>,
}

impl OpenBlocks {
    /// Appends a block if it builds on the current chain. Returns whether it does.
    pub(super) fn append_link(&mut self, link: Link) -> bool {
        let joins = match self.links.back() {
            Some(last) => last.at.hash == link.parent && last.at.number.checked_add(1) == Some(link.at.number),
            // When all blocks were retracted, their replacement begins at the same height.
            None => self.first.is_none_or(|first| first == link.at.number),
        };
        if joins {
            self.first.get_or_insert(link.at.number);
            self.links.push_back(link);
            if self.links.len() > RETRACT_MAX {
                self.links.pop_front();
            }
        }
        joins
    }

    /// Retracts these blocks, if they are the newest ones, newest first; otherwise returns the first that is not.
    pub(super) fn retract_blocks(&mut self, gone: &[BlockRef]) -> Result<(), Option<BlockRef>> {
        let mut newest = self.links.iter().rev();
        let stranger = gone.iter().find(|at| newest.next().is_none_or(|link| link.at != **at));
        if stranger.is_some() || gone.is_empty() {
            return Err(stranger.copied());
        }
        self.links.truncate(self.links.len() - gone.len());
        Ok(())
    }

    /// Returns whether the chain has never contained a block.
    pub(super) fn is_new(&self) -> bool {
        self.first.is_none()
    }
}
