//! Bodies of the internal API: requests, responses and errors, a file per subject.

mod audit_log;
mod connection;
mod page;
mod problem;
mod publication;
mod scope;
pub mod table;
mod user_state;

pub use audit_log::{AuditEntry, AuditPage, AuditQuery};
pub use connection::{Connection, ConnectionList};
pub use page::{DEFAULT_PAGE, MAX_PAGE, PageRequest};
pub use problem::Problem;
pub use publication::{BatchResult, BatchResults, MAX_BATCH, Publication, PublicationBatch, PublishedEvent};
pub use scope::Scope;
pub use user_state::{
    AccountList, AlertPage, AlertQuery, AlertState, Device, DeviceList, FactorLockRequest, LinkedAccount, Network,
    SecondFactor, SessionList, StoredAlert, UserSession, UserSettings,
};

pub use crate::command::{DisconnectAnswer, EndSessionsAnswer, RevokeAllAnswer};
