//! Commands of operators on what a deployment stores, each recorded in its audit log.

mod jobs;
mod prune;
mod redis;
mod sessions;
mod tasks;
mod users;
mod webhooks;

use std::process::ExitCode;

use lifecycle::OsEntropy;
use opentelemetry::metrics::{Meter, MeterProvider as _, NoopMeterProvider};
use protocol::cluster::job::Lane;
use protocol::id::{InvalidId, UserId};
use store::{PgStore, Receipt, SetupError, StoreError};
use worker::{AppWebhookClientError, AppWebhookSendError, OperatorSessionsError, operator_receipt};

pub(crate) use self::jobs::jobs;
pub(crate) use self::prune::prune;
pub(crate) use self::redis::with_redis;
pub(crate) use self::sessions::sessions;
pub(crate) use self::tasks::tasks;
pub(crate) use self::users::users;
pub(crate) use self::webhooks::webhooks;
use crate::cli::OperatorSettings;
use crate::config::ConfigError;

/// Failed command of an operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Invalid user id.
    #[error("--user")]
    User(#[source] InvalidId),
    /// Invalid session id.
    #[error("--session")]
    Session(#[source] InvalidId),
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Postgres(#[from] SetupError),
    /// Connecting to Redis failed.
    #[error("connect to Redis")]
    Redis(#[from] bus::ConnectError),
    /// A query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sessions could not be listed or ended.
    #[error(transparent)]
    Sessions(#[from] OperatorSessionsError),
    /// User whom the store does not know.
    #[error("user {0} is unknown")]
    UnknownUser(UserId),
    /// A job could not be read or changed.
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    /// Unknown entry of a lane.
    #[error("the {} lane has no {what} {id}", .lane.as_str())]
    UnknownJob {
        /// Lane.
        lane: Lane,
        /// `job` or `dead letter`.
        what: &'static str,
        /// Id of the entry.
        id: String,
    },
    /// Dead letter without its job.
    #[error("the job of dead letter {0} is not kept, as it may contain a code; its client was answered")]
    NotKept(String),
    /// Unknown task.
    #[error("there is no task {0}")]
    UnknownTask(i64),
    /// Task that a worker has leased.
    #[error("a worker is executing task {0}")]
    LeasedTask(i64),
    /// Unknown webhook.
    #[error("there is no webhook {0}")]
    UnknownWebhook(i64),
    /// Webhook that a worker has leased.
    #[error("a worker is sending webhook {0}")]
    LeasedWebhook(i64),
    /// No receiver of webhooks is configured.
    #[error("POSTERN_APP_WEBHOOK_URL is not set")]
    NoReceiver,
    /// The client for webhooks could not be built.
    #[error(transparent)]
    WebhookClient(#[from] AppWebhookClientError),
    /// The receiver did not accept the webhook.
    #[error("send a webhook")]
    Webhook(#[from] AppWebhookSendError),
    /// The result could not be serialized.
    #[error("serialize the result")]
    Report(#[from] serde_json::Error),
}

/// Result of a command.
type Outcome = Result<ExitCode, OperatorError>;

fn user(text: &str) -> Result<UserId, OperatorError> {
    UserId::new(text).map_err(OperatorError::User)
}

async fn connect(settings: &OperatorSettings) -> Result<PgStore, SetupError> {
    PgStore::connect(&settings.database, settings.keys.audit_keys(), &meter()).await
}

fn receipt(settings: &OperatorSettings) -> Receipt {
    operator_receipt(&settings.operator, &OsEntropy)
}

fn meter() -> Meter {
    NoopMeterProvider::new().meter("postern")
}
