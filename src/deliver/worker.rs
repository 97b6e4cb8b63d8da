pub struct Worker;
pub struct Leased;
pub trait Outbox {}
