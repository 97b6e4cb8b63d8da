//! A socket whose bytes are counted and bounded before anything makes sense of them.

use super::intake::{Intake, Room};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What frames and encryption add to a message: an eighth, and one buffer.
const OVERHEAD_BYTES: usize = 256 << 10;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Gauge<S> {
    stream: S,
    meter: Allowance,
}

/// How much may come before the message that is being read has to be complete. Cloned freely; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    intake: Intake,
    room: Room,
    limit: usize,
    exceeded: bool,
}

impl Allowance {
    pub(super) fn new(intake: &Intake, limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State { intake: intake.clone(), room: intake.room(), limit, exceeded: false })))
    }

    /// From now on a message may be so long.
    pub(super) fn allow(&self, limit: usize) {
        self.lock().limit = limit;
    }

    /// A message is complete: the room it takes, and another begins.
    pub(super) fn take(&self) -> Room {
        let mut state = self.lock();
        let next = state.intake.room();
        std::mem::replace(&mut state.room, next)
    }

    /// A message says of itself that it is longer than any may be.
    pub(super) fn exceed(&self) {
        self.lock().exceeded = true;
    }

    /// Whether the stream ended because a message was too long.
    pub(super) fn was_exceeded(&self) -> bool {
        self.lock().exceeded
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Gauge<S> {
    pub(super) fn new(stream: S, meter: Allowance) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gauge<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.meter.lock().room.poll_ready(cx));
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let mut state = self.meter.lock();
        state.room.count(into.filled().len() - before);
        if state.room.n_bytes() > state.limit.saturating_add(state.limit / 8).saturating_add(OVERHEAD_BYTES) {
            state.exceeded = true;
            return Poll::Ready(Err(io::Error::other("a message is too long")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gauge<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
