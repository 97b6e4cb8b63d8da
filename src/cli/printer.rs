//! Output of all commands: answers on stdout, everything else on stderr. The text keeps its meaning without color.

use super::{Color, Format};
use crate::app::Reporter;
use crate::model::record::{Line, SummaryLine, VerdictLine};
use crate::model::text::format_count;
use crate::runtime::{command_line, error_chain};
use crate::settings::{Problem, Problems};
use crate::store::StoreError;
use crate::telemetry::Outlet;
use anstyle::{AnsiColor, Style};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock};

/// Writes answers. Clones share the same stdout.
#[derive(Clone)]
pub(crate) struct Printer {
    format: Format,
    color: bool,
    color_stderr: bool,
    out: Arc<Mutex<dyn Write + Send>>,
    /// First error of writing an answer, except for a reader that closed the pipe.
    failure: Arc<OnceLock<std::io::Error>>,
    /// Outlet for progress lines; without it they go straight to stderr.
    aside: Option<Outlet>,
}

impl Printer {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        let out: Arc<Mutex<dyn Write + Send>> = Arc::new(Mutex::new(std::io::stdout()));
        Self {
            format,
            color: wanted(std::io::stdout().is_terminal()),
            color_stderr: wanted(std::io::stderr().is_terminal()),
            out,
            failure: Arc::default(),
            aside: None,
        }
    }

    /// Returns a printer for a watch, which must continue even if its output is not read, and the outlet to wait for at
    /// the end. `aside` is the outlet to stderr.
    pub(crate) fn detach_output(&self, aside: &Outlet) -> std::io::Result<(Self, Outlet)> {
        let outlet = Outlet::new(std::io::stdout())?;
        let out = Arc::new(Mutex::new(outlet.clone()));
        Ok((Self { out, aside: Some(aside.clone()), ..self.clone() }, outlet))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    pub(crate) fn colors_stderr(&self) -> bool {
        self.color_stderr
    }

    /// Prints text as an answer. A closed pipe is not an error: `watchfire ... | head` ends quietly.
    pub(crate) fn text(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
            && error.kind() != ErrorKind::BrokenPipe
        {
            let _ = self.failure.set(error);
        }
    }

    /// Returns the reason why answers could not be written, such as a full disk behind stdout. A closed pipe is not a
    /// failure.
    pub(crate) fn write_failure(&self) -> Option<&std::io::Error> {
        self.failure.get()
    }

    /// Prints one line of the record as JSON.
    pub(crate) fn json(&self, line: &impl serde::Serialize) {
        match crate::model::json::to_json_line(line) {
            Ok(text) => self.text(&text),
            Err(error) => write_stderr_line(&format!("error: failed to write a line as JSON: {error}")),
        }
    }

    /// Prints an object as a line of JSON, without what is absent.
    pub(crate) fn json_object(&self, mut object: serde_json::Value) {
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        self.json(&object);
    }

    /// Prints a line of the feed in the chosen format.
    pub(crate) fn line(&self, line: &Line) {
        if self.is_json() {
            return self.json(line);
        }
        match line {
            Line::Verdict(verdict) => self.verdict(verdict),
            Line::Retraction(line) => {
                let tag = self.paint(AnsiColor::Cyan.on_default(), "retracted");
                self.text(&format!(
                    "{tag}  {}  {} of block {} is gone (revision {})",
                    line.finding_id, line.reason, line.orphaned_block, line.revision
                ));
            }
            Line::Blindness(line) => {
                let tag = self.paint(AnsiColor::Magenta.on_default().bold(), "blind    ");
                let until = line.until.as_ref().map_or(String::new(), |until| format!(" until {until}"));
                let chain = line.chain.as_ref().map_or(String::new(), |chain| format!(" on {chain}"));
                let through = line.endpoint.as_ref().map_or(String::new(), |endpoint| format!(" through {endpoint}"));
                let late = line.blocks.map_or(String::new(), |blocks| {
                    let findings = line.late.iter().map(|late| late.findings).sum::<u64>();
                    format!(
                        ", {} seen late, {} in them",
                        format_count(blocks, "block", "blocks"),
                        format_count(findings, "finding", "findings")
                    )
                });
                self.text(&format!("{tag}  {}{chain}{through} since {}{until}{late}", line.kind, line.since));
                line.ways
                    .iter()
                    .for_each(|way| self.text(&format!("           {}: {}", way.to, command_line(&way.command))));
            }
            // People do not need to read that a finding remains; programs want to know its confidence.
            Line::Footing(_) | Line::Finding(_) | Line::Chain(_) => {}
            // The pages themselves and `incidents` show the result of each page.
            Line::Incident(_) | Line::Delivery(_) => {}
            Line::Summary(summary) => self.text(&summed_up(summary)),
        }
    }

    fn verdict(&self, verdict: &VerdictLine) {
        // Effects of an act are counted and not listed, so that each cause has one line.
        if verdict.verdict == "normal" {
            if verdict.by.starts_with("effect of") || verdict.by == "builtin/envelope" {
                return;
            }
            let tag = self.paint(AnsiColor::Green.on_default(), "normal   ");
            let by = self.paint(Style::new().dimmed(), &format!("({}: {})", verdict.watch, verdict.by));
            self.text(&format!("{tag}  {}  {}  {by}", format_clock_time(&verdict.time), verdict.headline));
            return;
        }
        if verdict.finding_id.is_none() {
            return;
        }
        let severity = verdict.severity.as_deref().unwrap_or("high");
        let tag = self.paint(severity_style(severity), &format!("{severity:<9}"));
        self.text(&format!("{tag}  {}  {}", format_clock_time(&verdict.time), verdict.headline));
        for reason in verdict.reasons.iter().take(verdict.near) {
            self.text(&format!("{:32}{}", "", self.paint(Style::new().dimmed(), reason)));
        }
    }

    /// Prints a progress message on stderr.
    pub(crate) fn progress(&self, text: &str) {
        match &self.aside {
            // The outlet takes whole lines and never waits.
            Some(aside) => drop(aside.clone().write_all(format!("{text}\n").as_bytes())),
            None => write_stderr_line(text),
        }
    }

    /// Prints an error on stderr.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let tag = if self.color_stderr { AnsiColor::Red.on_default().bold() } else { Style::new() };
        write_stderr_line(&format!("{tag}error{tag:#}: {}", error_chain(error)));
        let of_store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
        for way in of_store.map(StoreError::recovery_commands).unwrap_or_default() {
            write_stderr_line(&format!("{}: {}", way.to, command_line(&way.command)));
        }
    }

    /// Prints every problem of a configuration on stderr, where a service keeps its log, and with JSON output on stdout
    /// too.
    pub(crate) fn problems(&self, problems: &Problems) {
        if self.is_json() {
            for problem in problems.sorted_by_position() {
                self.json(&problem_line(problem));
            }
        }
        write_stderr_line(&format!(
            "{}{}; nothing is started on a configuration with problems",
            problems.render(self.color_stderr),
            format_count(problems.len(), "problem", "problems")
        ));
    }

    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

impl Reporter for Printer {
    fn is_json(&self) -> bool {
        self.is_json()
    }

    fn line(&self, line: &Line) {
        self.line(line);
    }

    fn record(&self, record: &serde_json::Value) {
        self.json(record);
    }

    fn progress(&self, text: &str) {
        self.progress(text);
    }
}

/// Writes a line to stderr. An unread or closed stderr ends nothing.
fn write_stderr_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn summed_up(s: &SummaryLine) -> String {
    format!(
        "{}, {}: {} normal, {} abnormal; {} ({} retracted), {}, {} sent, {} dead",
        format_count(s.blocks, "block", "blocks"),
        format_count(s.activities, "activity", "activities"),
        s.normal,
        s.activities - s.normal,
        format_count(s.findings, "finding", "findings"),
        s.retracted,
        format_count(s.incidents, "incident", "incidents"),
        format_count(s.deliveries, "message", "messages"),
        s.dead
    )
}

/// Returns a mistake in a configuration as JSON, for an editor.
fn problem_line(problem: &Problem) -> serde_json::Value {
    let (line, column) = problem.spot.line_column();
    let file = &problem.spot.file.path;
    let mut told = serde_json::json!({
        "type": "problem", "file": file, "line": line, "column": column, "message": problem.message,
    });
    if let Some(hint) = &problem.hint {
        told["hint"] = hint.as_str().into();
    }
    told
}

pub(crate) fn severity_style(severity: &str) -> Style {
    match severity {
        "critical" => AnsiColor::White.on(AnsiColor::Red).bold(),
        "high" => AnsiColor::Red.on_default().bold(),
        "warning" => AnsiColor::Yellow.on_default().bold(),
        _ => AnsiColor::Blue.on_default(),
    }
}

/// Formats an RFC 3339 time as `2026-11-02 10:00:24`.
fn format_clock_time(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SourceFile;

    #[test]
    fn a_program_gets_a_problems_place_in_fields_of_their_own() {
        let mut problem =
            SourceFile::new("a.toml", "x = 1\ncolour = 2\n").spot_at(6..12).problem("unknown key `colour`");
        let told = serde_json::json!({
            "type": "problem", "file": "a.toml", "line": 2, "column": 1, "message": "unknown key `colour`",
        });
        assert_eq!(problem_line(&problem), told);
        problem.hint = Some("remove it".to_owned());
        assert_eq!(problem_line(&problem)["hint"], "remove it");
    }

    #[test]
    fn one_is_not_many() {
        let one =
            SummaryLine { blocks: 1, activities: 1, findings: 1, incidents: 1, deliveries: 1, ..Default::default() };
        assert_eq!(
            summed_up(&one),
            "1 block, 1 activity: 0 normal, 1 abnormal; 1 finding (0 retracted), 1 incident, 1 message sent, 0 dead"
        );
        assert_eq!(format_count(0, "rule", "rules"), "0 rules");
    }
}
