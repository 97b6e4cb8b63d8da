//! The long-running tasks of a session, each with a name and each awaited.
//!
//! Comes in: futures with their names and the token that ends them. Goes out: the first end that nobody asked for, as an error with
//! the task's name. Never here: a task that is spawned and forgotten. A task that ends early ends the process, since a watch
//! without one of them looks healthy and is not; a task that is stuck fails its check, which `/readyz` and heartbeats report.

use crate::runtime::{Stop, error_chain, ordered_fault};
use crate::telemetry::{Checks, SignOfLife};
use anyhow::{Context as _, anyhow};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, warn};

/// Time that tasks have to end once they were told to, before they are aborted.
const END_MAX: Duration = Duration::from_secs(5);

/// Name of a task, as logs and checks show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskName {
    /// Follows a chain, judges and commits its blocks.
    Chain(Arc<str>),
    /// Listens to the pending transactions of a chain.
    Mempool(Arc<str>),
    /// Polls the Safe transaction service with this name for proposals.
    Proposals(Arc<str>),
    /// Sends messages from the outbox.
    Delivery,
    /// Advances escalations as time passes.
    EscalationClock,
    /// Watches whether the store takes writes.
    StoreWatchdog,
    /// Sends one heartbeat.
    Heartbeat(Arc<str>),
    /// Answers requests for metrics and readiness.
    Console,
}

/// Tasks of one kind, and the token that ends them.
struct TaskGroup {
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, TaskName>,
    stop: Stop,
}

/// See the module's head. One field for each kind of task, so that none is left out where they are awaited.
pub(super) struct Supervisor {
    checks: Checks,
    chains: TaskGroup,
    mempool: TaskGroup,
    proposals: TaskGroup,
    delivery: TaskGroup,
    escalation_clock: TaskGroup,
    store_watchdog: TaskGroup,
    heartbeats: TaskGroup,
    console: TaskGroup,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(chain) => write!(f, "chain/{chain}"),
            Self::Mempool(chain) => write!(f, "mempool/{chain}"),
            Self::Proposals(service) => write!(f, "proposals/{service}"),
            Self::Delivery => f.write_str("delivery"),
            Self::EscalationClock => f.write_str("escalation-clock"),
            Self::StoreWatchdog => f.write_str("store-watchdog"),
            Self::Heartbeat(name) => write!(f, "heartbeat/{name}"),
            Self::Console => f.write_str("console"),
        }
    }
}

impl TaskName {
    /// Returns the name of the task's check.
    pub(super) fn check(&self) -> String {
        format!("task/{self}")
    }

    /// Returns the longest time between two signs of life: some turns of the task's own loop, and the slowest request in it.
    fn period(&self) -> Duration {
        match self {
            // Each turn is a second at most, and one write to the store.
            Self::EscalationClock | Self::Console | Self::Mempool(_) => Duration::from_secs(10),
            // A turn may hold a message that is sent past the store, a request to a service, or a block that is judged.
            Self::StoreWatchdog | Self::Delivery | Self::Chain(_) | Self::Heartbeat(_) => Duration::from_secs(30),
            // One look at a Safe's proposals takes several requests, each with its own time limit and a pause between them.
            Self::Proposals(_) => Duration::from_secs(45),
        }
    }
}

impl TaskGroup {
    fn new(stop: Stop) -> Self {
        Self { tasks: JoinSet::new(), names: HashMap::new(), stop }
    }

    fn spawn(&mut self, name: TaskName, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let fault = ordered_fault(&name.to_string());
        let task = async move {
            let mut task = std::pin::pin!(task);
            tokio::select! {
                biased;
                () = fault => std::future::pending().await,
                ended = &mut task => ended,
            }
        };
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the next task that ends; `None` once there are no more. An end that nobody asked for is an error.
    async fn next_end(&mut self) -> Option<(TaskName, anyhow::Result<()>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(panic_error(error))),
        };
        let name = self.names.remove(&id)?;
        Some((name, ended))
    }

    /// Tells the tasks to end and waits for them, at most [`END_MAX`]; then they are aborted. Returns the first error.
    async fn end(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut result = Ok(());
        let ended = tokio::time::timeout(END_MAX, async {
            while let Some((name, ended)) = self.next_end().await {
                let ended = ended.with_context(|| format!("the task {name} failed while it ended"));
                result = std::mem::replace(&mut result, Ok(())).and(ended);
            }
        });
        if ended.await.is_err() {
            for name in self.names.values() {
                warn!(task = %name, "aborted the task {name}: it did not end within {END_MAX:?}");
            }
            self.tasks.shutdown().await;
        }
        result
    }
}

impl Supervisor {
    /// No tasks yet. Chains, heartbeats and the console end with `stop`; the others when they are told to after the chains, so that
    /// what the chains' last blocks made due is still sent. Signs of life are reported to `checks`.
    pub(super) fn new(checks: Checks, stop: &Stop) -> Self {
        let group = || TaskGroup::new(Stop::new());
        Self {
            checks,
            chains: TaskGroup::new(stop.clone()),
            mempool: group(),
            proposals: group(),
            delivery: group(),
            escalation_clock: group(),
            store_watchdog: group(),
            heartbeats: TaskGroup::new(stop.child_token()),
            console: TaskGroup::new(stop.child_token()),
        }
    }

    /// Returns the handle by which the task of this name shows that it goes on.
    pub(super) fn sign_of_life(&self, name: &TaskName) -> SignOfLife {
        self.checks.sign_of_life(&name.check())
    }

    /// Starts the task that `task` makes of the token that ends it.
    pub(super) fn spawn<F>(&mut self, name: TaskName, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.checks.require_renewal(&name.check(), name.period());
        let group = match &name {
            TaskName::Chain(_) => &mut self.chains,
            TaskName::Mempool(_) => &mut self.mempool,
            TaskName::Proposals(_) => &mut self.proposals,
            TaskName::Delivery => &mut self.delivery,
            TaskName::EscalationClock => &mut self.escalation_clock,
            TaskName::StoreWatchdog => &mut self.store_watchdog,
            TaskName::Heartbeat(_) => &mut self.heartbeats,
            TaskName::Console => &mut self.console,
        };
        let task = task(group.stop.clone());
        group.spawn(name, task);
    }

    /// Waits until every chain's task has ended. A task that fails, or that ends before it is told to, cancels `stop`: a partial
    /// watch would go unnoticed, and a service manager restarts the whole. Returns the first such error.
    pub(super) async fn run(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let mut result = Ok(());
        while !self.chains.tasks.is_empty() {
            let Self {
                checks,
                chains,
                mempool,
                proposals,
                delivery,
                escalation_clock,
                store_watchdog,
                heartbeats,
                console,
            } = self;
            let (name, ended, may_end) = tokio::select! {
                // A chain ends by itself when its last block is committed.
                Some((name, ended)) = chains.next_end() => (name, ended, true),
                Some((name, ended)) = mempool.next_end() => (name, ended, mempool.stop.is_cancelled()),
                Some((name, ended)) = proposals.next_end() => (name, ended, proposals.stop.is_cancelled()),
                Some((name, ended)) = delivery.next_end() => (name, ended, delivery.stop.is_cancelled()),
                Some((name, ended)) = escalation_clock.next_end() => (name, ended, escalation_clock.stop.is_cancelled()),
                Some((name, ended)) = store_watchdog.next_end() => (name, ended, store_watchdog.stop.is_cancelled()),
                Some((name, ended)) = heartbeats.next_end() => (name, ended, heartbeats.stop.is_cancelled()),
                Some((name, ended)) = console.next_end() => (name, ended, console.stop.is_cancelled()),
                else => break,
            };
            checks.remove_check(&name.check());
            let ended =
                ended.and_then(|()| if may_end { Ok(()) } else { Err(anyhow!("it ended before it was told to")) });
            if let Err(error) = ended.with_context(|| format!("the task {name} failed")) {
                error!(task = %name, "{}", error_chain(&error));
                stop.cancel();
                result = result.and(Err(error));
            }
        }
        result
    }

    /// Ends what watches beside the chains. Returns the first error.
    pub(super) async fn end_watching(&mut self) -> anyhow::Result<()> {
        let mempool = self.mempool.end().await;
        mempool.and(self.proposals.end().await)
    }

    /// True while messages are delivered.
    pub(super) fn delivers(&self) -> bool {
        !self.delivery.tasks.is_empty()
    }

    /// Ends delivery, once what is on its way has arrived or failed; then all tasks that look after it. Returns the first error.
    pub(super) async fn end_delivery(mut self) -> anyhow::Result<()> {
        let mut result = self.delivery.end().await;
        let Self {
            checks: _,
            chains,
            mempool,
            proposals,
            delivery: _,
            escalation_clock,
            store_watchdog,
            heartbeats,
            console,
        } = self;
        for mut group in [chains, mempool, proposals, escalation_clock, store_watchdog, heartbeats, console] {
            result = result.and(group.end().await);
        }
        result
    }
}

/// Returns a panic of a task as an error, with its message.
fn panic_error(error: JoinError) -> anyhow::Error {
    let Ok(panic) = error.try_into_panic() else { return anyhow!("it was aborted") };
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    anyhow!("it panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_name() -> [TaskName; 8] {
        let name = || Arc::from("own");
        [
            TaskName::Chain(name()),
            TaskName::Mempool(name()),
            TaskName::Proposals(name()),
            TaskName::Delivery,
            TaskName::EscalationClock,
            TaskName::StoreWatchdog,
            TaskName::Heartbeat(name()),
            TaskName::Console,
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn no_task_ends_in_silence() {
        for odd in every_name() {
            for fault in ["panic", "error", "end"] {
                // A chain may end by itself: its last block is committed.
                if fault == "end" && matches!(odd, TaskName::Chain(_)) {
                    continue;
                }
                let stop = Stop::new();
                let mut supervisor = Supervisor::new(Checks::default(), &stop);
                for name in every_name() {
                    let is_odd = name == odd;
                    supervisor.spawn(name, |stop| async move {
                        match fault {
                            "panic" if is_odd => panic!("a bug"),
                            "error" if is_odd => anyhow::bail!("a reason"),
                            "end" if is_odd => Ok(()),
                            _ => {
                                stop.cancelled().await;
                                Ok(())
                            }
                        }
                    });
                }
                // The clock moves only when nothing else can happen.
                let ended = tokio::time::timeout(Duration::from_secs(1), supervisor.run(&stop)).await;
                let Ok(Err(error)) = ended else { panic!("{odd} ended and nobody noticed: {ended:?}") };
                assert!(stop.is_cancelled());
                let reason = match fault {
                    "panic" => "it panicked: a bug",
                    "error" => "a reason",
                    _ => "it ended before it was told to",
                };
                assert_eq!(format!("{error:#}"), format!("the task {odd} failed: {reason}"));
                supervisor.end_watching().await.expect("the others end well");
                supervisor.end_delivery().await.expect("the others end well");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_aborted() {
        let stop = Stop::new();
        let mut supervisor = Supervisor::new(Checks::default(), &stop);
        supervisor.spawn(TaskName::Delivery, |_| std::future::pending());
        let ended = tokio::time::timeout(2 * END_MAX, supervisor.end_delivery()).await;
        assert!(matches!(ended, Ok(Ok(()))), "{ended:?}");
    }
}
