//! Socket with several requests in flight: a WebSocket, or a node's own socket on this machine.
//!
//! A single task owns the socket. Input: requests, each with the limit of its answer. Output: answers to the callers,
//! and the announcements of a subscription. The socket is never reopened: a broken socket stays dead, and every waiting
//! caller receives an error at once.

use super::envelope::{Message, Refusal, read_messages, take_result};
use super::gauge::ByteBudget;
use super::intake::{ANNOUNCED_BYTES_MAX, BoundedText};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc, oneshot};

/// Number of requests that may wait to be written; further ones wait in their callers.
const QUESTIONS_MAX: usize = 64;
/// Number of announcements that may wait before the oldest are dropped. Dropped ones cause a poll, so no head is lost.
const ANNOUNCED_MAX: usize = 1_024;
/// Total bytes of the waiting announcements.
const ANNOUNCED_BYTES_ALL: usize = 8 << 20;
/// Messages above this length are parsed in place.
const COPIED_BYTES_MAX: usize = 1 << 20;

/// Open socket. Clones are cheap; dropping the last one closes it.
#[derive(Clone)]
pub(super) struct Socket {
    questions: mpsc::Sender<SocketRequest>,
    announced: Arc<Announced>,
}

/// Reason for a missing answer to a request on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    /// The answer exceeded its limit, and the socket was closed.
    TooLarge,
    /// The socket is dead.
    Broken(&'static str),
}

struct SocketRequest {
    id: u64,
    text: String,
    limit: usize,
    reply: oneshot::Sender<Result<BoundedText, Failure>>,
}

/// Announcements of a subscription that have not been taken yet.
#[derive(Default)]
pub(super) struct Announced {
    state: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    line: VecDeque<Box<RawValue>>,
    n_bytes: usize,
    dropped: u64,
    is_over: bool,
}

/// End of a socket: sends and receives whole messages.
pub(super) trait Link: Send + 'static {
    /// Writes pending messages, and returns the next message; `None` for a sign of life without one. Dropping the
    /// future loses nothing.
    fn step(&mut self, out: &mut VecDeque<String>) -> impl Future<Output = Result<Option<Vec<u8>>, ()>> + Send;

    /// Requests a sign of life, if this kind of socket supports that.
    fn send_ping(&mut self) {}
}

/// State of the task.
struct RequestTable<L> {
    link: L,
    allowance: ByteBudget,
    questions: mpsc::Receiver<SocketRequest>,
    open: HashMap<u64, SocketRequest>,
    out: VecDeque<String>,
    announced: Arc<Announced>,
}

impl Socket {
    /// Serves this link until it breaks or is no longer used. A link that is silent for two `keepalive` is dead.
    pub(super) fn serve_link(link: impl Link, allowance: ByteBudget, keepalive: Option<Duration>) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let announced = Arc::new(Announced::default());
        let desk = RequestTable {
            link,
            allowance,
            questions: asked,
            open: HashMap::new(),
            out: VecDeque::new(),
            announced: announced.clone(),
        };
        tokio::spawn(desk.run(keepalive));
        Self { questions, announced }
    }

    /// Returns the answer to a request whose text contains this id.
    pub(super) async fn send_request(&self, id: u64, text: String, limit: usize) -> Result<BoundedText, Failure> {
        const GONE: Failure = Failure::Broken("the socket broke");
        let (reply, answer) = oneshot::channel();
        self.questions.send(SocketRequest { id, text, limit, reply }).await.map_err(|_| GONE)?;
        answer.await.unwrap_or(Err(GONE))
    }

    /// Returns the queue of announcements on this socket from now on.
    pub(super) fn announced_messages(&self) -> Arc<Announced> {
        self.announced.clone()
    }
}

impl Announced {
    /// Returns the oldest announcement that was not taken. An error means that some were dropped or that the socket is
    /// closed.
    pub(super) async fn next(&self) -> Result<Box<RawValue>, RecvError> {
        loop {
            let more = self.more.notified();
            {
                let mut waiting = self.lock_waiting();
                if waiting.dropped > 0 {
                    return Err(RecvError::Lagged(std::mem::take(&mut waiting.dropped)));
                }
                if let Some(next) = waiting.line.pop_front() {
                    waiting.n_bytes -= next.get().len();
                    return Ok(next);
                }
                if waiting.is_over {
                    return Err(RecvError::Closed);
                }
            }
            more.await;
        }
    }

    fn push(&self, one: Box<RawValue>) {
        let mut waiting = self.lock_waiting();
        waiting.n_bytes += one.get().len();
        waiting.line.push_back(one);
        while waiting.line.len() > ANNOUNCED_MAX || waiting.n_bytes > ANNOUNCED_BYTES_ALL {
            let Some(oldest) = waiting.line.pop_front() else { break };
            waiting.n_bytes -= oldest.get().len();
            waiting.dropped += 1;
        }
        drop(waiting);
        self.more.notify_one();
    }

    fn mark_ended(&self) {
        self.lock_waiting().is_over = true;
        self.more.notify_one();
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Link> RequestTable<L> {
    async fn run(mut self, keepalive: Option<Duration>) {
        let why = self.serve_requests(keepalive).await;
        let exceeded = self.allowance.was_exceeded();
        let longest = self.open.values().map(|question| question.limit).max();
        for question in std::mem::take(&mut self.open).into_values() {
            // The request with the largest limit is the one whose answer exceeded it.
            let is_it = exceeded && Some(question.limit) == longest;
            let why = if exceeded { "the socket was closed over an answer that is larger than its limit" } else { why };
            let _ = question.reply.send(Err(if is_it { Failure::TooLarge } else { Failure::Broken(why) }));
        }
        self.announced.mark_ended();
    }

    async fn serve_requests(&mut self, keepalive: Option<Duration>) -> &'static str {
        // Without a keepalive the timer is set far into the future.
        let beat = keepalive.unwrap_or(Duration::from_secs(86_400));
        let (mut due, mut heard, mut pinged) = (crate::runtime::monotonic_now() + beat, true, false);
        loop {
            tokio::select! {
                question = self.questions.recv() => match question {
                    Some(question) => self.send_question(question),
                    // All users of the socket are gone.
                    None => return "closed",
                },
                came = self.link.step(&mut self.out) => {
                    heard = true;
                    match came {
                        Ok(Some(message)) => if let Err(why) = self.hand_over(message) { return why },
                        Ok(None) => drop(self.allowance.take_room()),
                        Err(()) => return "the socket broke",
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    if keepalive.is_some() && !heard {
                        if pinged {
                            return "the socket is silent";
                        }
                        self.link.send_ping();
                    }
                    (pinged, heard, due) = (!heard, false, crate::runtime::monotonic_now() + beat);
                }
            }
        }
    }

    fn send_question(&mut self, mut question: SocketRequest) {
        // Removes requests whose callers no longer wait.
        self.open.retain(|_, question| !question.reply.is_closed());
        self.out.push_back(std::mem::take(&mut question.text));
        self.open.insert(question.id, question);
        self.update_message_limit();
    }

    /// Sets the message limit to the largest limit of the open requests.
    fn update_message_limit(&self) {
        let longest = self.open.values().map(|question| question.limit).max();
        self.allowance.set_limit(longest.unwrap_or_default().max(ANNOUNCED_BYTES_MAX));
    }

    fn hand_over(&mut self, message: Vec<u8>) -> Result<(), &'static str> {
        const GARBLED: &str = "the answer is not JSON-RPC";
        let mut room = Some(self.allowance.take_room());
        let begins = message.iter().find(|byte| !byte.is_ascii_whitespace());
        let messages = if message.len() > COPIED_BYTES_MAX && begins == Some(&b'{') {
            take_result(message).map(|one| vec![one])
        } else {
            read_messages(&message)
        };
        for message in messages.map_err(|_| GARBLED)? {
            match message {
                Message::Announced(one) if one.get().len() <= ANNOUNCED_BYTES_MAX => self.announced.push(one),
                Message::Announced(_) => return Err("an announcement is too long"),
                Message::Other => {}
                Message::Answer(id, answer) => {
                    let only = || self.open.keys().next().copied().filter(|_| self.open.len() == 1);
                    let id = id.or_else(only).ok_or(GARBLED)?;
                    // The caller no longer waits for this answer.
                    let Some(question) = self.open.remove(&id) else { continue };
                    let answer = match answer {
                        Ok(result) if result.get().len() > question.limit => Err(Failure::TooLarge),
                        Ok(result) => Ok(match room.take() {
                            Some(room) => BoundedText::new(result, room),
                            None => result.into(),
                        }),
                        Err(refusal) => Err(Failure::Refused(refusal)),
                    };
                    let _ = question.reply.send(answer);
                }
            }
        }
        self.update_message_limit();
        Ok(())
    }
}
