//! `watchfire test-page PATH`: sends a page marked TEST to a path, through the ordinary delivery.

use super::{Global, Outcome, Printer, load_config};
use crate::app::App;
use crate::escalate;
use crate::model::DeliveryKey;
use crate::model::text::format_count;
use crate::runtime;
use crate::settings::Secrets;
use crate::store::{Store, Unsent};
use anyhow::Context as _;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// Time between two checks of the page's delivery.
const LOOK: Duration = Duration::from_millis(500);
/// Maximum number of checks: a minute, the longest timeout of a destination.
const LOOKS_MAX: u32 = 120;

/// Send a page marked TEST to a path.
#[derive(Debug, Args)]
pub(crate) struct TestPage {
    /// Name of the path.
    path: String,
}

pub(crate) async fn test_page(args: &TestPage, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::OnUse, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    if !book.roster.paths.contains_key(&args.path) {
        let known: Vec<&str> = book.roster.paths.keys().map(String::as_str).collect();
        anyhow::bail!("there is no path `{}`; the configuration has {}", args.path, known.join(", "));
    }
    let store = Store::open(&book.store).await.context("failed to open the store")?;
    if let Some(noted) = store.last_moment().await.context("failed to read the clock of the store")? {
        runtime::carry_on(&noted);
    }
    let session = App::new(book, store, Arc::new(printer.clone()));
    let now = runtime::steady_millis(&*session.clock);
    let (roster, path) = (session.book.roster.clone(), args.path.clone());
    let plan = session
        .store
        .commit_change(now, move |_| escalate::test_page(&roster.path(&path), &roster, now))
        .await
        .context("failed to write the test page down")?;
    for incident in &plan.incidents {
        printer.progress(&format!(
            "{} opened: acknowledge it with `{}`",
            incident.id,
            runtime::command_line(&format!("incidents ack {}", incident.id))
        ));
    }
    let ours: Vec<_> = plan.deliveries.iter().map(|delivery| delivery.key.clone()).collect();
    let unsent = sent_once(&session, &ours).await?;
    for letter in &unsent {
        let why = letter.error.as_deref().unwrap_or("no answer yet");
        let then = if letter.dead { "given up" } else { "`run` tries it again" };
        printer.progress(&format!("{}: not delivered, {then}: {why}", letter.destination));
    }
    let sent = ours.len().saturating_sub(unsent.len());
    printer.progress(&format!("{sent} of {} delivered", format_count(ours.len(), "message", "messages")));
    Ok(if unsent.is_empty() { Outcome::Calm } else { Outcome::Unknown })
}

/// Sends `ours` and returns those that failed at the first attempt. A `run` on the same store may be sending some of
/// them; the function waits for them as long as one attempt may take.
async fn sent_once(session: &App, ours: &[DeliveryKey]) -> anyhow::Result<Vec<Unsent>> {
    let mut worker = session.delivery_worker();
    for _ in 0..LOOKS_MAX {
        worker.drain().await.context("failed to deliver")?;
        let unsent = session.store.unsent_messages(ours.to_vec()).await.context("failed to look for what was sent")?;
        if unsent.iter().all(|letter| letter.error.is_some()) {
            return Ok(unsent);
        }
        tokio::time::sleep(LOOK).await;
    }
    session.store.unsent_messages(ours.to_vec()).await.context("failed to look for what was sent")
}
