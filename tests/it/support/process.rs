//! A child process that is frozen, looked at, ended politely or killed.

use std::process::{Child, Command};
use std::time::Duration;

/// A polite end is waited for this long; it includes the program's own wait for messages on their way.
const END_PATIENCE: Duration = Duration::from_secs(60);
/// How often a process is looked at while something of it is waited for.
const LOOK: Duration = Duration::from_millis(2);

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    /// Stops every thread of it where it is (SIGSTOP), and returns once all of them stand still.
    pub(crate) fn freeze(&self) {
        stop(self.child.id());
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Lets no file it writes grow beyond so many bytes; `None` lifts the limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let id = self.child.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={limit}:unlimited")]).status();
        assert!(set.expect("prlimit is everywhere").success(), "the limit holds for process {id}");
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would (SIGKILL), frozen or not.
    pub(crate) fn kill(mut self) {
        self.finish();
    }

    /// Asks it to end (SIGTERM) and returns its exit code.
    pub(crate) async fn end(self) -> i32 {
        signal(self.child.id(), "TERM");
        self.code().await
    }

    /// Waits for its end and returns its exit code; -1 when a signal ended it.
    pub(crate) async fn code(mut self) -> i32 {
        let wait = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                    return status.code().unwrap_or(-1);
                }
                tokio::time::sleep(10 * LOOK).await;
            }
        };
        tokio::time::timeout(END_PATIENCE, wait).await.expect("the program ends")
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    fn finish(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Sends `SIG<name>` to the process with this id.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status();
    assert!(sent.expect("kill is everywhere").success(), "SIG{name} reaches process {id}");
}

/// Stops process `id` (SIGSTOP) and waits until each of its threads has stopped: one inside a write stops when that write is done.
pub(crate) fn stop(id: u32) {
    signal(id, "STOP");
    for _ in 0..5_000 {
        if stands_still(id) {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("process {id} does not stop");
}

fn stands_still(id: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{id}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        // The state is the first word behind the name, which stands in parentheses and may hold anything.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with(['T', 't', 'X', 'Z']))
    })
}
