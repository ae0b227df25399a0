//! Commands of operators that act as a worker does. The caller records them in the audit log before.

mod sessions;

pub use sessions::{OperatorSession, OperatorSessions, OperatorSessionsError};
