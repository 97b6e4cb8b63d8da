//! What a responder sees, case by case; any order of things in `order`; how it is said in `words`.

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
