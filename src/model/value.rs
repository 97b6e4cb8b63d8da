//! Typed argument values.
