//! Pages on a terminal: for `run` without a pager, for the demo, and for commands that show an incident.

use super::layout::Layout;
use super::{Common, Destination, DestinationKind, Outgoing, Receipt, SendError};
use crate::http::{Answer, Success};
use crate::model::Severity;
use crate::model::incident::{Body, DeliveryKind};
use crate::model::page::Page;
use crate::settings::{Problems, Table};
use anstyle::{AnsiColor, Style};
use futures::future::BoxFuture;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Width of a page in columns where the screen width is unknown, as in a pipe; a wider screen is not filled.
const COLUMNS: usize = 100;
/// Width in columns of the narrowest supported screen; a narrower terminal wraps lines itself.
const COLUMNS_MIN: usize = 40;
/// Width in columns of the headings at the left: the longest is `NEXT STEP`.
const NAME_COLUMNS: usize = 11;

/// Prints pages to a writer.
pub struct Terminal {
    writer: Arc<Mutex<dyn Write + Send>>,
    color: bool,
    columns: fn() -> usize,
}

/// Name of the kind in a configuration.
pub const TERMINAL: &str = "terminal";

/// `kind = "terminal"`: prints to standard error, so that standard output contains only the output of commands.
pub(super) struct TerminalKind;

impl Terminal {
    /// Creates a terminal that prints to `writer`, 100 columns wide, with colors if `color`.
    #[must_use]
    pub fn new(writer: Arc<Mutex<dyn Write + Send>>, color: bool) -> Self {
        Self { writer, color, columns: || COLUMNS }
    }

    /// Queries the number of columns before each page.
    #[must_use]
    pub fn as_wide_as(self, columns: fn() -> usize) -> Self {
        Self { columns, ..self }
    }
}

impl Destination for Terminal {
    fn send<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let Body::Page(page) = &message.body else {
                return Err(SendError::Refused("a terminal takes pages and no feed".to_owned()));
            };
            let text = render_terminal(Some(message.kind), page, self.color, (self.columns)());
            let writer = Arc::clone(&self.writer);
            // The reader at the other end of a pipe may have stopped reading.
            let write = tokio::task::spawn_blocking(move || {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writer.write_all(text.as_bytes()).and_then(|()| writer.flush())
            });
            match write.await {
                Ok(Ok(())) => Ok(Receipt { detail: "printed".to_owned() }),
                Ok(Err(error)) => Err(SendError::Retry(error.into())),
                Err(error) => Err(SendError::Retry(error.into())),
            }
        })
    }
}

impl DestinationKind for TerminalKind {
    fn name(&self) -> &'static str {
        TERMINAL
    }

    fn example(&self) -> &'static str {
        "[destination.screen]\nkind = \"terminal\"\n"
    }

    fn success(&self) -> Success {
        Success { is: "that the page is written in full", source: "", reads_body: false, judge: |_, _| Answer::Taken }
    }

    fn parse(&self, _: &mut Table<'_>, _: &Common, _: &mut Problems) -> Option<Box<dyn Destination>> {
        let color = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        let screen = Terminal::new(Arc::new(Mutex::new(std::io::stderr())), color);
        Some(Box::new(screen.as_wide_as(|| screen_columns(std::io::stderr()))))
    }
}

/// Renders a page for a person, 100 columns wide, ending in an empty line.
#[must_use]
pub fn render_page(page: &Page, color: bool) -> String {
    render_terminal(None, page, color, COLUMNS)
}

/// Renders the same, `columns` wide, at least 40 and at most 100.
#[must_use]
pub fn render_page_in(page: &Page, color: bool, columns: usize) -> String {
    render_terminal(None, page, color, columns)
}

/// Returns the number of columns of the screen behind `stream`, or 100 where `stream` is not a screen: a pipe, a file,
/// a service manager's log.
#[must_use]
pub fn screen_columns(stream: impl std::os::fd::AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

fn render_terminal(kind: Option<DeliveryKind>, page: &Page, color: bool, columns: usize) -> String {
    let columns = columns.clamp(COLUMNS_MIN, COLUMNS);
    let brief = Layout::new(kind, page);
    let paint = AnsiStyle { color, severity: page.severity, live: page.state.is_live() };
    let bar = paint.edge("┃");
    let mut out = String::new();

    let mark = brief.mark.as_ref().map(|mark| format!(" {mark} ")).unwrap_or_default();
    let banner = format!(" {} ", brief.banner);
    let room = columns.saturating_sub(4 + mark.width() + banner.width());
    let mut labels = wrap_text(&brief.label, room.max(1)).into_iter();
    let label = format!(" {} ", labels.next().unwrap_or_default());
    let used = 2 + mark.width() + banner.width() + label.width();
    let rule = "━".repeat(columns.saturating_sub(used));
    let marked = if mark.is_empty() { mark } else { paint.mark(&mark) };
    let top = format!("{}{marked}{}{}", paint.edge("┏━"), paint.banner(&banner), paint.bold(&label));
    out.push_str(&format!("{top}{}\n", paint.edge(&rule)));
    for text in labels.chain(wrap_text(&brief.headline, columns - 2)) {
        out.push_str(&format!("{bar} {}\n", paint.bold(&text)));
    }
    for section in &brief.sections {
        out.push_str(&format!("{bar}\n"));
        push_section(&mut out, &paint, section.name, &section.lines, columns);
    }
    // The runbook's address is already shown under its own heading.
    let links = brief.links.iter().filter(|(_, href)| page.runbook.as_ref() != Some(href));
    let links: Vec<String> = links.map(|(_, href)| href.clone()).collect();
    if !links.is_empty() {
        out.push_str(&format!("{bar}\n"));
        push_section(&mut out, &paint, "LINKS", &links, columns);
    }
    let foot = format!(
        "{} · {} · path {}, step {}",
        super::escape::sanitize_line(page.incident.as_str(), 80),
        page.state.as_str(),
        super::escape::sanitize_line(&page.path, 80),
        page.step,
    );
    let mut feet = wrap_text(&foot, columns - 4);
    let last = feet.pop().unwrap_or_default();
    feet.iter().for_each(|text| out.push_str(&format!("{bar} {}\n", paint.dim(text))));
    let last = format!(" {last} ");
    let rule = "━".repeat(columns.saturating_sub(2 + last.width()));
    out.push_str(&format!("{}{}{}\n\n", paint.edge("┗━"), paint.dim(&last), paint.edge(&rule)));
    out
}

fn push_section(out: &mut String, paint: &AnsiStyle, name: &str, lines: &[String], columns: usize) {
    let bar = paint.edge("┃");
    let mut name = format!("{name:<NAME_COLUMNS$}");
    for line in lines {
        // Further lines of a long sentence are indented, so that the next sentence stands out.
        for (i, text) in wrap_text(line, columns - 4 - NAME_COLUMNS).into_iter().enumerate() {
            let indent = if i > 0 { "  " } else { "" };
            out.push_str(&format!("{bar} {}{indent}{text}\n", paint.bold(&name)));
            name = " ".repeat(NAME_COLUMNS);
        }
    }
}

/// Breaks text between words, by the columns that a terminal uses for each character. A word longer than a line is
/// broken as well.
fn wrap_text(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let width = word.width();
        if used > 0 && used + 1 + width > columns {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { continue };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        if width <= columns {
            line.push_str(word);
            used += width;
            continue;
        }
        for letter in word.chars() {
            let width = letter.width().unwrap_or(0);
            if used + width > columns {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(letter);
            }
            used += width;
        }
    }
    lines
}

struct AnsiStyle {
    color: bool,
    severity: Severity,
    live: bool,
}

impl AnsiStyle {
    fn severity_color(&self) -> AnsiColor {
        match self.severity {
            _ if !self.live => AnsiColor::Green,
            Severity::Critical => AnsiColor::Red,
            Severity::High => AnsiColor::Yellow,
            Severity::Warning => AnsiColor::Cyan,
            Severity::Info => AnsiColor::Blue,
        }
    }

    fn edge(&self, text: &str) -> String {
        self.apply_style(self.severity_color().on_default(), text)
    }

    fn banner(&self, text: &str) -> String {
        // Black on yellow, cyan and green, white on red and blue: the pairs that read on dark and light screens.
        let ink = match self.severity_color() {
            AnsiColor::Red | AnsiColor::Blue => AnsiColor::BrightWhite,
            _ => AnsiColor::Black,
        };
        self.apply_style(ink.on(self.severity_color()).bold(), text)
    }

    fn mark(&self, text: &str) -> String {
        self.apply_style(AnsiColor::Black.on(AnsiColor::Magenta).bold(), text)
    }

    fn bold(&self, text: &str) -> String {
        self.apply_style(Style::new().bold(), text)
    }

    fn dim(&self, text: &str) -> String {
        self.apply_style(Style::new().dimmed(), text)
    }

    fn apply_style(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{hostile_page, oversized_page, sample_message, sample_page};
    use super::*;
    use crate::model::page::Party;
    use alloy_primitives::Address;

    const PAGE: &str = "
┏━ CRITICAL  Treasury Safe ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
┃ Treasury Safe sends 60,000 SNT to Grantee: docs
┃
┃ WHY        friday-grants: amount 60,000 SNT is above 50,000 SNT
┃            payroll: function is transfer(address,uint256), and the rule vouches for
┃              approve(address,uint256) alone
┃            2 more rules are about something else
┃
┃ WHO        sent by Executor bot (0x2222222222222222222222222222222222222222)
┃            signed by Owner 1 (0x3131313131313131313131313131313131313131)
┃            signed by 0x3232323232323232323232323232323232323232
┃
┃ WHERE      0x5a5A5a5a5A5a5a5a5a5A5a5A5A5a5a5A5A5A5A5A on mainnet
┃            block 21234567, included, 2026-11-20 10:00:00 UTC
┃            tx 0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e
┃            through execTransaction at Treasury Safe, then multiSend at MultiSendCallOnly
┃            touches Council Safe
┃
┃ PURPOSE    Pays grants on Fridays
┃
┃ RUNBOOK    https://runbooks.example/stolen-funds
┃
┃ NEXT STEP  take it: watchfire incidents ack inc_00112233445566778899aabbccddeeff
┃            if nobody does: security-lead, at 2026-11-20 10:05:00 UTC
┃
┃ LINKS      https://etherscan.io/tx/0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7
┃              e7e7e
┗━ inc_00112233445566778899aabbccddeeff · open · path treasury, step 1 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━

";

    #[test]
    fn a_page_reads_from_how_bad_it_is_down_to_what_comes_next() {
        assert_eq!(render_page(&sample_page(), false), PAGE.trim_start());
    }

    #[test]
    fn nothing_an_attacker_wrote_reaches_the_terminal_as_a_command() {
        for page in [hostile_page(), oversized_page()] {
            let shown = render_page(&page, false);
            let harmless = |c: char| c == '\n' || !crate::model::text::is_treacherous(c);
            assert!(shown.chars().all(harmless), "{shown:?}");
            // A line injected by an attacker would lack the bar at the beginning.
            let framed = shown.trim_end().lines().all(|line| line.starts_with(['┏', '┃', '┗']));
            assert!(framed, "{shown}");
        }
        assert!(render_page(&oversized_page(), false).len() < 40_000);
    }

    #[test]
    fn no_line_of_a_page_is_wider_than_the_screen() {
        let mut wide = sample_page();
        wide.label = "金庫の安全な財布".repeat(12);
        wide.headline = "金庫から資金が出ていきました ".repeat(9);
        wide.path = "夜".repeat(60);
        let mut looks = sample_page();
        let known = Party { address: Address::repeat_byte(0x70), name: Some("Grantee".into()), looks_like: None };
        let mut twin = Address::repeat_byte(0x70);
        twin[9] = 0;
        looks.evidence[0].parties = vec![Party { address: twin, name: None, looks_like: Some(Box::new(known)) }];
        for columns in [0, 40, 57, 80, 100, 500] {
            let most = columns.clamp(COLUMNS_MIN, COLUMNS);
            for page in [sample_page(), hostile_page(), oversized_page(), wide.clone(), looks.clone()] {
                let shown = render_page_in(&page, false, columns);
                for line in shown.lines() {
                    assert!(line.width() <= most, "{} of {most} columns: {line}", line.width());
                }
                let whole: String = shown.chars().filter(|c| !c.is_whitespace() && !"┃┏┗━".contains(*c)).collect();
                let headline: String = Layout::new(None, &page).headline.split_whitespace().collect();
                assert!(whole.contains(&headline), "nothing is cut at {columns}");
            }
        }
        let shown = render_page(&looks, false);
        let full = twin.to_checksum(None);
        assert!(shown.contains(&format!("WITH       {full}")), "{shown}");
        let words: String = shown.split_whitespace().filter(|word| *word != "┃").collect::<Vec<_>>().join(" ");
        assert!(
            words.contains(
                "NOT Grantee (0x7070707070707070707070707070707070707070): only what is in brackets is the same"
            ),
            "{words}"
        );
        let marked = words.split("same, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        assert_eq!(marked.to_lowercase(), "0x[707070707070707070]0[070707070707070707070]");
    }

    #[test]
    fn colors_are_only_added_and_never_carry_meaning_alone() {
        let colored = render_page(&sample_page(), true);
        assert!(colored.contains("\u{1b}["));
        let plain = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(plain, render_page(&sample_page(), false));
    }

    #[test]
    fn what_became_of_an_incident_stands_in_its_banner() {
        let banner = |kind, state, mark: Option<&str>| {
            let page = Page { state, marked: mark.map(str::to_owned), ..sample_page() };
            let shown = render_terminal(kind, &page, false, COLUMNS);
            shown.lines().next().unwrap_or_default().trim_end_matches('━').trim_end().to_owned()
        };
        use crate::model::incident_state::State::{Acknowledged, FalseAlarm, Open, Resolved};
        assert_eq!(banner(Some(DeliveryKind::Trigger), Open, Some("TEST")), "┏━ TEST  CRITICAL  Treasury Safe");
        assert_eq!(banner(Some(DeliveryKind::Update), Open, None), "┏━ CRITICAL (UPDATE)  Treasury Safe");
        assert_eq!(banner(Some(DeliveryKind::Retract), Open, None), "┏━ CRITICAL (RETRACTED IN PART)  Treasury Safe");
        assert_eq!(banner(None, Acknowledged, None), "┏━ CRITICAL (ACKNOWLEDGED)  Treasury Safe");
        assert_eq!(banner(Some(DeliveryKind::Resolve), Resolved, None), "┏━ RESOLVED  Treasury Safe");
        assert_eq!(banner(Some(DeliveryKind::Retract), FalseAlarm, None), "┏━ FALSE ALARM  Treasury Safe");
    }

    #[tokio::test]
    async fn a_page_is_printed_to_the_writer_it_was_given() {
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let terminal = Terminal::new(written.clone(), false);
        terminal.send(&sample_message(DeliveryKind::Trigger, sample_page())).await.expect("printed");
        let written = String::from_utf8(written.lock().unwrap_or_else(PoisonError::into_inner).clone());
        assert_eq!(
            written.expect("text"),
            render_terminal(Some(DeliveryKind::Trigger), &sample_page(), false, COLUMNS)
        );
    }
}
