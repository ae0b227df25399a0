//! Connection settings of the database, parsed from one URL.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Reloadable;
use percent_encoding::percent_decode_str;
use protocol::app_webhook::AppWebhookType;
use protocol::secret::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Connection settings of the database, and the size of the pool. Clones share the login, which may be replaced:
/// [`PgSettings::replace_credentials`].
#[derive(Debug, Clone)]
pub struct PgSettings {
    config: Reloadable<Config>,
    pub(super) roots: Roots,
    pub(super) pool_size: usize,
    pub(super) prepares: bool,
    pub(super) accepts_read_only: bool,
    pub(super) max_age: Duration,
    pub(super) app_webhooks: Arc<[AppWebhookType]>,
}

/// Root certificates for the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// None: TLS is not used.
    None,
    /// Root certificates of the operating system.
    System,
    /// Root certificates of a PEM file.
    File(PathBuf),
}

/// Error in a database URL. It repeats no part of the URL, which contains a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PgSettingsError {
    /// Not a Postgres URL, or an unknown option.
    #[error("write postgres://user:password@host:5432/database, and percent-encode the password")]
    Malformed,
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// Unknown `sslmode`.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    UnknownSslMode,
    /// An `sslmode` that contradicts `sslrootcert=system`.
    #[error("sslrootcert=system requires sslmode=verify-full")]
    WeakSslMode,
    /// The pool size is 0 or above the limit.
    #[error("is a number from 1 to {}", MAX_CONNECTIONS)]
    PoolSize,
}

/// URL that cannot replace another while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PgUrlChange {
    /// Not a URL of a database.
    #[error(transparent)]
    Invalid(#[from] PgSettingsError),
    /// More than user and password has changed.
    #[error("the URL names another server or database, or has other options: restart the node to use it")]
    OtherDatabase,
}

impl PgSettings {
    /// Parses a URL as libpq does (PostgreSQL documentation, 34.1.1.2), with these differences. When TLS is used, the server's
    /// certificate is always verified, chain and name, so `require`, `verify-ca` and `verify-full` are equal. Without
    /// `sslrootcert` the system's root certificates are used; `sslrootcert=system` states this and makes `verify-full` the only
    /// mode. Without either option, TLS is used if the server offers it (`prefer`), which an attacker on the path can prevent.
    ///
    /// # Errors
    /// [`PgSettingsError`].
    pub fn parse(url: &Secret, pool_size: usize) -> Result<Self, PgSettingsError> {
        if !(1..=MAX_CONNECTIONS).contains(&pool_size) {
            return Err(PgSettingsError::PoolSize);
        }
        let Known { rest, roots, ssl_mode } = Known::take_from(url.expose())?;
        let mut config: Config = rest.parse().map_err(|_may_quote_it| PgSettingsError::Malformed)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PgSettingsError::NoHost);
        }
        config.ssl_mode(ssl_mode);
        let roots = match ssl_mode {
            SslMode::Disable => Roots::None,
            _ => roots,
        };
        Ok(Self {
            config: Reloadable::new(config),
            roots,
            pool_size,
            prepares: true,
            accepts_read_only: false,
            max_age: MAX_AGE,
            app_webhooks: Arc::from([]),
        })
    }

    /// Sends all statements unnamed, for a pooler that gives each transaction another connection.
    #[must_use]
    pub fn without_prepared_statements(self) -> Self {
        Self {
            prepares: false,
            ..self
        }
    }

    /// Accepts a server that accepts no writes, and a role that may only read the audit log, for commands that only read that.
    #[must_use]
    pub fn for_reading(self) -> Self {
        Self {
            accepts_read_only: true,
            ..self
        }
    }

    /// Replaces user and password for connections that are opened from now on, by those of a URL of the same database.
    ///
    /// # Errors
    /// [`PgUrlChange`]; the login stays.
    pub fn replace_credentials(&self, url: &Secret) -> Result<(), PgUrlChange> {
        let new = Self::parse(url, self.pool_size)?;
        let without_login = |settings: &Self| {
            let mut config = Config::clone(&settings.config.get());
            config.user("").password("");
            config
        };
        if without_login(&new) != without_login(self) || new.roots != self.roots {
            return Err(PgUrlChange::OtherDatabase);
        }
        self.config.set(new.config.get());
        Ok(())
    }

    /// Queues a webhook to the application for each event of these types, in the transaction that queues the event.
    #[must_use]
    pub fn queueing_app_webhooks(self, types: &[AppWebhookType]) -> Self {
        Self {
            app_webhooks: types.into(),
            ..self
        }
    }

    /// Replaces connections at this age, or a little earlier, instead of 15 minutes.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// True if data may cross a network unencrypted.
    pub(super) fn may_be_unencrypted(&self) -> bool {
        let local = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        };
        let config = self.config.get();
        let hosts_are_local =
            config.get_hostaddrs().iter().all(IpAddr::is_loopback) && config.get_hosts().iter().all(local);
        config.get_ssl_mode() != SslMode::Require && !hosts_are_local
    }

    /// Client configuration with the current login, timeouts and keepalives. It sets no server options, because poolers reject them.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::clone(&self.config.get());
        if config.get_application_name().is_none() {
            config.application_name("postern");
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        config
    }
}

/// Options that tokio-postgres does not know, or interprets differently, and the URL without them.
struct Known {
    rest: String,
    roots: Roots,
    ssl_mode: SslMode,
}

impl Known {
    fn take_from(url: &str) -> Result<Self, PgSettingsError> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(PgSettingsError::Malformed);
        }
        let (location, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut roots, mut mode) = (None, None);
        let mut others = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslrootcert", path)) => {
                    let path = percent_decode_str(path).decode_utf8();
                    roots = Some(path.map_err(|_not_text| PgSettingsError::Malformed)?);
                }
                Some(("sslmode", word)) => mode = Some(word),
                _ => others.push(option),
            }
        }
        let is_system = roots.as_deref() == Some("system");
        Ok(Self {
            rest: format!("{location}?{}", others.join("&")),
            roots: match roots {
                Some(path) if !is_system => Roots::File(PathBuf::from(path.into_owned())),
                _ => Roots::System,
            },
            ssl_mode: ssl_mode(mode, is_system)?,
        })
    }
}

/// TLS mode as in libpq: with the system's certificates, a weaker mode than `verify-full` is an error.
fn ssl_mode(word: Option<&str>, is_system: bool) -> Result<SslMode, PgSettingsError> {
    match word {
        None if is_system => Ok(SslMode::Require),
        None => Ok(SslMode::Prefer),
        Some("disable" | "prefer" | "require" | "verify-ca") if is_system => Err(PgSettingsError::WeakSslMode),
        Some("disable") => Ok(SslMode::Disable),
        Some("prefer") => Ok(SslMode::Prefer),
        Some("require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
        Some(_) => Err(PgSettingsError::UnknownSslMode),
    }
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Long enough for a busy database, short enough for a client that waits 10 s.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum age of a connection. It bounds the time to follow a change behind a stable address that causes no error.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

const MAX_CONNECTIONS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PgSettings, PgSettingsError> {
        PgSettings::parse(&Secret::new(url), 4)
    }

    #[test]
    fn root_certificate_and_verifying_modes_are_parsed() {
        let settings =
            parse("postgres://u:p@db.example:6543/d?sslrootcert=%2Fetc%2Fca+1.pem&sslmode=verify-full").unwrap();
        assert_eq!(settings.roots, Roots::File("/etc/ca+1.pem".into()));
        assert_eq!(settings.config.get().get_ssl_mode(), SslMode::Require);
        assert_eq!(settings.config.get().get_ports(), [6543]);
        assert!(!settings.may_be_unencrypted());
    }

    #[test]
    fn no_server_option_is_added_to_those_of_the_url() {
        let settings = parse("postgres://u@db.example/d?options=-c%20search_path%3Dmine&connect_timeout=60").unwrap();
        let config = settings.config();
        assert_eq!(config.get_options(), Some("-c search_path=mine"));
        assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
        assert!(settings.may_be_unencrypted());
        assert_eq!(parse("postgres://u@db.example/d").unwrap().config().get_options(), None);
    }

    #[test]
    fn system_certificates_are_named_as_in_libpq() {
        for options in ["sslrootcert=system", "sslmode=verify-full&sslrootcert=system"] {
            let settings = parse(&format!("postgres://u@db.example/d?{options}")).unwrap();
            assert_eq!(settings.roots, Roots::System, "{options}");
            assert_eq!(settings.config.get().get_ssl_mode(), SslMode::Require, "{options}");
        }
        for mode in ["disable", "prefer", "require", "verify-ca"] {
            let url = format!("postgres://u@db.example/d?sslmode={mode}&sslrootcert=system");
            assert_eq!(parse(&url).unwrap_err(), PgSettingsError::WeakSslMode, "{mode}");
        }
        assert_eq!(
            parse("postgres://u@db.example/d?sslrootcert=.%2Fsystem").unwrap().roots,
            Roots::File("./system".into())
        );
    }

    #[test]
    fn login_is_replaced_in_all_clones_and_another_database_is_refused() {
        let settings = parse("postgres://old:before@db.example/d?sslmode=require").unwrap();
        let clone = settings.clone().for_reading();
        let login = || {
            let config = clone.config();
            (
                config.get_user().map(str::to_owned),
                config.get_password().map(<[u8]>::to_vec),
            )
        };
        let replace = |url: &str| settings.replace_credentials(&Secret::new(url));
        assert_eq!(replace("postgres://new:after@db.example/d?sslmode=require"), Ok(()));
        let new = (Some("new".to_owned()), Some(b"after".to_vec()));
        assert_eq!(login(), new);
        for other in [
            "postgres://new:thief@evil.example/d?sslmode=require",
            "postgres://new:thief@db.example/other?sslmode=require",
            "postgres://new:thief@db.example:5433/d?sslmode=require",
            "postgres://new:thief@db.example/d",
            "postgres://new:thief@db.example/d?sslmode=require&sslrootcert=%2Fca.pem",
            "postgres://new:thief@db.example/d?sslmode=require&options=-c%20a%3Db",
        ] {
            assert_eq!(replace(other), Err(PgUrlChange::OtherDatabase), "{other}");
        }
        assert_eq!(
            replace("mysql://x"),
            Err(PgUrlChange::Invalid(PgSettingsError::Malformed))
        );
        assert_eq!(login(), new);
    }

    #[test]
    fn invalid_url_is_refused_without_repeating_it() {
        for (url, error) in [
            ("", PgSettingsError::Malformed),
            ("mysql://u:hunter2@h/d", PgSettingsError::Malformed),
            ("postgres://u:hunter2@h:port/d", PgSettingsError::Malformed),
            ("postgres://u:hunter2@h/d?hunter2=1", PgSettingsError::Malformed),
            ("postgres:///d", PgSettingsError::NoHost),
            (
                "postgres://u:hunter2@h/d?sslmode=allow",
                PgSettingsError::UnknownSslMode,
            ),
        ] {
            let refused = parse(url).unwrap_err();
            assert_eq!(refused, error, "{url}");
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
        assert!(!format!("{:?}", parse("postgres://u:hunter2@h/d").unwrap()).contains("hunter2"));
    }
}
