//! `watchfire incidents`: list, show, acknowledge, resolve. All changes are made in the store, so a running `watchfire
//! run` sees them at once and notifies everyone who was paged.

use super::{Global, Outcome, Printer, drift, load_config_and_store};
use crate::app::{CommandError, Commands, IncidentResponse, Resolution, Responded};
use crate::deliver::{render_page_in, screen_columns};
use crate::escalate;
use crate::model::incident::{Finding, Incident};
use crate::model::record::{DeliveryLine, Line};
use crate::model::text::escape_unprintable;
use crate::model::text::format_count;
use crate::model::{Confidence, DeliveryKey, FindingId};
use crate::runtime::{command_line, quoted_word};
use crate::store::{Filter, Pages, Store, StoreError};
use crate::watchlist::Config;
use anstyle::AnsiColor;
use anyhow::Context as _;
use clap::{Args, Subcommand};

/// List, show, acknowledge and resolve incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// Live incidents, newest first.
    List(List),
    /// Show one incident in full.
    Show(Show),
    /// Acknowledge it: the escalation stops until the acknowledgement expires.
    Ack(Answer),
    /// Close it.
    Resolve(Resolve),
    /// Send a dead letter again.
    Resend(Resend),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Include closed incidents.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resend {
    /// Key of the message, as shown by `incidents list`.
    key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id of the incident, or its beginning.
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// Id of the incident, or its beginning.
    id: String,
    /// Name of the responder.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    by: String,
    /// Also answer for findings that no delivered page showed: the number that an earlier answer shows beside its list.
    #[arg(long, value_name = "NUMBER")]
    seen: Option<u32>,
}

impl Answer {
    fn to_response(&self) -> IncidentResponse {
        IncidentResponse { incident: self.id.clone(), by: self.by.clone(), seen: self.seen }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    answer: Answer,
    /// Close the incident as a false alarm.
    #[arg(long)]
    false_alarm: bool,
}

pub(crate) async fn run_incidents(command: &Incidents, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let (book, store) = match load_config_and_store(global, printer).await? {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let commands = Commands::new(store.clone(), book.roster.clone());
    match command {
        Incidents::List(args) => list_incidents(&book, &store, args, printer).await?,
        Incidents::Show(args) => show_incident(&book, &store, &args.id, printer).await?,
        Incidents::Resend(args) => resend_dead_letter(&commands, &args.key, printer).await?,
        Incidents::Ack(args) => {
            let responded = commands.acknowledge(&args.to_response()).await;
            return print_response(&store, args, "ack", responded, printer).await;
        }
        Incidents::Resolve(Resolve { answer, false_alarm }) => {
            let (resolution, verb) = match false_alarm {
                true => (Resolution::FalseAlarm, "resolve --false-alarm"),
                false => (Resolution::Handled, "resolve"),
            };
            let responded = commands.resolve(&answer.to_response(), resolution).await;
            return print_response(&store, answer, verb, responded, printer).await;
        }
    }
    Ok(Outcome::Calm)
}

async fn list_incidents(book: &Config, store: &Store, args: &List, printer: &Printer) -> anyhow::Result<()> {
    let filter = if args.all { Filter::default() } else { Filter::live_only() };
    let incidents = store.list_incidents(filter).await.context("failed to read incidents")?;
    for incident in &incidents {
        if printer.is_json() {
            let findings = store.findings_of(&incident.id).await?;
            printer.json(&escalate::incident_line(incident, &finding_ids(&findings)));
            continue;
        }
        let severity = printer
            .paint(super::printer::severity_style(incident.severity.as_str()), &format!("{:<9}", incident.severity));
        let state = incident.state.acknowledged_by().map_or(incident.state.kind().as_str().to_owned(), |by| {
            format!("{} by {by}", incident.state.kind().as_str())
        });
        let stands =
            incident.footing.as_ref().map_or(String::new(), |known| format!(", {}", describe_confidence(known)));
        let unpaged = unpaged_remark(store, incident).await?;
        let differs = match drift::incident_differences(store, book, incident).await? {
            None => "",
            Some(left) if left.is_empty() => ", and the chain is as the configuration says now",
            Some(_) => ", and the chain still differs",
        };
        let marked = incident.marked.as_ref().map_or(String::new(), |mark| format!("[{mark}] "));
        printer.text(&format!(
            "{severity} {}  {marked}{}: {}  ({state}{stands}{unpaged}{differs})",
            incident.id, incident.label, incident.page.headline
        ));
    }
    if incidents.is_empty() && !printer.is_json() {
        let none = if args.all { "no incidents" } else { "no live incidents" };
        printer.text(&printer.paint(AnsiColor::Green.on_default(), none));
    }
    dead_letters(store, printer).await
}

/// Returns a remark if no page for an incident was sent.
async fn unpaged_remark(store: &Store, incident: &Incident) -> anyhow::Result<&'static str> {
    if !incident.paging {
        return Ok(", paged nobody");
    }
    let pages = store.pages_of(&incident.id).await.context("failed to read what became of pages")?;
    Ok(match pages {
        Pages { sent: 0, waiting: 0, failed: 1.. } => ", paged nobody: its pages were not delivered",
        Pages { sent: 0, waiting: 1.., .. } => ", paged nobody yet: its page waits",
        _ => "",
    })
}

/// Lists dead letters by their keys, so that they can be sent again.
async fn dead_letters(store: &Store, printer: &Printer) -> anyhow::Result<()> {
    let dead = store.dead_letters().await.context("failed to read dead letters")?;
    for letter in &dead {
        let line = DeliveryLine {
            key: letter.delivery.key.to_string(),
            destination: letter.delivery.destination.clone(),
            kind: letter.delivery.kind.as_str().to_owned(),
            attempt: letter.attempts,
            outcome: "dead".to_owned(),
            error: Some(letter.error.clone()),
        };
        if printer.is_json() {
            printer.json(&Line::Delivery(line));
        } else {
            let error = escape_unprintable(&letter.error, 160);
            printer.text(&format!("undelivered {}  {} to {}: {error}", line.key, line.kind, line.destination));
        }
    }
    if let Some(first) = dead.first() {
        let messages = format_count(dead.len(), "message", "messages");
        let resend = command_line(&format!("incidents resend {}", quoted_word(first.delivery.key.as_str())));
        printer.progress(&format!("{messages} could not be delivered; `{resend}` tries the first again"));
    }
    Ok(())
}

async fn resend_dead_letter(commands: &Commands, key: &str, printer: &Printer) -> anyhow::Result<()> {
    let key = DeliveryKey(key.to_owned());
    commands.resend(&key).await.map_err(|error| match error {
        CommandError::NoDeadLetter(_) => {
            anyhow::anyhow!("{error}: `{}` shows those there are", command_line("incidents list"))
        }
        error => error.into(),
    })?;
    printer.progress(&format!("{key} is due again: `{}` sends it", command_line("run")));
    Ok(())
}

/// Returns the error for an id that no incident has.
fn no_incident(id: &str) -> anyhow::Error {
    let list = command_line("incidents list --all");
    anyhow::anyhow!("there is no incident `{id}`: `{list}` shows those there are")
}

async fn show_incident(book: &Config, store: &Store, id: &str, printer: &Printer) -> anyhow::Result<()> {
    let incident = match store.find_incident(id).await {
        Err(StoreError::NoIncident(id)) => return Err(no_incident(&id)),
        found => found?,
    };
    let findings = store.findings_of(&incident.id).await?;
    if printer.is_json() {
        printer.json(&escalate::incident_line(&incident, &finding_ids(&findings)));
        findings.iter().for_each(|finding| printer.json(&escalate::finding_line(finding, &book.roster)));
        return Ok(());
    }
    printer.text(&render_page_in(&incident.page, printer.has_color(), screen_columns(std::io::stdout())));
    for finding in &findings {
        let stands = match (finding.orphaned, finding.pending) {
            (true, None) => "taken back by a reorg".to_owned(),
            (true, Some(_)) => "pending no longer".to_owned(),
            (false, Some(_)) => "pending".to_owned(),
            (false, None) => describe_confidence(&finding.footing),
        };
        printer.text(&format!("{:<9} {}  {}  ({stands})", finding.severity, finding.id, finding.headline));
    }
    if let Some(left) = drift::incident_differences(store, book, &incident).await? {
        printer.text("chain against configuration, as read last:");
        for (_, headline) in &left {
            printer.text(&format!("  {headline}"));
        }
        if left.is_empty() {
            printer.text("  nothing differs any more");
        }
    }
    Ok(())
}

/// Returns the confidence as text: `safe`, `included, unconfirmed`.
fn describe_confidence(footing: &Confidence) -> String {
    let doubts = [(footing.is_unconfirmed(), ", unconfirmed"), (footing.is_unverified(), ", unverified")];
    let doubts: String = doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    format!("{}{doubts}", footing.finality.as_str())
}

fn finding_ids(findings: &[Finding]) -> Vec<FindingId> {
    findings.iter().map(|finding| finding.id.clone()).collect()
}

/// Prints the result of a response. `verb` is its subcommand with its options.
async fn print_response(
    store: &Store,
    args: &Answer,
    verb: &str,
    responded: Result<Responded, CommandError>,
    printer: &Printer,
) -> anyhow::Result<Outcome> {
    let responded = responded.map_err(|error| match error {
        CommandError::NoIncident(id) => no_incident(&id),
        error => error.into(),
    })?;
    let (incident, unseen) = match responded {
        Responded::Done(incident) => (incident, Vec::new()),
        Responded::StaysOpen { incident, unseen } => (incident, unseen),
    };
    if printer.is_json() {
        let findings = store.findings_of(&incident.id).await?;
        printer.json(&escalate::incident_line(&incident, &finding_ids(&findings)));
    } else {
        printer.text(&format!("{}  {}  {}", incident.id, incident.state.kind().as_str(), incident.label));
    }
    if unseen.is_empty() {
        return Ok(Outcome::Calm);
    }
    printer.progress("it stays open: no page was delivered that says");
    for unseen in &unseen {
        let to: Vec<&str> = unseen.destinations.iter().map(String::as_str).collect();
        let why = unseen.error.as_ref().map_or(String::new(), |error| format!(": {}", escape_unprintable(error, 160)));
        printer.progress(&format!("  {}: {} (to {}{why})", unseen.severity, unseen.headline, to.join(", ")));
    }
    let all = command_line(&format!(
        "incidents {verb} {} --by {} --seen {}",
        incident.id,
        quoted_word(&args.by),
        incident.revision
    ));
    printer.progress(&format!("`{all}` answers for that too"));
    Ok(Outcome::Findings)
}
