//! Commands of operators that act as a worker does. The caller records them in the audit log before.

mod links;
mod sessions;

pub use links::{DoubtfulLink, OperatorLinks};
pub use sessions::{OperatorSession, OperatorSessions, OperatorSessionsError};
