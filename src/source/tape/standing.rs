//! What stands of a stretch while its lines go by: whoever writes a tape and whoever reads it keep the same count.

use super::RETRACT_MAX;
use crate::model::{BlockRef, Link};
use std::collections::VecDeque;

/// The newest blocks of a stretch, as far back as a retraction may reach.
#[derive(Debug, Default)]
pub(super) struct Standing {
    first: Option<u64>,
    links: VecDeque<Link>,
}

impl Standing {
    /// Whether the block builds on what stands; then it stands too.
    pub(super) fn append(&mut self, link: Link) -> bool {
        let joins = match self.links.back() {
            Some(last) => last.at.hash == link.parent && last.at.number.checked_add(1) == Some(link.at.number),
            // When everything was taken back, what replaces it begins at the same height.
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

    /// Takes back these blocks, if they are the newest that stand, newest first; else says which is not.
    pub(super) fn retract(&mut self, gone: &[BlockRef]) -> Result<(), Option<BlockRef>> {
        let mut newest = self.links.iter().rev();
        let stranger = gone.iter().find(|at| newest.next().is_none_or(|link| link.at != **at));
        if stranger.is_some() || gone.is_empty() {
            return Err(stranger.copied());
        }
        self.links.truncate(self.links.len() - gone.len());
        Ok(())
    }

    /// Whether no block was ever here.
    pub(super) fn is_new(&self) -> bool {
        self.first.is_none()
    }
}
