//! ABI index and decoder.
