//! Signs of life: logs, metrics, and the checks that say whether all is well.
//!
//! Logs are sentences for the operator, on standard error, so that standard output holds nothing but answers. Comes in: what
//! the rooms report through `tracing`. Goes out: one line each. Never here: a line from foreign code. Network
//! libraries log the addresses they connect to, and an address may carry a key; so only Watchfire's own lines pass, at any
//! level.

pub mod health;
pub mod metrics;
pub mod outlet;

pub use health::Checks;
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

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people, with colors on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error, for the whole process. `filter` is a level, or levels by room
/// (`info,watchfire::deliver=debug`). A standard error that nobody reads holds nobody up; whoever ends the process waits for
/// the outlet first.
///
/// # Errors
///
/// The filter cannot be read, or logging was started before.
pub fn start(filter: &str, form: Form, color: bool) -> anyhow::Result<Outlet> {
    if let Err(error) = filter.parse::<Targets>() {
        anyhow::bail!("read the log levels `{filter}`: {error}");
    }
    let outlet = Outlet::new(io::stderr()).context("failed to start to log")?;
    let writer = outlet.clone();
    subscriber(move || writer.clone(), filter, form, color).try_init()?;
    Ok(outlet)
}

/// What [`start`] installs, writing to `writer`. `filter` is read leniently: what is no level is passed over.
pub fn subscriber<W>(writer: W, filter: &str, form: Form, color: bool) -> impl Subscriber + Send + Sync
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

/// A writer of log lines in which nothing acts: names and answers in them were written by strangers.
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
    /// Takes whole lines, as the formatter hands them over.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut out = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            // A line end within would begin a line that an attacker wrote.
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

/// Whether `rest` goes on as a color of the formatter's does.
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
        tracing::subscriber::with_default(subscriber(move || writer.clone(), filter, form, false), || {
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
