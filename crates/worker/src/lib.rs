//! Worker: executes the commands of clients, and the background work, against the platforms and the store.
//!
//! Owns: the job engine, which claims jobs, runs each until its deadline and answers it once; the account commands; the second
//! factor, its message senders, and the settings; the opening and ending of sessions; confirmations, alerts, and the revocation of
//! all access; webhook deliveries and the inboxes of bots; the outbox relay; the expiry of pending links; grant revocation at the
//! platforms; the webhooks to the application; the gateways' refusals and the heads of the audit log.
//!
//! Must not know: client sockets. Nothing is promised to a client before the store has committed it, so a worker may stop at any
//! line: another worker repeats the answer, or does the work, or has the client start again.
//!
//! Modules depend downwards only: `jobs` on the features, the features on `call`, `http_client`, `inserted_text`,
//! `new_device_alert`, `outbox` and `platform`.

mod settings;
mod worker;

mod jobs;

mod account;
mod app_webhook;
mod audit;
mod deliveries;
mod factor;
mod operator;
mod revocation;
mod security;
mod session;
mod sync;

mod call;
mod http_client;
mod inserted_text;
mod new_device_alert;
mod outbox;
mod platform;

#[cfg(test)]
mod error_chains;
mod maintenance;
mod metrics;
mod outage;
mod trace;

pub use app_webhook::{
    AppWebhookClient, AppWebhookClientError, AppWebhookSecrets, AppWebhookSendError, AppWebhookSettings,
    InvalidAppWebhookSecrets, InvalidAppWebhookUrl,
};
pub use call::operator_receipt;
pub use factor::{
    EmailError, EmailSender, EmailSettings, FromAddress, InvalidFromAddress, InvalidSmsUrl, InvalidSmtpUrl,
    MessageSenders, OperatorOutcome, SmsError, SmsSender, SmsSettings, SmtpServer, reset_factor, unlock_factor,
};
pub use operator::{DoubtfulLink, OperatorLinks, OperatorSession, OperatorSessions, OperatorSessionsError};
pub use settings::{
    ConnectState, JobConcurrency, PlatformConcurrency, RedirectError, RedirectPolicy, SessionTimes, Settings,
};
pub use worker::{BusRoles, Parts, Running, StoreRoles, Worker};
