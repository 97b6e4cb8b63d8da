//! `watchfire test-page PATH`: a page marked TEST goes down a path, the real way.

use super::printer::count;
use super::session::Session;
use super::{Global, Outcome, Printer, book};
use crate::escalate;
use crate::runtime;
use crate::settings::Secrets;
use crate::store::Store;
use anyhow::Context as _;
use clap::Args;
use std::sync::Arc;

/// Send a page marked TEST down a path.
#[derive(Debug, Args)]
pub(crate) struct TestPage {
    /// The path's name.
    path: String,
}

pub(crate) async fn test_page(args: &TestPage, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match book(global, Secrets::Resolve, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    if !book.roster.paths.contains_key(&args.path) {
        let known: Vec<&str> = book.roster.paths.keys().map(String::as_str).collect();
        anyhow::bail!("there is no path `{}`; the configuration has {}", args.path, known.join(", "));
    }
    let store = Store::open(&book.store).await.context("open the store")?;
    let session = Session::new(book, store, printer.clone());
    let now = runtime::millis(&*session.clock);
    let (roster, path) = (session.book.roster.clone(), args.path.clone());
    let plan = session
        .store
        .change(now, move |_| escalate::test_page(&roster.path(&path), &roster, now))
        .await
        .context("write the test page down")?;
    for incident in &plan.incidents {
        printer.progress(&format!(
            "{} opened: acknowledge it with `watchfire incidents ack {}`",
            incident.id, incident.id
        ));
    }
    session.worker().drain().await.context("deliver")?;
    let dead = session.store.dead_letters().await?;
    let ours: Vec<_> = plan.deliveries.iter().map(|delivery| delivery.key.clone()).collect();
    let lost = dead.iter().filter(|letter| ours.contains(&letter.delivery.key)).count();
    printer.progress(&format!("{}, of which {lost} could not be delivered", count(ours.len(), "message", "messages")));
    Ok(if lost == 0 { Outcome::Calm } else { Outcome::Unknown })
}
