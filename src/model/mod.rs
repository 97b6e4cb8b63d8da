//! The nouns that travel between the rooms.
//!
//! Plain data with public fields: nothing here opens a socket, asks a clock or takes a lock, and nothing here decides.
//! A shape that people or other programs read ([`record`], [`page`]) is spelled out field by field, since it is a promise.

pub mod activity;
pub mod amount;
pub mod arg_path;
pub mod blindness;
pub mod block;
pub mod coverage;
pub mod difference;
pub mod fees;
pub mod footing;
pub mod holding;
pub mod ids;
pub mod incident;
pub mod json;
pub mod likeness;
pub mod page;
pub mod parse;
pub mod path;
pub mod pending;
pub mod queue;
pub mod read;
pub mod record;
pub mod roles;
pub mod seal;
pub mod severity;
pub mod span;
pub mod state;
pub mod text;
pub mod trace;
pub mod value;
pub mod verdict;
pub mod watch;

pub use activity::{Activity, ActivityKind, Decoding, Deed, Fate, Operation, Position, Role, Stage, Wrapper};
pub use blindness::{Blindness, BlindnessKind, Evidence, LateBlocks, LateFinding, Trouble};
pub use block::{Authorization, Block, BlockRef, Finality, Link, Log, Status, Tip, Tx};
pub use difference::Difference;
pub use fees::Fee;
pub use footing::{Footing, Proof, Sight};
pub use ids::{ChainId, DeliveryKey, FindingId, IncidentId};
pub use seal::Sealed;
pub use severity::Severity;
pub use state::{Fact, Item, Known};
pub use trace::{CallHow, TracedCall, TxTrace};
pub use verdict::{Abnormal, Delta, Judged, JudgedBlock, Verdict, Voucher};
pub use watch::{Kind, WatchId, WatchInfo};
