//! Services that keep the queues of Safes: what they are asked, how often, and what their answers are worth.
//!
//! Comes in: a `[safe-service.X]` table, and which Safe to ask about. Goes out: what the service lists, read into the model's nouns
//! and nothing more; and when to ask again, within a quota that outlives the process. Never here: belief. Whether a hash, a signature or a sender is what the
//! service says is decided by `decode::queued` and `classify::queue`, and an answer that is about something else is an error here.
//!
//! The service spoken to is the Safe Transaction Service or whatever speaks as it does: `/api/v1/safes/{safe}/`,
//! `/api/v2/safes/{safe}/multisig-transactions/`, `/api/v2/multisig-transactions/{hash}/`.

mod budget;
mod client;
mod limits;
mod listing;
mod month;
mod parse;
mod schedule;
mod settings;

pub use budget::{Budget, Look, sustains, takes};
pub use client::{Account, Client, ServiceError};
pub use listing::{Listing, QUEUED_MAX};
pub use schedule::Schedule;
pub use settings::{EXAMPLE, Service, parse};
