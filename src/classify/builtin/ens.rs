//! ENS names: holder, records, and the cost of their changes.
//!
//! Source: ENSRegistry.sol, BaseRegistrarImplementation.sol, NameWrapper.sol, PublicResolver.sol and its profiles. Payments and front ends
//! follow the records, so that a changed record is a theft in progress.

use super::table::{Table, critical, high, names_say_all, warning};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::EnsName,
    unreadable: Severity::Critical,
    functions: &[
        critical("setOwner", "the name is given to somebody else"),
        critical("setSubnodeOwner", "a name below is given to somebody"),
        critical("setSubnodeRecord", "a name below is given to somebody"),
        critical("setRecord", "the name is given to somebody else"),
        critical("setResolver", "where the name is looked up changes"),
        critical("setApprovalForAll", "an operator may do anything with the name"),
        critical("reclaim", "the name is given to somebody else"),
        critical("setAddr", "the address behind the name changes"),
        critical("setContenthash", "the site behind the name changes"),
        warning("setText", "a record of the name changes"),
        high("setFuses", "what may be done with the name changes"),
    ],
    events: &[
        critical("Transfer", "the name changed hands"),
        critical("TransferSingle", "the name changed hands"),
        critical("NewOwner", "a name below was given to somebody"),
        critical("NewResolver", "where the name is looked up changed"),
        critical("AddrChanged", "the address behind the name changed"),
        critical("AddressChanged", "the address behind the name changed"),
        critical("ContenthashChanged", "the site behind the name changed"),
        critical("ApprovalForAll", "an operator may do anything with the names of an owner"),
        critical("VersionChanged", "all records of the name were cleared"),
        high("NameWrapped", "the name was wrapped"),
        high("NameUnwrapped", "the name was unwrapped"),
        high("FusesSet", "what may be done with the name changed"),
        high("ControllerAdded", "somebody may register names"),
        warning("TextChanged", "a record of the name changed"),
    ],
    public: &["renew", "NameRenewed", "ExpiryExtended", "NewTTL", "setTTL"],
    gates: &[],
    weigh: names_say_all,
};
