//! Observability: logs, metrics, and the checks that show whether the program is healthy.
//!
//! Logs are sentences for the operator. They go to standard error, so that standard output holds only results. Input:
//! events that modules report through `tracing`. Output: one line for each event. Never here: log lines of other
//! crates. Network libraries log the addresses they connect to, and an address may contain a key; therefore only
//! Watchfire's own lines pass, at any level.

pub mod health;
pub mod metrics;
pub mod outlet;

pub use health::{Checks, SignOfLife};
pub use metrics::Metrics;
pub use outlet::Outlet;

use crate::model::text::is_treacherous;
use anyhow::Context as _;
use std::io;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Human-readable text, with colors on a terminal.
    Text,
    /// A JSON object per line.
    Json,
}

/// Starts logging to standard error, for the whole process. `filter` is a level, or levels by module
/// (`info,watchfire::deliver=debug`). A standard error that is not read does not block the program; before the process
/// ends, the caller must wait for the outlet.
///
/// # Errors
///
/// Fails when the filter cannot be parsed, or when logging was started before.
pub fn start_logging(filter: &str, form: Form, color: bool) -> anyhow::Result<Outlet> {
    if let Err(error) = filter.parse::<Targets>() {
        anyhow::bail!("read the log levels `{filter}`: {error}");
    }
    let outlet = Outlet::new(io::stderr()).context("failed to start to log")?;
    let writer = outlet.clone();
    log_subscriber(move || writer.clone(), filter, form, color).try_init()?;
    Ok(outlet)
}

/// Returns the subscriber that [`start_logging`] installs, writing to `writer`. `filter` is parsed leniently: invalid levels
/// are ignored.
pub fn log_subscriber<W>(writer: W, filter: &str, form: Form, color: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(Careful { inner: writer, form, color }).with_ansi(color).with_target(true);
    let lines = match form {
        Form::Text => lines.boxed(),
        Form::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(FilterFn::new(is_ours)).with_filter(EnvFilter::builder().parse_lossy(filter)))
}

/// A writer of log lines that escapes control characters: names and responses in the lines come from untrusted parties.
struct Careful<W> {
    inner: W,
    form: Form,
    color: bool,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Careful<W> {
    type Writer = Careful<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Careful { inner: self.inner.make_writer(), form: self.form, color: self.color }
    }
}

impl<W: io::Write> io::Write for Careful<W> {
    /// Accepts whole lines, as the formatter passes them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut out = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            // A line end within the message would start a line that an attacker wrote.
            let ours =
                (c == '\n' && at + 1 == text.len()) || (c == '\u{1b}' && self.color && is_color(&text[at + 1..]));
            match self.form {
                _ if ours || !is_treacherous(c) => out.push(c),
                Form::Text => out.extend(c.escape_unicode()),
                Form::Json => {
                    let units =
                        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                    out.push_str(&units);
                }
            }
        }
        self.inner.write_all(out.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Checks whether `rest` continues as a color escape of the formatter.
fn is_color(rest: &str) -> bool {
    let digits = rest.strip_prefix('[').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
    digits.is_some_and(|rest| rest.starts_with('m'))
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "watchfire" || target.starts_with("watchfire::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, form: Form) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        tracing::subscriber::with_default(log_subscriber(move || writer.clone(), filter, form, false), || {
            tracing::warn!(destination = "oncall", "a page was late");
            tracing::debug!("a detail");
            tracing::error!(target: "hyper::client", "connecting to https://hooks.example/T0/B0/token");
            tracing::error!(target: "watchfire_impostor", "not ours either");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_our_own_lines_are_logged_at_any_level() {
        let text = logged("trace,hyper=trace", Form::Text);
        assert!(text.contains("a page was late") && text.contains("destination=\"oncall\""), "{text}");
        assert!(text.contains("a detail"), "{text}");
        assert!(!text.contains("token") && !text.contains("not ours"), "{text}");
    }

    #[test]
    fn the_level_holds_and_json_lines_parse() {
        let text = logged("warn", Form::Json);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "a page was late");
        assert_eq!(lines[0]["destination"], "oncall");
    }
}
