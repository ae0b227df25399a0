//! What a gateway is told at its start: plain data, each part checked when it is made.

mod origins;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use protocol::cluster::job::Lane;
use protocol::secret::Secret;

use crate::handshake::token::TokenSettings;

pub use self::origins::{InvalidOrigin, Origins};

/// Everything a gateway is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The files of the server's certificate.
    pub tls: TlsSettings,
    /// Which tokens prove a caller.
    pub tokens: TokenSettings,
    /// Which browser origins are let in.
    pub origins: Origins,
    /// How dead peers are found.
    pub heartbeat: Heartbeat,
    /// New connections per address (IPv6: per /64); none is no limit.
    pub connect_rate: Option<Rate>,
    /// New sockets per user, a CONNECT after leaving included; none is no limit.
    pub user_connect_rate: Option<Rate>,
    /// Events per socket; none is no limit.
    pub event_rate: Option<Rate>,
    /// Commands of one user that become jobs, over the whole cluster, and protective commands beside them; none is no limit.
    pub command_rate: Option<Rate>,
    /// From how many bytes on a message is sent compressed, to a client that takes it.
    pub deflate_threshold: usize,
    /// How long feed events may wait for each other; zero is not at all.
    pub batch_interval: Duration,
    /// How many sockets one user may have, in the whole cluster.
    pub max_sockets_per_user: usize,
    /// How many connections may be open at once, fewer than the process may have file descriptors. Above it new ones are dropped.
    pub max_connections: usize,
    /// How many connections may be on their way in at once, from TCP to the token. Above it new ones are dropped, and where
    /// `connect_rate` is set, an address is given a sixteenth of them.
    pub pending_connections: usize,
    /// Over how long a draining gateway spreads its closes.
    pub drain_window: Duration,
    /// The bearer token of the internal API; without it there is none.
    pub internal_token: Option<Secret>,
    /// The deadlines.
    pub timing: Timing,
}

impl Settings {
    /// The defaults of docs/operations around what has none.
    #[must_use]
    pub fn new(listen: SocketAddr, tls: TlsSettings, tokens: TokenSettings) -> Self {
        Self {
            listen,
            tls,
            tokens,
            origins: Origins::none(),
            heartbeat: Heartbeat::default(),
            connect_rate: Rate::new(100, 1_000).ok(),
            user_connect_rate: Rate::new(4, 256).ok(),
            event_rate: Rate::new(20, 40).ok(),
            command_rate: Rate::new(2, 60).ok(),
            deflate_threshold: 1024,
            batch_interval: Duration::from_secs(5),
            max_sockets_per_user: 64,
            max_connections: usize::MAX,
            pending_connections: 4_096,
            drain_window: Duration::from_secs(20),
            internal_token: None,
            timing: Timing::default(),
        }
    }
}

/// Where the server's certificate comes from. The files are read again while the gateway runs.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// How dead peers are found: a ping each interval, and the timeout to answer it. The interval runs from the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// From an answer to the next ping.
    pub interval: Duration,
    /// From a ping to its answer.
    pub timeout: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
        }
    }
}

/// How often something may happen: so many each second in the long run, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// A rate that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is `<per second>/<burst>`, both at least 1, or `off`")]
pub struct InvalidRate;

impl Rate {
    /// So many each second, so many at once.
    ///
    /// # Errors
    /// [`InvalidRate`] when one of them is 0.
    pub fn new(per_second: u32, burst: u32) -> Result<Self, InvalidRate> {
        Ok(Self {
            per_second: NonZeroU32::new(per_second).ok_or(InvalidRate)?,
            burst: NonZeroU32::new(burst).ok_or(InvalidRate)?,
        })
    }

    /// Reads `100/1000`; `off` is no limit.
    ///
    /// # Errors
    /// [`InvalidRate`] for anything else.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidRate> {
        match text {
            "off" => Ok(None),
            rate => rate.parse().map(Some),
        }
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (per_second, burst) = text.split_once('/').ok_or(InvalidRate)?;
        let number = |text: &str| text.parse().map_err(|_not_a_number| InvalidRate);
        Self::new(number(per_second)?, number(burst)?)
    }
}

/// The deadlines of a gateway. The defaults are the contract of docs/protocol.md; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For a TLS handshake.
    pub tls: Duration,
    /// For the head of an HTTP request, from the end of the TLS handshake.
    pub request_head: Duration,
    /// For a whole HTTP request, from accept; a body that is longer under way is refused.
    pub request: Duration,
    /// For a peer to take the answer to an HTTP request.
    pub answer: Duration,
    /// From the upgrade to a valid token.
    pub authentication: Duration,
    /// From a valid token until the bus hears for the user.
    pub join: Duration,
    /// How long a peer may take nothing of what waits for it.
    pub write: Duration,
    /// For the peer's part of a close.
    pub close: Duration,
    /// Between two looks at the certificate's files.
    pub certificate: Duration,
    /// Between two reports of refused commands.
    pub refusals: Duration,
    /// For which a refused token of a kind has one line in the log.
    pub token_refusals: Duration,
    /// Until a command of the interactive or the sign-in lane is answered.
    pub interactive: Duration,
    /// Until a command of the platform lane is answered.
    pub platform: Duration,
    /// Until a platform's webhook is answered.
    pub webhook: Duration,
}

impl Timing {
    /// How long a client waits for a job of this lane.
    #[must_use]
    pub fn job_timeout(&self, lane: Lane) -> Duration {
        match lane {
            Lane::SignIn | Lane::Interactive => self.interactive,
            Lane::Platform => self.platform,
            Lane::Webhook => self.webhook,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            tls: Duration::from_secs(5),
            request_head: Duration::from_secs(5),
            request: Duration::from_secs(10),
            answer: Duration::from_secs(5),
            authentication: Duration::from_secs(10),
            join: Duration::from_secs(5),
            write: Duration::from_secs(20),
            close: Duration::from_secs(2),
            certificate: Duration::from_secs(5),
            refusals: Duration::from_secs(60),
            token_refusals: Duration::from_secs(10),
            interactive: Lane::Interactive.job_timeout(),
            platform: Lane::Platform.job_timeout(),
            webhook: Lane::Webhook.job_timeout(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_documented() {
        assert_eq!(Rate::parse("100/1000"), Ok(Some(Rate::new(100, 1_000).unwrap())));
        assert_eq!(Rate::parse("off"), Ok(None));
        for bad in ["", "100", "0/10", "10/0", "1/2/3", "-1/5", "OFF"] {
            assert_eq!(Rate::parse(bad), Err(InvalidRate), "{bad:?}");
        }
    }
}
