//! Faults that a test orders of a running program, in builds with debug assertions alone.

#[cfg(debug_assertions)]
use std::time::Duration;

/// The variable that orders a fault: `panic:TASK` or `stall:TASK`, with the task's name as logs show it.
#[cfg(debug_assertions)]
const VARIABLE: &str = "WATCHFIRE_DEBUG_FAULT";
/// Time that a task runs as usual before its fault.
#[cfg(debug_assertions)]
const AFTER: Duration = Duration::from_secs(2);

/// Waits forever, unless `WATCHFIRE_DEBUG_FAULT` orders a fault of `task`: `panic:TASK` panics after two seconds, and `stall:TASK`
/// returns then, so that the caller stops polling the task, as if it waited for something that never comes. A release build has no
/// faults.
///
/// # Panics
/// When that was ordered.
#[cfg(debug_assertions)]
pub fn ordered_fault(task: &str) -> impl Future<Output = ()> + Send + 'static {
    let ordered = std::env::var(VARIABLE).unwrap_or_default();
    let fault = ordered.split_once(':').filter(|(_, name)| *name == task).map(|(fault, _)| fault.to_owned());
    async move {
        let Some(fault) = fault else { return std::future::pending().await };
        tokio::time::sleep(AFTER).await;
        assert!(fault != "panic", "a panic that {VARIABLE} ordered");
    }
}

/// Waits forever: a release build has no faults.
#[cfg(not(debug_assertions))]
pub fn ordered_fault(_task: &str) -> impl Future<Output = ()> + Send + 'static {
    std::future::pending()
}
