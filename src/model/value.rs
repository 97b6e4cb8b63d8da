//! Typed argument values.
use std::sync::Arc;
/// x
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// x
    pub name: Arc<str>,
}
