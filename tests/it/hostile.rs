//! What an attacker writes: bytes made to break a decoder, and transactions made to pass one by.
//!
//! Everything goes the whole pure way, from a node's JSON to verdicts, incidents and what people are sent.

mod attacks;
mod bytes;
mod lists;
mod mutations;
mod outward;
mod sayings;
mod told;
