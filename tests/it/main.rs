//! it
mod source;
