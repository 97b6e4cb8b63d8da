//! Catch-up progress of a chain that was missed for a while, for the terminal.

use crate::model::text::format_count;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Minimum number of blocks behind at which progress is shown: fewer are done before anyone has read the line.
const BEHIND_MIN: u64 = 100;
/// Time between two lines.
const EVERY: Duration = Duration::from_secs(3);
/// Number of lines from which the rate is computed: half a minute.
const LINES_MAX: usize = 10;

/// Progress of a catch-up; see the module documentation.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Times at which lines were written, with the number of blocks done by then.
    lines: VecDeque<(Instant, u64)>,
    done: u64,
}

impl Progress {
    /// Records that `n_blocks` were committed and `behind` are left, and returns a progress line at intervals.
    pub(super) fn line(&mut self, n_blocks: usize, behind: u64, now: Instant) -> Option<String> {
        self.done += n_blocks as u64;
        let Some((began, before)) = self.lines.front().copied() else {
            if behind >= BEHIND_MIN {
                self.lines.push_back((now, self.done));
                return Some(format!("{} behind, catching up", format_count(behind, "block", "blocks")));
            }
            self.done = 0;
            return None;
        };
        let last = self.lines.back().map_or(began, |(at, _)| *at);
        let finished = behind == 0;
        if !finished && now.duration_since(last) < EVERY {
            return None;
        }
        let rate = (self.done - before) as f64 / now.duration_since(began).as_secs_f64().max(0.001);
        let line = if finished {
            format!("caught up: {}", format_count(self.done, "block", "blocks"))
        } else {
            let left = Duration::from_secs((behind as f64 / rate.max(0.001)).min(1e9) as u64);
            format!(
                "{} of {} blocks, {rate:.0} a second, about {} left",
                self.done,
                self.done + behind,
                format_remaining_time(left)
            )
        };
        if finished {
            *self = Self::default();
        } else {
            self.lines.push_back((now, self.done));
            if self.lines.len() > LINES_MAX {
                self.lines.pop_front();
            }
        }
        Some(line)
    }
}

/// `42 s`, `12 min`, `3 h 20 min`.
fn format_remaining_time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5_999 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_is_told_with_its_pace_and_what_is_left_of_it() {
        let start = crate::runtime::monotonic_now();
        let mut progress = Progress::default();
        assert_eq!(progress.line(1, 3, start), None, "a few blocks are no way");
        assert_eq!(progress.line(1, 2_000, start).as_deref(), Some("2000 blocks behind, catching up"));
        assert_eq!(progress.line(100, 1_900, start + EVERY / 2), None, "not so often");
        let line = progress.line(200, 1_700, start + EVERY);
        assert_eq!(line.as_deref(), Some("301 of 2001 blocks, 100 a second, about 17 s left"));
        assert_eq!(progress.line(1_700, 0, start + EVERY * 2).as_deref(), Some("caught up: 2001 blocks"));
        assert_eq!(progress.line(1, 0, start + EVERY * 3), None);
    }

    #[test]
    fn times_are_shown_as_people_say_them() {
        let shown = [5, 100, 7_300].map(|seconds| format_remaining_time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["5 s", "1 min", "2 h 1 min"]);
    }
}
