//! What nodes tell each other. Each message carries a version: a node one release older understands it, or says that it does not.

pub mod callback;
pub mod envelope;
pub mod job;
pub mod offset;
pub mod origin;
pub mod trace;
pub mod webhook;
