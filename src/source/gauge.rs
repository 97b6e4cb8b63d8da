//! Socket that counts and limits its bytes before any protocol parses them.

use super::intake::{IntakeBudget, Reservation};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Overhead of frames and encryption on a message, in addition to an eighth of it: one buffer.
const OVERHEAD_BYTES: usize = 256 << 10;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct BudgetedReader<S> {
    stream: S,
    meter: ByteBudget,
}

/// Limit on the bytes received before the current message must be complete. Cloned freely; clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct ByteBudget(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    intake: IntakeBudget,
    room: Reservation,
    limit: usize,
    exceeded: bool,
}

impl ByteBudget {
    pub(super) fn new(intake: &IntakeBudget, limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State { intake: intake.clone(), room: intake.new_room(), limit, exceeded: false })))
    }

    /// Sets the maximum length of the following messages.
    pub(super) fn set_limit(&self, limit: usize) {
        self.lock_state().limit = limit;
    }

    /// Ends the current message, returns the room that it takes, and starts the next one.
    pub(super) fn take_room(&self) -> Reservation {
        let mut state = self.lock_state();
        let next = state.intake.new_room();
        std::mem::replace(&mut state.room, next)
    }

    /// Records that a message declares a length above the maximum.
    pub(super) fn mark_oversized(&self) {
        self.lock_state().exceeded = true;
    }

    /// Returns whether the stream ended because a message was too long.
    pub(super) fn was_exceeded(&self) -> bool {
        self.lock_state().exceeded
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> BudgetedReader<S> {
    pub(super) fn new(stream: S, meter: ByteBudget) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BudgetedReader<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.meter.lock_state().room.poll_ready(cx));
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let mut state = self.meter.lock_state();
        state.room.count_bytes(into.filled().len() - before);
        if state.room.n_bytes() > state.limit.saturating_add(state.limit / 8).saturating_add(OVERHEAD_BYTES) {
            state.exceeded = true;
            return Poll::Ready(Err(io::Error::other("a message is too long")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BudgetedReader<S> {
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
