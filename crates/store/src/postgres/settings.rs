//! Where the database is and how it is reached, read from one URL.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use protocol::secret::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The database, and how many connections to it are kept at most.
#[derive(Debug, Clone)]
pub struct PgSettings {
    config: Config,
    pub(super) roots: Roots,
    pub(super) pool_size: usize,
}

/// Whom to believe when a server shows its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Nobody: TLS is not used.
    None,
    /// Those that the operating system believes.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// What is wrong with a database URL. No part of the URL is repeated: it holds a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PgSettingsError {
    /// Not a URL of Postgres, or an option that nobody knows.
    #[error("write postgres://user:password@host:5432/database, and percent-encode the password")]
    Malformed,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// An `sslmode` that nobody knows.
    #[error("sslmode is disable, prefer, require, verify-ca or verify-full")]
    UnknownSslMode,
    /// No connections.
    #[error("at least one connection is needed")]
    NoConnections,
}

impl PgSettings {
    /// Reads a URL as libpq does (PostgreSQL documentation, 34.1.1.2), with these differences: when TLS is used, the server's
    /// certificate is always checked, chain and name, so `require`, `verify-ca` and `verify-full` are one; and `sslrootcert`
    /// is a PEM file to believe instead of the system's certificates. Without `sslmode`, TLS is used if the server offers it
    /// (`prefer`), which someone on the path can prevent.
    ///
    /// # Errors
    /// [`PgSettingsError`].
    pub fn parse(url: &Secret, pool_size: usize) -> Result<Self, PgSettingsError> {
        if pool_size == 0 {
            return Err(PgSettingsError::NoConnections);
        }
        let Known { rest, roots, ssl_mode } = Known::take_from(url.expose())?;
        let mut config: Config = rest.parse().map_err(|_may_quote_it| PgSettingsError::Malformed)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PgSettingsError::NoHost);
        }
        config.ssl_mode(ssl_mode);
        let roots = match ssl_mode {
            SslMode::Disable => Roots::None,
            _ => roots.map_or(Roots::System, Roots::File),
        };
        Ok(Self {
            config,
            roots,
            pool_size,
        })
    }

    /// For the store's own connections.
    pub(super) fn for_service(&self) -> Config {
        self.bounded(SERVICE_LIMITS)
    }

    /// For a migration, which may rewrite a table or wait for another one.
    pub(super) fn for_migration(&self) -> Config {
        self.bounded(MIGRATION_LIMITS)
    }

    /// Whether what is read and written may pass in the clear over a network.
    pub(super) fn may_be_unencrypted(&self) -> bool {
        let local = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        };
        let hosts_are_local =
            self.config.get_hostaddrs().iter().all(IpAddr::is_loopback) && self.config.get_hosts().iter().all(local);
        self.config.get_ssl_mode() != SslMode::Require && !hosts_are_local
    }

    /// Adds what keeps a connection from hanging; the URL's own `options` come later and win.
    fn bounded(&self, limits: &str) -> Config {
        let mut config = self.config.clone();
        let options = self.config.get_options().unwrap_or_default();
        config.options(format!("{limits} {options}"));
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

/// What tokio-postgres does not understand, or not as we do, and the URL without it.
struct Known {
    rest: String,
    roots: Option<PathBuf>,
    ssl_mode: SslMode,
}

impl Known {
    fn take_from(url: &str) -> Result<Self, PgSettingsError> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(PgSettingsError::Malformed);
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut known = Self {
            rest: String::new(),
            roots: None,
            ssl_mode: SslMode::Prefer,
        };
        let mut others = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslrootcert", path)) => {
                    let path = percent_decode_str(path).decode_utf8();
                    let path = path.map_err(|_not_text| PgSettingsError::Malformed)?;
                    known.roots = Some(PathBuf::from(path.into_owned()));
                }
                Some(("sslmode", mode)) => known.ssl_mode = ssl_mode(mode)?,
                _ => others.push(option),
            }
        }
        known.rest = format!("{place}?{}", others.join("&"));
        Ok(known)
    }
}

fn ssl_mode(word: &str) -> Result<SslMode, PgSettingsError> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(PgSettingsError::UnknownSslMode),
    }
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Long enough for a busy database, short enough for a client that waits 10 s.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// In milliseconds. The last one frees the locks of a worker that was stopped in the middle of a transaction.
const SERVICE_LIMITS: &str =
    "-c statement_timeout=2000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000";

/// In milliseconds: how long one migration waits for another one, or for a table in use.
const MIGRATION_LIMITS: &str = "-c lock_timeout=60000";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PgSettings, PgSettingsError> {
        PgSettings::parse(&Secret::new(url), 4)
    }

    #[test]
    fn the_root_certificate_and_the_verifying_modes_are_ours_to_read() {
        let settings =
            parse("postgres://u:p@db.example:6543/d?sslrootcert=%2Fetc%2Fca+1.pem&sslmode=verify-full").unwrap();
        assert_eq!(settings.roots, Roots::File("/etc/ca+1.pem".into()));
        assert_eq!(settings.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(settings.config.get_ports(), [6543]);
        assert!(!settings.may_be_unencrypted());
    }

    #[test]
    fn the_options_of_the_url_come_after_our_limits() {
        let settings = parse("postgres://u@db.example/d?options=-c%20search_path%3Dmine&connect_timeout=60").unwrap();
        let config = settings.for_service();
        assert_eq!(
            config.get_options(),
            Some(format!("{SERVICE_LIMITS} -c search_path=mine").as_str())
        );
        assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
        assert!(settings.may_be_unencrypted());
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
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
