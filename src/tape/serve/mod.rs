//! A stretch of tape played back as a node: JSON-RPC over WebSocket and HTTP on one port of the loopback interface.
//!
//! Its heads appear one after another, at the caller's pace, with reorgs and finality as recorded; blocks after the
//! newest head are not visible. It answers from the tape and refuses every other request. It never invents an answer,
//! unless a [`Fault`] asks for that.

mod block_index;
mod faults;
mod wire;

use super::{Pace, Script, Stretch};
use crate::model::ChainId;
use block_index::Shelf;
use faults::Faults;
pub use faults::{Fault, FaultKind};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Settings for playing a stretch.
#[derive(Clone, Debug)]
pub struct Playing {
    /// Pace at which heads appear.
    pub pace: Pace,
    /// Port number; 0 selects a free port.
    pub port: u16,
    /// Faults to inject on purpose.
    pub faults: Vec<Fault>,
}

/// A node that plays a tape. Dropping it closes its port.
#[derive(Debug)]
pub struct TapeServer {
    url: String,
    script: Arc<Script>,
    stage: Arc<PlayedTape>,
    _stop: DropGuard,
}

/// Stretch being played, and its progress.
pub(super) struct PlayedTape {
    shelf: Shelf,
    faults: Faults,
    /// Scenes that have been shown.
    shown: watch::Sender<usize>,
}

impl From<Pace> for Playing {
    fn from(pace: Pace) -> Self {
        Self { pace, port: 0, faults: Vec::new() }
    }
}

impl TapeServer {
    /// Plays `stretch`. A block without its text is an error.
    pub async fn start(chain: ChainId, stretch: Stretch, playing: impl Into<Playing>) -> io::Result<Self> {
        let Playing { pace, port, faults } = playing.into();
        let script = Arc::new(Script::from_stretch(&stretch));
        let shelf = Shelf::new(chain, stretch, &script)?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let url = format!("ws://{}", listener.local_addr()?);
        let (shown, _) = watch::channel(0);
        let stage = Arc::new(PlayedTape { shelf, faults: Faults::new(faults), shown });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(wire::accept_connections(listener, stage.clone())));
        let server = Self { url, script, stage, _stop: stop.clone().drop_guard() };
        match pace {
            Pace::AtOnce => server.reveal_scenes(server.script.scenes.len()),
            Pace::ByHand => {}
            Pace::Every(_) | Pace::Recorded(_) => {
                let (script, stage) = (server.script.clone(), server.stage.clone());
                // The first scene is visible when this function returns.
                server.reveal_scenes(1);
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    for place in 1..script.scenes.len() {
                        tokio::time::sleep(script.pause_before(place, pace)).await;
                        stage.show_scenes(place + 1);
                    }
                }));
            }
        }
        Ok(server)
    }

    /// Returns the server's WebSocket address; the same address with `http` works as well.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the script, scene by scene.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Makes the first `n` scenes visible; fewer than are visible already changes nothing.
    pub fn reveal_scenes(&self, n: usize) {
        self.stage.show_scenes(n.min(self.script.scenes.len()));
    }

    /// Returns the number of visible scenes.
    #[must_use]
    pub fn revealed_count(&self) -> usize {
        *self.stage.shown.borrow()
    }
}

impl PlayedTape {
    fn show_scenes(&self, n: usize) {
        self.shown.send_if_modified(|shown| {
            let more = n > *shown;
            if more {
                *shown = n;
                // Done under the same lock, so that a block is never announced before its faults are active.
                self.faults.record_head(self.shelf.newest_number(&self.shelf.view_at(n, 0).1));
            }
            more
        });
    }
}

impl std::fmt::Debug for PlayedTape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlayedTape").field("shown", &*self.shown.borrow()).finish_non_exhaustive()
    }
}
