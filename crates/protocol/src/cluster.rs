//! Messages between nodes. Each carries a version: a node one release older reads it, or reports that it cannot.

pub mod api_request;
pub mod callback;
pub mod envelope;
pub mod job;
pub mod offset;
pub mod origin;
pub mod version;
pub mod webhook;
