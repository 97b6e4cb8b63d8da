//! Pages as a responder sees them, case by case; random orders of events are in `order`; wording is in `words`.

mod amounts;
mod blind;
mod chain;
mod coverage;
mod lines;
mod noise;
mod occasions;
mod order;
mod pending;
mod people;
mod queued;
mod storms;
mod words;
