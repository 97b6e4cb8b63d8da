//! Services that keep the queues of Safes: requests to them, their frequency, and checks of the responses.
//!
//! Comes in: a `[safe-service.X]` table, and the Safe to query. Goes out: the service's list, converted to the model's
//! types without further processing, and the time of the next query, within a quota that outlives the process. Never
//! here: trust in the service. `decode::queued` and `classify::proposals` decide whether a hash, a signature or a sender is
//! what the service claims, and a response about something else is an error here.
//!
//! The service is the Safe Transaction Service or any service with the same interface: `/api/v1/safes/{safe}/`,
//! `/api/v2/safes/{safe}/multisig-transactions/`, `/api/v2/multisig-transactions/{hash}/`.

mod budget;
mod client;
mod limits;
mod listing;
mod month;
mod parse;
mod schedule;
mod settings;

pub use budget::{Budget, PollDecision, monthly_requests, sustainable_interval};
pub use client::{Account, Client, ServiceError};
pub use listing::{Listing, QUEUED_MAX};
pub use schedule::Schedule;
pub use settings::{EXAMPLE, Service, parse_service};
