//! Emails, by SMTP: under TLS, or to this machine.

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

use super::courier::{Message, SendError};

/// Where emails go out, and who sends them.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// The server.
    pub server: SmtpServer,
    /// What recipients read as the sender.
    pub from: FromAddress,
}

/// A mail server: `smtps://` is under TLS from the first byte, `smtp://` turns it on (STARTTLS) before anything else is said.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    security: Security,
    login: Option<(String, Secret)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Wrapped,
    StartTls,
    /// This machine may do without.
    StartTlsWhereOffered,
}

/// A URL of no mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is `smtps://user:password@host` or `smtp://...`, with a port where it is not 465 or 587")]
pub struct InvalidSmtpUrl;

impl SmtpServer {
    /// Reads it. The port is 465 with `smtps`, 587 with `smtp`, if the URL has none.
    ///
    /// # Errors
    /// [`InvalidSmtpUrl`], which repeats no part of it.
    pub fn parse(url: &Secret) -> Result<Self, InvalidSmtpUrl> {
        let url = Url::parse(url.expose()).map_err(|_no_url| InvalidSmtpUrl)?;
        let host = Host::parse(url.host_str().ok_or(InvalidSmtpUrl)?).map_err(|_no_host| InvalidSmtpUrl)?;
        let is_here = is_loopback(&match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        });
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Wrapped, 465),
            "smtp" if is_here => (Security::StartTlsWhereOffered, 587),
            "smtp" => (Security::StartTls, 587),
            _ => return Err(InvalidSmtpUrl),
        };
        let has_more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        if has_more {
            return Err(InvalidSmtpUrl);
        }
        let plain = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_not_text| InvalidSmtpUrl)
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => Some((plain(user)?, Secret::new(plain(password)?))),
            _ => return Err(InvalidSmtpUrl),
        };
        Ok(Self {
            host: match &host {
                // The name of an address is without brackets.
                Host::Ipv6(address) => address.to_string(),
                other => other.to_string(),
            },
            port: url.port().unwrap_or(port),
            security,
            login,
        })
    }
}

/// `Name <address>`, or an address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromAddress(Mailbox);

/// What nobody can send from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is `Name <address@example.com>`, or an address alone")]
pub struct InvalidFromAddress;

impl FromAddress {
    /// Reads it.
    ///
    /// # Errors
    /// [`InvalidFromAddress`].
    pub fn parse(text: &str) -> Result<Self, InvalidFromAddress> {
        text.parse().map(Self).map_err(|_not_one| InvalidFromAddress)
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("set up TLS for emails")]
pub struct EmailError(#[from] lettre::transport::smtp::Error);

/// Carries emails, each over a connection of its own.
#[derive(Clone)]
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: FromAddress,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Email {
    /// A client that trusts what the system trusts; sends nothing yet. Clock and entropy date and name the emails.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn new(settings: EmailSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, EmailError> {
        let EmailSettings { server, from } = settings;
        let tls = TlsParameters::new(server.host.clone())?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
            .port(server.port)
            .tls(match server.security {
                Security::Wrapped => Tls::Wrapper(tls),
                Security::StartTls => Tls::Required(tls),
                Security::StartTlsWhereOffered => Tls::Opportunistic(tls),
            })
            .hello_name(ClientId::Domain(from.0.email.domain().to_owned()))
            .timeout(Some(CONNECT_WITHIN));
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

    /// The caller bounds the time.
    pub(super) async fn send(&self, address: &Secret, message: &Message) -> Result<(), SendError> {
        let to: Address = address.expose().parse().map_err(|_says_it| SendError::Unaddressed)?;
        let Mailbox { email: from, .. } = &self.from.0;
        let email = lettre::Message::builder()
            .from(self.from.0.clone())
            .to(Mailbox::new(None, to))
            .subject(message.subject)
            .date(self.clock.now())
            .message_id(Some(format!("<{}@{}>", self.entropy.token(), from.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.expose().to_owned())
            .map_err(|_says_it| SendError::Unaddressed)?;
        match self.transport.send(email).await {
            Ok(_response) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(status) => SendError::Refused(status.into()),
                None => SendError::Unreached(error.into()),
            }),
        }
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Email").field(&self.from).finish()
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpServer, InvalidSmtpUrl> {
        SmtpServer::parse(&Secret::new(url))
    }

    #[test]
    fn emails_leave_this_machine_under_tls_only() {
        for (url, security, port) in [
            ("smtps://mail.example", Security::Wrapped, 465),
            ("smtps://127.0.0.1:10465", Security::Wrapped, 10_465),
            ("smtp://mail.example", Security::StartTls, 587),
            ("smtp://10.0.0.1:25", Security::StartTls, 25),
            ("smtp://127.0.0.1:1025", Security::StartTlsWhereOffered, 1_025),
            ("smtp://[::1]", Security::StartTlsWhereOffered, 587),
            ("smtp://localhost", Security::StartTlsWhereOffered, 587),
        ] {
            let server = parse(url).unwrap();
            assert_eq!((server.security, server.port), (security, port), "{url}");
        }
    }

    #[test]
    fn user_and_password_are_as_they_were_before_they_were_written_into_a_url() {
        let server = parse("smtps://postern%40example.com:p%3Aw%2Fd@mail.example").unwrap();
        let (user, password) = server.login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("postern@example.com", "p:w/d"));
    }

    #[test]
    fn what_is_no_mail_server_is_refused() {
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
