//! `watchfire test-page PATH`: sends a page marked TEST to a path, through the ordinary delivery.

use super::{Global, Outcome, Printer, load_config};
use crate::app::App;
use crate::model::text::format_count;
use crate::runtime::{self, command_line};
use crate::settings::Secrets;
use crate::store::Store;
use anyhow::Context as _;
use clap::Args;
use std::sync::Arc;

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
    let store = Store::open(&book.store).await.context("failed to open the store")?;
    if let Some(noted) = store.last_moment().await.context("failed to read the clock of the store")? {
        runtime::carry_on(&noted);
    }
    let app = App::new(book, store, Arc::new(printer.clone()));
    let page = app.commands().test_page(&args.path).await?;
    for incident in &page.incidents {
        let acknowledge = command_line(&format!("incidents ack {incident}"));
        printer.progress(&format!("{incident} opened: acknowledge it with `{acknowledge}`"));
    }
    let unsent = app.send_once(&page.messages).await?;
    for letter in &unsent {
        let why = letter.error.as_deref().unwrap_or("no answer yet");
        let then = if letter.dead { "given up" } else { "`run` tries it again" };
        printer.progress(&format!("{}: not delivered, {then}: {why}", letter.destination));
    }
    let sent = page.messages.len().saturating_sub(unsent.len());
    printer.progress(&format!("{sent} of {} delivered", format_count(page.messages.len(), "message", "messages")));
    Ok(if unsent.is_empty() { Outcome::Calm } else { Outcome::Unknown })
}
