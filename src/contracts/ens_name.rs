//! ENS names: holder, records, and the cost of their changes.
//!
//! Source: ENSRegistry.sol, BaseRegistrarImplementation.sol, NameWrapper.sol, PublicResolver.sol and its profiles. Payments and front ends
//! follow the records, so that a changed record is a theft in progress.

use super::control::{Control, critical_row, high_row, warning_row};
use super::kind::ContractKind;
use super::kind::Property::Name;
use super::state::{ReadMethod, StateGroup, state_line};
use crate::abi::bundled;
use crate::model::Severity;
use crate::model::state::NAME_EXPIRY;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "ens-name",
    about: "a name in ENS, by its hash",
    abis: &[bundled::ens],
    properties: &[Name],
    unlogged: "calls from inside other contracts that change nothing a log tells of",
    state: &[REGISTRATION],
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row("setOwner", "the name is given to somebody else"),
            critical_row("setSubnodeOwner", "a name below is given to somebody"),
            critical_row("setSubnodeRecord", "a name below is given to somebody"),
            critical_row("setRecord", "the name is given to somebody else"),
            critical_row("setResolver", "where the name is looked up changes"),
            critical_row("setApprovalForAll", "an operator may do anything with the name"),
            critical_row("reclaim", "the name is given to somebody else"),
            critical_row("setAddr", "the address behind the name changes"),
            critical_row("setContenthash", "the site behind the name changes"),
            warning_row("setText", "a record of the name changes"),
            high_row("setFuses", "what may be done with the name changes"),
        ],
        events: &[
            critical_row("Transfer", "the name changed hands"),
            critical_row("TransferSingle", "the name changed hands"),
            critical_row("NewOwner", "a name below was given to somebody"),
            critical_row("NewResolver", "where the name is looked up changed"),
            critical_row("AddrChanged", "the address behind the name changed"),
            critical_row("AddressChanged", "the address behind the name changed"),
            critical_row("ContenthashChanged", "the site behind the name changed"),
            critical_row("ApprovalForAll", "an operator may do anything with the names of an owner"),
            critical_row("VersionChanged", "all records of the name were cleared"),
            high_row("NameWrapped", "the name was wrapped"),
            high_row("NameUnwrapped", "the name was unwrapped"),
            high_row("FusesSet", "what may be done with the name changed"),
            high_row("ControllerAdded", "somebody may register names"),
            warning_row("TextChanged", "a record of the name changed"),
        ],
        public: &["renew", "NameRenewed", "ExpiryExtended", "NewTTL", "setTTL"],
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// Registration of the name. Source: BaseRegistrarImplementation.sol, `nameExpires`. A name has no address of its own.
const REGISTRATION: &StateGroup = &StateGroup { lines: &[state_line(NAME_EXPIRY, ReadMethod::Expiry)], causes: &[] };
