//! End-to-end and property tests, in one binary.
mod abi_case;
mod abi_properties;
mod counting;
