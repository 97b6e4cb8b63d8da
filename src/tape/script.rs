//! Scenes of a stretch and their times: the blocks and marks of a scene become visible at once.

use super::{Stretch, TapeEvent};
use crate::model::{BlockRef, Finality};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Longest pause between two scenes, even if the tape states a longer one: no hash covers the time of observation, and
/// a playback should reach its end.
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// Pace at which heads appear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// All scenes before the first connection. Blocks retracted on the tape are then never visible.
    AtOnce,
    /// The first scene at once, then one after each of these pauses.
    Every(Duration),
    /// At the recorded times, faster by this factor; without recorded times, at the times of the blocks.
    Recorded(f64),
    /// Manual: heads appear on calls of [`TapeServer::reveal_scenes`](super::TapeServer::reveal_scenes).
    ByHand,
}

/// Stretch divided into scenes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Scenes, in order.
    pub scenes: Vec<Scene>,
    /// Captions after the last scene.
    pub closing: Vec<String>,
}

/// Set of changes that become visible at once: a block, a whole reorg, or the finality of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Captions before the scene.
    pub captions: Vec<String>,
    /// Blocks to retract, newest first.
    pub retract: Vec<BlockRef>,
    /// Blocks to append, as indices in the stretch.
    pub blocks: Range<usize>,
    /// Blocks that become final.
    pub promote: Vec<(Finality, BlockRef)>,
    /// Newest block of the chain after the scene.
    pub head: Option<BlockRef>,
    /// Time of the scene since the stretch began.
    pub at: Duration,
}

impl Scene {
    /// Returns whether the scene shows another chain than the scene before.
    #[must_use]
    pub fn moves_the_head(&self) -> bool {
        !self.retract.is_empty() || !self.blocks.is_empty()
    }
}

impl Script {
    /// Divides a stretch into scenes.
    #[must_use]
    pub fn from_stretch(stretch: &Stretch) -> Self {
        let mut script = Self::default();
        let mut standing: Vec<BlockRef> = Vec::new();
        let mut captions = Vec::new();
        let mut marks: VecDeque<_> = stretch.marks.iter().collect();
        let mut clock = Clock::from_stretch(stretch);
        // The reorg whose new branch is being shown: its time, and the height of the old tip.
        let mut reorg: Option<(Option<u64>, u64)> = None;
        for place in 0..=stretch.blocks.len() {
            while let Some((_, mark)) = marks.pop_front_if(|mark| mark.0 <= place) {
                match &mark.what {
                    TapeEvent::Caption(caption) => captions.push(caption.clone()),
                    TapeEvent::Retract(gone) => {
                        standing.truncate(standing.len().saturating_sub(gone.len()));
                        reorg = gone.first().map(|tip| (mark.at_ms, tip.number));
                        script.scenes.push(Scene {
                            captions: std::mem::take(&mut captions),
                            retract: gone.clone(),
                            blocks: place..place,
                            promote: Vec::new(),
                            head: standing.last().copied(),
                            at: clock.resolve_time(mark.at_ms, None),
                        });
                    }
                    TapeEvent::Promote(level, to) => script.scenes.push(Scene {
                        captions: Vec::new(),
                        retract: Vec::new(),
                        blocks: place..place,
                        promote: vec![(*level, *to)],
                        head: standing.last().copied(),
                        at: clock.resolve_time(mark.at_ms, None),
                    }),
                    // Outages of the recorder are not part of the chain.
                    TapeEvent::Trouble(_) | TapeEvent::Note(_) => {}
                }
            }
            let Some(block) = stretch.blocks.get(place) else { break };
            let at = block.block.at;
            standing.push(at);
            let now = clock.resolve_time(block.at_ms, Some(block.block.time));
            // The new branch is shown together with the retraction, as nodes announce it: blocks with the same time if
            // times were recorded, otherwise blocks up to the old height.
            let joins = reorg.is_some_and(|(since, height)| match since {
                Some(since) => block.at_ms == Some(since),
                None => at.number <= height,
            });
            match script.scenes.last_mut() {
                Some(scene) if joins && scene.promote.is_empty() && captions.is_empty() => {
                    scene.blocks.end = place + 1;
                    scene.head = Some(at);
                    scene.at = scene.at.max(now);
                }
                _ => {
                    reorg = None;
                    script.scenes.push(Scene {
                        captions: std::mem::take(&mut captions),
                        blocks: place..place + 1,
                        head: Some(at),
                        at: now,
                        ..Scene::default()
                    });
                }
            }
        }
        script.closing = captions;
        script
    }

    /// Returns the pause before the scene at this place, at this pace.
    #[must_use]
    pub fn pause_before(&self, place: usize, pace: Pace) -> Duration {
        let Some(scene) = self.scenes.get(place) else { return Duration::ZERO };
        let pause = match pace {
            Pace::AtOnce | Pace::ByHand => Duration::ZERO,
            Pace::Every(pause) if place > 0 && scene.moves_the_head() => pause,
            Pace::Every(_) => Duration::ZERO,
            Pace::Recorded(factor) => {
                let before = place.checked_sub(1).and_then(|before| self.scenes.get(before));
                let pause = scene.at.saturating_sub(before.map_or(scene.at, |scene| scene.at));
                Duration::try_from_secs_f64(pause.as_secs_f64() / factor).unwrap_or(PAUSE_MAX)
            }
        };
        pause.min(PAUSE_MAX)
    }

    /// Returns the number of scenes that may be visible at once, `from` of them having been shown, without a follower
    /// missing any of the chains: all scenes up to the next reorg.
    #[must_use]
    pub fn calm_until(&self, from: usize) -> usize {
        let next = self.scenes.iter().skip(from + 1).position(|scene| !scene.retract.is_empty());
        next.map_or(self.scenes.len(), |calm| from + 1 + calm)
    }
}

/// Times of observation, on one clock that never goes back.
struct Clock {
    /// True if any block records when it was seen.
    recorded: bool,
    began: Option<u64>,
    now: Duration,
}

impl Clock {
    fn from_stretch(stretch: &Stretch) -> Self {
        let recorded = stretch.blocks.iter().any(|block| block.at_ms.is_some());
        Self { recorded, began: None, now: Duration::ZERO }
    }

    /// Returns the time of an entry from its own time in milliseconds, or from a block's time in seconds.
    fn resolve_time(&mut self, at_ms: Option<u64>, block_time: Option<u64>) -> Duration {
        let at_ms = if self.recorded { at_ms } else { block_time.map(|time| time.saturating_mul(1_000)) };
        if let Some(at_ms) = at_ms {
            let began = *self.began.get_or_insert(at_ms);
            self.now = self.now.max(Duration::from_millis(at_ms.saturating_sub(began)));
        }
        self.now
    }
}
