//! Email sender: SMTP over TLS, or without TLS to this machine.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use lifecycle::{Clock, Entropy};
use percent_encoding::percent_decode_str;
use platforms::is_loopback;
use protocol::secret::Secret;
use url::{Host, Url};

use super::message::{Message, SendError};

/// Mail server and From address.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// Mail server.
    pub server: SmtpServer,
    /// Address in `From` of every email.
    pub from: FromAddress,
}

/// Mail server. `smtps://` uses TLS from the first byte; `smtp://` upgrades (STARTTLS) before any other command.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    tls: SmtpTls,
    login: Option<(String, Secret)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SmtpTls {
    Implicit,
    StartTls,
    /// STARTTLS where the server offers it, otherwise plain text: only for this machine.
    OpportunisticStartTls,
}

/// URL that does not name a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is `smtps://user:password@host` or `smtp://...`, with a port where it is not 465 or 587")]
pub struct InvalidSmtpUrl;

impl SmtpServer {
    /// Parses a URL. The default port is 465 for `smtps` and 587 for `smtp`.
    ///
    /// # Errors
    /// [`InvalidSmtpUrl`], which contains no part of the URL.
    pub fn parse(url: &Secret) -> Result<Self, InvalidSmtpUrl> {
        let url = Url::parse(url.expose()).map_err(|_no_url| InvalidSmtpUrl)?;
        let host = Host::parse(url.host_str().ok_or(InvalidSmtpUrl)?).map_err(|_no_host| InvalidSmtpUrl)?;
        let is_local = is_loopback(&match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        });
        let (tls, port) = match url.scheme() {
            "smtps" => (SmtpTls::Implicit, 465),
            "smtp" if is_local => (SmtpTls::OpportunisticStartTls, 587),
            "smtp" => (SmtpTls::StartTls, 587),
            _ => return Err(InvalidSmtpUrl),
        };
        let has_more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        if has_more {
            return Err(InvalidSmtpUrl);
        }
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_not_text| InvalidSmtpUrl)
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => Some((decode(user)?, Secret::new(decode(password)?))),
            _ => return Err(InvalidSmtpUrl),
        };
        Ok(Self {
            host: match &host {
                // TLS and DNS take an IPv6 address without the brackets of the URL.
                Host::Ipv6(address) => address.to_string(),
                other => other.to_string(),
            },
            port: url.port().unwrap_or(port),
            tls,
            login,
        })
    }
}

/// Address in `From`: `Name <address>`, or an address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromAddress(Mailbox);

/// Malformed From address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is `Name <address@example.com>`, or an address alone")]
pub struct InvalidFromAddress;

impl FromAddress {
    /// Parses a From address.
    ///
    /// # Errors
    /// [`InvalidFromAddress`].
    pub fn parse(text: &str) -> Result<Self, InvalidFromAddress> {
        text.parse().map(Self).map_err(|_not_one| InvalidFromAddress)
    }
}

/// Failure to set up the email sender.
#[derive(Debug, thiserror::Error)]
#[error("set up TLS for emails")]
pub struct EmailError(#[source] Box<dyn Error + Send + Sync>);

/// Email sender that opens a connection for each email.
#[derive(Clone)]
pub struct EmailSender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: FromAddress,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl EmailSender {
    /// Creates a sender that trusts the system's certificates; connects only to send. Clock and entropy provide `Date` and `Message-ID`.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn new(settings: EmailSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, EmailError> {
        let EmailSettings { server, from } = settings;
        let parameters = TlsParameters::new(server.host.clone()).map_err(|error| EmailError(whole_chain(&error)))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
            .port(server.port)
            .tls(match server.tls {
                SmtpTls::Implicit => Tls::Wrapper(parameters),
                SmtpTls::StartTls => Tls::Required(parameters),
                SmtpTls::OpportunisticStartTls => Tls::Opportunistic(parameters),
            })
            .hello_name(ClientId::Domain(from.0.email.domain().to_owned()))
            .timeout(Some(CONNECT_TIMEOUT));
        if let Some((user, password)) = server.login {
            transport = transport.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self {
            transport: transport.build(),
            from,
            clock,
            entropy,
        })
    }

    /// Sends an email. The caller applies the timeout.
    pub(super) async fn send(&self, address: &Secret, message: &Message) -> Result<(), SendError> {
        let to: Address = address
            .expose()
            .parse()
            .map_err(|_contains_address| SendError::Unaddressed)?;
        let Mailbox { email: from, .. } = &self.from.0;
        let email = lettre::Message::builder()
            .from(self.from.0.clone())
            .to(Mailbox::new(None, to))
            .subject(message.subject)
            .date(self.clock.now())
            .message_id(Some(format!("<{}@{}>", self.entropy.token(), from.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.expose().to_owned())
            .map_err(|_contains_address| SendError::Unaddressed)?;
        match self.transport.send(email).await {
            Ok(_response) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(status) if concerns_client(status.into()) => SendError::Rejected(status.into()),
                Some(status) => SendError::Refused(status.into()),
                None => SendError::Unreached(whole_chain(&error)),
            }),
        }
    }
}

impl fmt::Debug for EmailSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmailSender").field(&self.from).finish()
    }
}

/// Reports whether a status of SMTP (RFC 5321, RFC 4954) is about this client or the state of the server, and not about one message:
/// the server closes the connection, is out of order or of storage, or does not accept the login.
fn concerns_client(status: u16) -> bool {
    matches!(status, 421 | 451 | 452 | 454 | 530 | 534 | 535 | 538)
}

/// Error of lettre as one part of a chain: its text already contains the text of its source.
fn whole_chain(error: &lettre::transport::smtp::Error) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpServer, InvalidSmtpUrl> {
        SmtpServer::parse(&Secret::new(url))
    }

    #[test]
    fn plain_text_smtp_is_allowed_to_this_machine_only() {
        for (url, tls, port) in [
            ("smtps://mail.example", SmtpTls::Implicit, 465),
            ("smtps://127.0.0.1:10465", SmtpTls::Implicit, 10_465),
            ("smtp://mail.example", SmtpTls::StartTls, 587),
            ("smtp://10.0.0.1:25", SmtpTls::StartTls, 25),
            ("smtp://127.0.0.1:1025", SmtpTls::OpportunisticStartTls, 1_025),
            ("smtp://[::1]", SmtpTls::OpportunisticStartTls, 587),
            ("smtp://localhost", SmtpTls::OpportunisticStartTls, 587),
        ] {
            let server = parse(url).unwrap();
            assert_eq!((server.tls, server.port), (tls, port), "{url}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let server = parse("smtps://postern%40example.com:p%3Aw%2Fd@mail.example").unwrap();
        let (user, password) = server.login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("postern@example.com", "p:w/d"));
    }

    #[test]
    fn url_that_names_no_mail_server_is_refused() {
        for bad in [
            "http://mail.example",
            "mail.example:25",
            "smtp://",
            "smtp://user@mail.example",
            "smtp://mail.example/path",
            "smtp://mail.example?tls=none",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
