//! Data types that are passed between the modules.
//!
//! Plain data with public fields: no code here opens a socket, reads a clock, takes a lock or makes a decision. Formats
//! that people or other programs read ([`record`], [`page`]) are written field by field, because they are a
//! compatibility promise.

pub mod activity;
pub mod amount;
pub mod anchor;
pub mod arg_path;
pub mod block;
pub mod confidence;
pub mod coverage;
pub mod difference;
pub mod fees;
pub mod holding;
pub mod ids;
pub mod incident;
pub mod incident_state;
pub mod json;
pub mod likeness;
pub mod origin;
pub mod outage;
pub mod page;
pub mod path;
pub mod pending;
pub mod proposals;
pub mod read;
pub mod record;
pub mod roles;
pub mod severity;
pub mod span;
pub mod state;
pub mod text;
pub mod trace;
pub mod value;
pub mod verdict;
pub mod watch;

pub use activity::{Activity, ActivityKind, DecodedCall, Decoding, Fate, Operation, Position, Role, Stage, Wrapper};
pub use anchor::Anchor;
pub use block::{Authorization, Block, BlockRef, Finality, Link, Log, Status, Tip, Tx};
pub use confidence::{Confidence, Provenance, Verification};
pub use difference::Difference;
pub use fees::Fee;
pub use ids::{ChainId, DeliveryKey, FindingId, IncidentId};
pub use origin::{IncidentScope, Origin, WatchedAddress};
pub use outage::{Blindness, BlindnessKind, Evidence, HealthIssue, LateBlocks, LateFinding};
pub use severity::Severity;
pub use state::{Fact, Item, Known};
pub use trace::{CallHow, TracedCall, TxTrace};
pub use verdict::{Abnormal, Judged, JudgedBlock, Verdict, Voucher, WindowEntry};
pub use watch::{Kind, WatchId, WatchInfo};
