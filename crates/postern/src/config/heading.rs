//! Groups of the settings in the help.

/// Listeners for clients and for health, and the proxies in front.
pub(crate) const LISTENERS: &str = "Listeners";
/// Internal API and its callers.
pub(crate) const INTERNAL_API: &str = "Internal API";
/// Certificate of the public listener.
pub(crate) const TLS: &str = "TLS";
/// Verification of tokens.
pub(crate) const TOKENS: &str = "Tokens";
/// Sockets and their messages.
pub(crate) const CONNECTIONS: &str = "Connections";
/// Rates and numbers of sockets.
pub(crate) const LIMITS: &str = "Limits";
/// Drain of a gateway.
pub(crate) const DRAIN: &str = "Drain";
/// Redis.
pub(crate) const REDIS: &str = "Redis";
/// Postgres.
pub(crate) const POSTGRES: &str = "Postgres";
/// Vault.
pub(crate) const VAULT: &str = "Vault";
/// OAuth callbacks.
pub(crate) const CALLBACKS: &str = "OAuth callbacks";
/// Sessions.
pub(crate) const SESSIONS: &str = "Sessions";
/// Retention of rows.
pub(crate) const RETENTION: &str = "Retention";
/// Platform github.
pub(crate) const GITHUB: &str = "GitHub";
/// Platform discord.
pub(crate) const DISCORD: &str = "Discord";
/// Platform telegram.
pub(crate) const TELEGRAM: &str = "Telegram";
/// Platform `x_twitter`.
pub(crate) const X: &str = "X";
/// Senders of second-factor codes.
pub(crate) const EMAIL_AND_SMS: &str = "Email and SMS";
/// Webhooks to the application.
pub(crate) const APP_WEBHOOKS: &str = "Webhooks to the application";
/// Log.
pub(crate) const LOG: &str = "Log";
/// Export of traces, metrics and logs.
pub(crate) const TELEMETRY: &str = "Telemetry (OpenTelemetry)";
