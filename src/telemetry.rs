//! Logs: sentences for the reader and the same facts as fields, on stderr. Answers never come this way.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr. `filter` is a level or directives, as `RUST_LOG` takes them.
///
/// # Errors
/// When `filter` cannot be parsed, or logging was started before.
pub fn start(filter: &str, color: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("read the log filter `{filter}`"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .with_target(false)
        .try_init()
        .map_err(|error| anyhow::anyhow!("start logging: {error}"))
}
