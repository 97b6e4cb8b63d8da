//! Problems in files: the position, the mistake, and the correction.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// Maximum size of one configuration file in bytes. A watchlist of 100,000 watches takes about half of it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Configuration file as it was read.
pub struct SourceFile {
    /// Path as given by the operator; files with secrets are resolved relative to its directory.
    pub path: String,
    /// Full text of the file.
    pub text: Arc<str>,
    /// Text with the lines blanked at which the parser stopped; it has the same length in bytes.
    pub(super) mended: OnceLock<String>,
}

/// Position in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// File that contains the position.
    pub file: Arc<SourceFile>,
    /// Byte range in the file's text.
    pub span: Range<usize>,
}

/// Value with its source position, so that code that rejects it later can still underline it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// Value as written.
    pub value: T,
    /// Location of the value.
    pub spot: Spot,
}

/// Mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Location of the mistake.
    pub spot: Spot,
    /// Description of the mistake, without a period: `unknown key `adress``.
    pub message: String,
    /// Suggested correction.
    pub hint: Option<String>,
    /// Other positions that explain the problem, each with a short label: `first defined here`.
    pub related: Vec<(Spot, String)>,
    /// Hides the line, because it may contain a secret.
    pub concealed: bool,
}

/// All mistakes found so far, and notes that are not mistakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    mistakes: Vec<Problem>,
    /// Number of mistakes left out because they follow from others.
    held_back: usize,
    notes: Vec<Problem>,
}

impl SourceFile {
    /// Creates a file from a text in memory.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into(), mended: OnceLock::new() })
    }

    /// Reads a file of at most 64 MiB of UTF-8.
    ///
    /// # Errors
    ///
    /// A problem that names the file and the system's reason, or points at the first byte that is not UTF-8.
    pub fn read_file(path: &std::path::Path) -> Result<Arc<Self>, Box<Problem>> {
        let shown = path.display().to_string();
        let unread = |reason: String| Box::new(Self::new(shown.clone(), "").spot_at(0..0).problem(reason));
        let size = std::fs::metadata(path).map_err(|e| unread(format!("cannot read `{shown}`: {e}")))?.len();
        if size > FILE_BYTES_MAX {
            return Err(unread(format!("`{shown}` has {size} bytes; at most {FILE_BYTES_MAX} are read")));
        }
        let bytes = std::fs::read(path).map_err(|e| unread(format!("cannot read `{shown}`: {e}")))?;
        String::from_utf8(bytes).map(|text| Self::new(shown.clone(), text)).map_err(|e| {
            let valid = e.utf8_error().valid_up_to();
            let file = Self::new(shown.clone(), String::from_utf8_lossy(e.as_bytes()));
            let (line, column) = file.line_column(valid);
            let message = format!("`{shown}` is not UTF-8 text, from line {line}, column {column} on");
            Box::new(file.spot_at(valid..valid).problem(message).with_hint("save it as UTF-8 in the editor"))
        })
    }

    /// Returns a position in this file. A span that reaches past the end, or into a character, is moved to the nearest
    /// boundary.
    #[must_use]
    pub fn spot_at(self: &Arc<Self>, span: Range<usize>) -> Spot {
        let start = floor_char_boundary(&self.text, span.start);
        let end = floor_char_boundary(&self.text, span.end).max(start);
        Spot { file: Arc::clone(self), span: start..end }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor_char_boundary(&self.text, byte)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for SourceFile {}

/// The text may contain values that must not appear in a log.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.path)
    }
}

impl At<&str> {
    /// Reports a path that begins with `~`, and returns whether it does: only a shell expands `~`, and these paths are
    /// not passed to a shell.
    pub fn refuse_tilde(&self, problems: &mut Problems) -> bool {
        let is_home = self.value == "~" || self.value.starts_with("~/");
        if is_home {
            let problem = self.problem(format!("`{}` begins with `~`, which only a shell understands", self.value));
            problems.push(problem.with_hint(
                "write the whole path, such as `/home/NAME/…`, or one that starts at this file's directory",
            ));
        }
        is_home
    }
}

impl Spot {
    /// Creates a problem at this position.
    #[must_use]
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { spot: self.clone(), message: message.into(), hint: None, related: Vec::new(), concealed: false }
    }

    /// Returns line and column of the start, counted from 1.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        self.file.line_column(self.span.start)
    }
}

/// `path:line:column`.
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.path)
    }
}

impl<T> At<T> {
    /// Replaces the value and keeps the position.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), spot: self.spot }
    }

    /// Creates a problem at the position of this value.
    #[must_use]
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        self.spot.problem(message)
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl Problem {
    /// Adds a hint that describes the correction.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds another position that explains the problem.
    #[must_use]
    pub fn with_related_spot(mut self, spot: Spot, label: impl Into<String>) -> Self {
        self.related.push((spot, label.into()));
        self
    }

    /// Shows the position without the text of the line.
    #[must_use]
    pub fn without_snippet(mut self) -> Self {
        self.concealed = true;
        self
    }

    /// `file:line:column: message`, on one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        format!("{}: {}", self.spot, self.message)
    }

    fn to_report_group(&self) -> Group<'_> {
        let title = Level::ERROR.primary_title(&self.message);
        // A problem of the file as a whole, such as a key missing at its top, has no line to show.
        let mut group = if self.spot.span == (0..0) {
            title.element(Origin::path(&self.spot.file.path))
        } else if self.concealed {
            let (line, column) = self.spot.line_column();
            title.element(Origin::path(&self.spot.file.path).line(line).char_column(column))
        } else {
            title.element(source_snippet(&self.spot, AnnotationKind::Primary, None))
        };
        for (spot, label) in &self.related {
            group = group.element(source_snippet(spot, AnnotationKind::Context, Some(label)));
        }
        match &self.hint {
            Some(hint) => group.element(Level::HELP.message(hint)),
            None => group,
        }
    }
}

impl Problems {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem. The same problem at the same position is kept once.
    pub fn push(&mut self, problem: Problem) {
        if self.mistakes.last() != Some(&problem) {
            self.mistakes.push(problem);
        }
    }

    /// Counts a mistake that follows from another, reported mistake. [`Problems::seen_count`] includes it, but it is not
    /// shown.
    pub fn hold_back(&mut self) {
        self.held_back += 1;
    }

    /// Returns the number of mistakes seen so far, including those that follow from others.
    #[must_use]
    pub fn seen_count(&self) -> usize {
        self.mistakes.len() + self.held_back
    }

    /// Adds a note that is not a mistake: no configuration is rejected because of it.
    pub fn push_note(&mut self, note: Problem) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Takes the notes, in the order in which they were added.
    #[must_use]
    pub fn take_notes(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.notes)
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Problem>) {
        others.into_iter().for_each(|problem| self.push(problem));
    }

    /// Returns whether there are no mistakes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Returns the number of mistakes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// Returns the problems in the order of file and position.
    #[must_use]
    pub fn sorted_by_position(&self) -> Vec<&Problem> {
        let mut sorted: Vec<&Problem> = self.mistakes.iter().collect();
        sorted.sort_by_key(|p| (&p.spot.file.path, p.spot.span.start, p.spot.span.end));
        sorted.dedup();
        sorted
    }

    /// Returns one line for each mistake: `file:line:column: message`.
    #[must_use]
    pub fn to_lines(&self) -> Vec<String> {
        self.sorted_by_position().into_iter().map(Problem::to_line).collect()
    }

    /// Renders the problems in the style of rustc: the line, underlined, with a hint below. The text ends with a line
    /// break unless it is empty.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in self.sorted_by_position() {
            out.push_str(&renderer.render(&[problem.to_report_group()]));
            out.push_str("\n\n");
        }
        out.truncate(out.trim_end().len());
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.mistakes.into_iter()
    }
}

/// Builds a snippet from only those lines that the span touches, so that a long file costs no more than a short one.
fn source_snippet<'a>(
    spot: &'a Spot,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &*spot.file.text;
    let from = text[..spot.span.start].rfind('\n').map_or(0, |at| at + 1);
    let to = text[spot.span.end..].find('\n').map_or(text.len(), |at| spot.span.end + at);
    let annotation = kind.span(spot.span.start - from..spot.span.end - from).label(label);
    Snippet::source(&text[from..to]).line_start(spot.line_column().0).path(&spot.file.path).annotation(annotation)
}

fn floor_char_boundary(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte)
}
