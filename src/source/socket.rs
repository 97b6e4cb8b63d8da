//! A socket on which questions and answers cross: a WebSocket, or a node's own socket on this machine.
//!
//! One task owns it. In: questions, each with the most that its answer may be. Out: answers to whoever asked, and what a subscription
//! announces. It is never reopened: a socket that breaks is dead, and whoever waits on it hears that at once.

use super::envelope::{Message, Refusal, read_messages, take_result};
use super::gauge::Allowance;
use super::intake::{ANNOUNCED_BYTES_MAX, Text};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc, oneshot};

/// Questions that may wait to be written; more wait with whoever asks.
const QUESTIONS_MAX: usize = 64;
/// Announcements a subscription may be behind before the oldest are dropped, which is a reason to poll, not a loss.
const ANNOUNCED_MAX: usize = 1_024;
/// Bytes of them together.
const ANNOUNCED_BYTES_ALL: usize = 8 << 20;
/// Messages above this length are taken apart where they stand.
const COPIED_BYTES_MAX: usize = 1 << 20;

/// An open socket. Cloned freely; the last clone that is dropped closes it.
#[derive(Clone)]
pub(super) struct Socket {
    questions: mpsc::Sender<Question>,
    announced: Arc<Announced>,
}

/// Why a question on a socket has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    /// The answer was longer than it may be; the socket ended with it.
    TooLarge,
    /// The socket is dead.
    Broken(&'static str),
}

struct Question {
    id: u64,
    text: String,
    limit: usize,
    reply: oneshot::Sender<Result<Text, Failure>>,
}

/// What a subscription announced and nobody took yet.
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

/// One end of a socket: whole messages in and out.
pub(super) trait Link: Send + 'static {
    /// Writes what is to go out, and returns the next message; `None` for a sign of life without one. Dropping the future loses nothing.
    fn step(&mut self, out: &mut VecDeque<String>) -> impl Future<Output = Result<Option<Vec<u8>>, ()>> + Send;

    /// Asks for a sign of life, if this kind of socket can.
    fn ping(&mut self) {}
}

/// The task's own state.
struct Desk<L> {
    link: L,
    allowance: Allowance,
    questions: mpsc::Receiver<Question>,
    open: HashMap<u64, Question>,
    out: VecDeque<String>,
    announced: Arc<Announced>,
}

impl Socket {
    /// Serves this link until it breaks or nobody needs it. A link that is silent for two `keepalive` is dead.
    pub(super) fn over(link: impl Link, allowance: Allowance, keepalive: Option<Duration>) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let announced = Arc::new(Announced::default());
        let desk = Desk {
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

    /// The answer to a question whose text carries this number.
    pub(super) async fn ask(&self, id: u64, text: String, limit: usize) -> Result<Text, Failure> {
        const GONE: Failure = Failure::Broken("the socket broke");
        let (reply, answer) = oneshot::channel();
        self.questions.send(Question { id, text, limit, reply }).await.map_err(|_| GONE)?;
        answer.await.unwrap_or(Err(GONE))
    }

    /// What is announced on this socket from now on.
    pub(super) fn announced(&self) -> Arc<Announced> {
        self.announced.clone()
    }
}

impl Announced {
    /// The oldest announcement that nobody took; an error says that some were dropped or that the socket is gone.
    pub(super) async fn next(&self) -> Result<Box<RawValue>, RecvError> {
        loop {
            let more = self.more.notified();
            {
                let mut waiting = self.lock();
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
        let mut waiting = self.lock();
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

    fn end(&self) {
        self.lock().is_over = true;
        self.more.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Link> Desk<L> {
    async fn run(mut self, keepalive: Option<Duration>) {
        let why = self.serve(keepalive).await;
        let exceeded = self.allowance.was_exceeded();
        let longest = self.open.values().map(|question| question.limit).max();
        for question in std::mem::take(&mut self.open).into_values() {
            // The one that let so much through is the one that got more.
            let is_it = exceeded && Some(question.limit) == longest;
            let _ = question.reply.send(Err(if is_it { Failure::TooLarge } else { Failure::Broken(why) }));
        }
        self.announced.end();
    }

    async fn serve(&mut self, keepalive: Option<Duration>) -> &'static str {
        // Far away where there is nothing to keep alive.
        let beat = keepalive.unwrap_or(Duration::from_secs(86_400));
        let (mut due, mut heard, mut pinged) = (crate::runtime::instant() + beat, true, false);
        loop {
            tokio::select! {
                question = self.questions.recv() => match question {
                    Some(question) => self.open(question),
                    // Nobody is left to answer to.
                    None => return "closed",
                },
                came = self.link.step(&mut self.out) => {
                    heard = true;
                    match came {
                        Ok(Some(message)) => if let Err(why) = self.hand_over(message) { return why },
                        Ok(None) => drop(self.allowance.take()),
                        Err(()) => return "the socket broke",
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    if keepalive.is_some() && !heard {
                        if pinged {
                            return "the socket is silent";
                        }
                        self.link.ping();
                    }
                    (pinged, heard, due) = (!heard, false, crate::runtime::instant() + beat);
                }
            }
        }
    }

    fn open(&mut self, mut question: Question) {
        // Those that nobody waits for any more.
        self.open.retain(|_, question| !question.reply.is_closed());
        self.out.push_back(std::mem::take(&mut question.text));
        self.open.insert(question.id, question);
        self.allow();
    }

    /// Lets a message be as long as the longest answer that is waited for.
    fn allow(&self) {
        let longest = self.open.values().map(|question| question.limit).max();
        self.allowance.allow(longest.unwrap_or_default().max(ANNOUNCED_BYTES_MAX));
    }

    fn hand_over(&mut self, message: Vec<u8>) -> Result<(), &'static str> {
        const GARBLED: &str = "the answer is not JSON-RPC";
        let mut room = Some(self.allowance.take());
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
                    // One that nobody waits for any more comes too late.
                    let Some(question) = self.open.remove(&id) else { continue };
                    let answer = match answer {
                        Ok(result) if result.get().len() > question.limit => Err(Failure::TooLarge),
                        Ok(result) => Ok(match room.take() {
                            Some(room) => Text::new(result, room),
                            None => result.into(),
                        }),
                        Err(refusal) => Err(Failure::Refused(refusal)),
                    };
                    let _ = question.reply.send(answer);
                }
            }
        }
        self.allow();
        Ok(())
    }
}
