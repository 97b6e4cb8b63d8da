//! Shape of the tables of functions and events that change control of a contract.

use crate::model::{Activity, Severity};
use alloy_primitives::Address;

/// Functions and events of one kind that change control, or that somebody has to be authorized for.
#[derive(Debug)]
pub struct Control {
    /// Severity of bytes that cannot be read, where the subject is the wallet or the token that everything depends on.
    pub unreadable: Severity,
    /// Functions of the subject that change control of it, called by itself or by others.
    pub functions: &'static [ControlRow],
    /// Events of the subject that report such a change, where no judged call explains them.
    pub events: &'static [ControlRow],
    /// Functions that anybody may call, and the events that follow; normal use of such a contract.
    pub public: &'static [&'static str],
    /// Functions that make the subject execute or record what others decided and that are restricted to authorized
    /// callers. A failed call of one is an attempt to take control.
    pub gates: &'static [&'static str],
    /// True if the functions mean the same wherever a subject calls them, watched or not.
    pub elsewhere: bool,
    /// Check that depends on the arguments and not on the name alone; runs first.
    pub weigh: fn(&Activity, &WatchedContract) -> Option<Found>,
}

/// Facts about a watched contract that a check of arguments needs.
#[derive(Clone, Copy, Debug)]
pub struct WatchedContract {
    /// Address of the contract.
    pub address: Address,
    /// Number of owners who have to agree, where the registry lists it.
    pub threshold: Option<u32>,
}

/// Severity of a match, and its meaning in words.
pub type Found = (Severity, String);

/// Function or event of a table.
#[derive(Clone, Copy, Debug)]
pub struct ControlRow {
    /// Name of the function or event; all overloads have the same meaning.
    pub name: &'static str,
    /// Severity of a call of it, or of the logged event.
    pub severity: Severity,
    /// Effect of the function, for the reason on a page; for an event, the change that it reports.
    pub what: &'static str,
}

impl Control {
    /// A table without entries.
    pub const BASE: Self = Self {
        unreadable: Severity::High,
        functions: &[],
        events: &[],
        public: &[],
        gates: &[],
        elsewhere: false,
        weigh: names_say_all,
    };
}

pub(super) const fn critical_row(name: &'static str, what: &'static str) -> ControlRow {
    ControlRow { name, severity: Severity::Critical, what }
}

pub(super) const fn high_row(name: &'static str, what: &'static str) -> ControlRow {
    ControlRow { name, severity: Severity::High, what }
}

pub(super) const fn warning_row(name: &'static str, what: &'static str) -> ControlRow {
    ControlRow { name, severity: Severity::Warning, what }
}

/// `weigh` of a table in which every name has one meaning.
fn names_say_all(_: &Activity, _: &WatchedContract) -> Option<Found> {
    None
}
