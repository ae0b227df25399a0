//! The hands: does what clients ask for and what must happen later, against the platforms and the store.
//!
//! Owns: the engine that claims jobs, runs each until its deadline and answers it once; the account commands; the second factor,
//! what carries its codes, and the settings; the opening and ending of sessions; confirmations, alerts, and the end of all access;
//! what platforms deliver of their own accord and what their bots receive; the relay of committed events; links that nobody confirms;
//! revocations at the platforms; refusals and heads of the audit log.
//!
//! Must not know: client sockets. Nothing is promised to a client before the store has committed it, so a worker may die at any
//! line: another one repeats the answer, or does the work, or tells the client to start again.

mod settings;
mod worker;

mod jobs;

mod account;
mod audit;
mod deliveries;
mod factor;
mod revocation;
mod security;
mod session;
mod sync;

mod call;
mod outbox;
mod platform;

mod maintenance;
mod metrics;
mod outage;
mod pace;

pub use factor::{
    Email, EmailError, EmailSettings, FromAddress, InvalidFromAddress, InvalidSmsUrl, InvalidSmtpUrl, MessageSenders,
    OperatorOutcome, Sms, SmsError, SmsSettings, SmtpServer, reset_factor, unlock_factor,
};
pub use settings::{
    ConnectState, JobConcurrency, PlatformConcurrency, RedirectError, RedirectPolicy, SessionTimes, Settings,
};
pub use worker::{Parts, Running, Worker};
