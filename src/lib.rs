//! Watchfire: decodes what touches a labelled address, judges it, and pages a person for what no rule vouches for.
pub mod abi;
pub mod model;
