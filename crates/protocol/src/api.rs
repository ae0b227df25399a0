//! Bodies of the internal API: requests, responses and errors, a file per subject.

mod connection;
mod problem;
mod publication;

pub use connection::{Connection, ConnectionList};
pub use problem::Problem;
pub use publication::{BatchResult, BatchResults, Publication, PublicationBatch, PublishedEvent};

pub use crate::command::EndSessionsAnswer;
