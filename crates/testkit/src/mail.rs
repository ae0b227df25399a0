//! Mail server that keeps its mails: SMTP without TLS, with STARTTLS, or with TLS from the first byte.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::fail::OrFail as _;
use crate::listening::Listening;
use crate::tls::Authority;
use crate::wait;

/// SMTP server on a free port of 127.0.0.1. It ends with this value.
#[derive(Debug)]
pub struct MailServer {
    listening: Listening,
    shared: Arc<MailState>,
}

/// Use of TLS.
#[derive(Debug, Clone, Copy)]
pub enum MailSecurity<'a> {
    /// No TLS.
    Plain,
    /// TLS after `STARTTLS`, with a certificate of this authority; mail without TLS is refused.
    StartTls(&'a Authority),
    /// TLS from the first byte.
    Wrapped(&'a Authority),
}

/// Received mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Recipient of the envelope.
    pub to: String,
    /// Head and body, lines ending with `\n`.
    pub text: String,
    /// True if it was received over TLS.
    pub encrypted: bool,
    /// Login, as `user:password`.
    pub login: Option<String>,
}

struct MailState {
    mails: Mutex<Vec<Mail>>,
    refuse_recipients: AtomicBool,
    is_silent: AtomicBool,
    tls: Option<TlsAcceptor>,
    is_wrapped: bool,
}

impl std::fmt::Debug for MailState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("mails", &self.mails)
            .finish_non_exhaustive()
    }
}

impl MailServer {
    /// Starts a server.
    pub async fn start(security: MailSecurity<'_>) -> Self {
        let tls = match security {
            MailSecurity::Plain => None,
            MailSecurity::StartTls(authority) | MailSecurity::Wrapped(authority) => Some(acceptor(authority)),
        };
        let shared = Arc::new(MailState {
            mails: Mutex::default(),
            refuse_recipients: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            tls,
            is_wrapped: matches!(security, MailSecurity::Wrapped(_)),
        });
        let served = Arc::clone(&shared);
        let listening = Listening::start("listen for a mail server", move |stream| {
            serve(stream, Arc::clone(&served))
        })
        .await;
        Self { listening, shared }
    }

    /// `smtp://` or `smtps://`, with this login (`user:password`) if it is not empty.
    pub fn url(&self, login: &str) -> String {
        let scheme = if self.shared.is_wrapped { "smtps" } else { "smtp" };
        let at = if login.is_empty() { "" } else { "@" };
        format!("{scheme}://{login}{at}{}", self.listening.addr)
    }

    /// Refuses recipients from now on, or stops doing so; the refusal repeats the address.
    pub fn refuse_recipients(&self, refuse_recipients: bool) {
        self.shared.refuse_recipients.store(refuse_recipients, Ordering::SeqCst);
    }

    /// Accepts connections from now on and sends nothing.
    pub fn stop_responding(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// Mails for this address, oldest first.
    pub fn mails(&self, to: &str) -> Vec<Mail> {
        let mails = self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.iter().filter(|mail| mail.to == to).cloned().collect()
    }

    /// Waits until this address has received this number of mails, and returns the last.
    pub async fn nth(&self, to: &str, count: usize) -> Mail {
        wait::until("a mail", wait::deadline(), async || {
            count.checked_sub(1).and_then(|last| self.mails(to).get(last).cloned())
        })
        .await
    }
}

pub(crate) fn acceptor(authority: &Authority) -> TlsAcceptor {
    let identity = authority.issue();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .or_fail("set up the TLS of a mail server")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.or_fail("read a certificate")],
            key.or_fail("read a key"),
        )
        .or_fail("set up the TLS of a mail server");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(stream: TcpStream, shared: Arc<MailState>) -> std::io::Result<()> {
    if shared.is_silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    match &shared.tls {
        Some(tls) if shared.is_wrapped => {
            let stream = tls.accept(stream).await?;
            Dialogue::new(stream, &shared, true).run(true).await.map(drop)
        }
        Some(tls) => {
            if let Some(stream) = Dialogue::new(stream, &shared, false).run(true).await? {
                let stream = tls.accept(stream).await?;
                Dialogue::new(stream, &shared, true).run(false).await?;
            }
            Ok(())
        }
        None => Dialogue::new(stream, &shared, false).run(true).await.map(drop),
    }
}

/// Session of a connection, until it ends or TLS begins.
struct Dialogue<'a, S> {
    stream: BufReader<S>,
    shared: &'a MailState,
    encrypted: bool,
    login: Option<String>,
    to: String,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Dialogue<'a, S> {
    fn new(stream: S, shared: &'a MailState, encrypted: bool) -> Self {
        Self {
            stream: BufReader::new(stream),
            shared,
            encrypted,
            login: None,
            to: String::new(),
        }
    }

    /// Serves the session; returns the stream when TLS is to begin on it.
    async fn run(mut self, greets: bool) -> std::io::Result<Option<S>> {
        if greets {
            self.say("220 testkit").await?;
        }
        let must_start_tls = self.shared.tls.is_some() && !self.encrypted;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" if must_start_tls => self.say("250-testkit\r\n250 STARTTLS").await?,
                "EHLO" => self.say("250-testkit\r\n250 AUTH PLAIN").await?,
                "STARTTLS" if must_start_tls => {
                    self.say("220 go ahead").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(None);
                }
                _ if must_start_tls => self.say("530 TLS first").await?,
                "AUTH" => {
                    self.login = login(rest);
                    self.say("235 welcome").await?;
                }
                "RCPT" if self.shared.refuse_recipients.load(Ordering::SeqCst) => {
                    self.say(&format!("550 nobody of {rest} here")).await?;
                }
                "RCPT" => {
                    let address = rest.trim_start_matches("TO:<").split('>').next();
                    self.to = address.unwrap_or_default().to_owned();
                    self.say("250 ok").await?;
                }
                "DATA" => {
                    self.say("354 go ahead").await?;
                    self.take_mail().await?;
                    self.say("250 taken").await?;
                }
                _ => self.say("250 ok").await?,
            }
        }
    }

    async fn take_mail(&mut self) -> std::io::Result<()> {
        let mut text = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            text.push_str(&line);
            text.push('\n');
        }
        let mail = Mail {
            to: self.to.clone(),
            text,
            encrypted: self.encrypted,
            login: self.login.clone(),
        };
        let mut mails = self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.push(mail);
        Ok(())
    }

    /// Reads a line without its end.
    async fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

/// `PLAIN <base64 of \0user\0password>` (RFC 4616).
fn login(rest: &str) -> Option<String> {
    let bytes = STANDARD.decode(rest.strip_prefix("PLAIN ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\0')?.replace('\0', ":"))
}
