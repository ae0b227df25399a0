//! Authentication phase: a WebSocket without a verified token, on which nothing but a claim or a refusal is possible.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use protocol::answer::Failure;
use protocol::cluster::origin::Origin;
use protocol::code::{ErrorCode, TokenFault};
use protocol::event::name;
use protocol::secret::Secret;
use protocol::wire::auth::{Auth, Resume};
use protocol::wire::socketio::{self, Open};
use protocol::wire::{Request, RequestId};

use super::authenticated::{Authenticated, ClientOptions};
use super::codec::{ClientMessage, ROOT};
use super::draining::Draining;
use super::link::Link;
use super::transport::MAX_MESSAGE;
use crate::handshake::authenticator::{Authenticator, TokenPurpose};
use crate::handshake::token::Identity;
use crate::handshake::upgrade::Protocol;
use crate::listener::pending::PendingPermit;
use crate::socket::{ClientEncoding, CloseReason};

/// Services of the authentication phase.
pub(crate) struct Authentication {
    /// Verifies tokens.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Batching interval of feed events, for clients that accept batches; zero is no batching.
    pub(crate) batch_interval: Duration,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// WebSocket without a verified token.
pub(super) struct Accepted {
    link: Box<Link>,
    /// Token of the upgrade request.
    bearer: Option<Secret>,
    origin: Origin,
    /// Permit of a pending connection.
    permit: PendingPermit,
}

/// Token and options that a client sends to authenticate.
struct Claim {
    token: Option<Secret>,
    offsets: bool,
    batching: bool,
    resume: Option<Resume>,
    device: Device,
    /// Id of the `auth` request, which its answer repeats.
    request: Option<RequestId>,
}

impl Claim {
    fn token(&self) -> &str {
        self.token.as_ref().map_or("", Secret::expose)
    }
}

/// Device id and name that a client states.
#[derive(Default)]
struct Device {
    id: Option<String>,
    name: Option<String>,
}

impl Device {
    fn of(auth: &Auth) -> Self {
        Self {
            id: auth.device_id.as_deref().map(printable),
            name: auth.device_name.as_deref().map(printable),
        }
    }
}

impl Authentication {
    /// Takes a WebSocket that has just been opened. With Engine.IO the server sends the first packet.
    pub(super) fn open(&self, link: Box<Link>, protocol: Protocol, origin: Origin, permit: PendingPermit) -> Accepted {
        let bearer = match protocol {
            Protocol::Native { bearer, .. } => bearer,
            Protocol::SocketIo => {
                let heartbeat = link.heartbeat();
                link.send(socketio::open(&Open {
                    sid: &self.entropy.token(),
                    ping_interval: heartbeat.interval,
                    ping_timeout: heartbeat.timeout,
                    max_payload: MAX_MESSAGE,
                }));
                None
            }
        };
        Accepted {
            link,
            bearer,
            origin,
            permit,
        }
    }
}

impl Accepted {
    /// Takes the WebSocket of a Socket.IO client that has disconnected and may connect again on it.
    pub(super) fn reconnecting(link: Box<Link>, origin: Origin, permit: PendingPermit) -> Self {
        Self {
            link,
            bearer: None,
            origin,
            permit,
        }
    }

    /// Waits for a token and verifies it.
    ///
    /// # Errors
    /// The socket, to be closed: the token was refused or did not arrive in time, or another message arrived.
    pub(super) async fn authenticate(mut self: Box<Self>, on: &Authentication) -> Result<Authenticated, Draining> {
        match self.verified_claim(on).await {
            Ok((identity, claim)) => {
                drop(self.permit);
                let options = ClientOptions {
                    encoding: ClientEncoding::new(self.link.dialect(), claim.offsets),
                    request: claim.request,
                    resume: claim.resume,
                };
                let origin = Origin {
                    device_id: claim.device.id,
                    device_name: claim.device.name,
                    ..self.origin
                };
                Ok(Authenticated::new(self.link, identity, options, origin, &*on.entropy))
            }
            Err(reason) => Err(Draining::unauthenticated(self.link, reason)),
        }
    }

    async fn verified_claim(&mut self, on: &Authentication) -> Result<(Identity, Claim), CloseReason> {
        let claim = self.claim().await?;
        let verified = on
            .authenticator
            .authenticate(claim.token(), TokenPurpose::Connect)
            .await;
        let is_batching = claim.batching && !on.batch_interval.is_zero();
        self.link.batch(is_batching.then_some(on.batch_interval));
        match verified {
            Ok(identity) => Ok((identity, claim)),
            Err(failure) => Err(self.refuse(claim.request.as_ref(), failure)),
        }
    }

    /// Waits for the first claim of the client.
    async fn claim(&mut self) -> Result<Claim, CloseReason> {
        if let Some(token) = self.bearer.take() {
            return Ok(Claim {
                token: Some(token),
                offsets: true,
                batching: true,
                resume: None,
                device: Device::default(),
                request: None,
            });
        }
        let is_native = ClientEncoding::new(self.link.dialect(), true).native().is_some();
        loop {
            match self.link.next().await?.message {
                ClientMessage::Connect { namespace, auth } if namespace == ROOT => {
                    return Ok(socketio_claim(Auth::of_socketio(&auth)));
                }
                ClientMessage::Connect { namespace, .. } => self.link.refuse_namespace(&namespace),
                ClientMessage::Request(request) if is_native && request.event == name::AUTH => {
                    if let Some(claim) = self.native_claim(request) {
                        return Ok(claim);
                    }
                }
                ClientMessage::Request(Request { id, .. }) | ClientMessage::NoEvent(id) if is_native => {
                    return Err(self.refuse(id.as_ref(), Failure::of_token(TokenFault::Malformed)));
                }
                // The reference implementation closes: nothing may precede CONNECT.
                ClientMessage::Request(_) | ClientMessage::NoEvent(_) | ClientMessage::Disconnect { .. } => {
                    return Err(CloseReason::BadFrame);
                }
                ClientMessage::Pong | ClientMessage::Incomplete => {}
            }
        }
    }

    /// Reads the claim of a plain WebSocket. An unreadable payload is answered; the client may send another before its deadline.
    fn native_claim(&self, request: Request) -> Option<Claim> {
        match Auth::of_native(&request.data) {
            Ok(auth) => Some(Claim {
                device: Device::of(&auth),
                token: auth.token,
                offsets: true,
                batching: auth.batching,
                resume: auth.resume,
                request: request.id,
            }),
            Err(invalid) => {
                let failure = Failure::with_message(ErrorCode::BadRequest, invalid.to_string());
                self.link.refuse_auth(request.id.as_ref(), failure);
                None
            }
        }
    }

    fn refuse(&self, request: Option<&RequestId>, failure: Failure) -> CloseReason {
        self.link.refuse_auth(request, failure);
        CloseReason::Unauthenticated
    }
}

fn socketio_claim(auth: Auth) -> Claim {
    Claim {
        device: Device::of(&auth),
        token: auth.token,
        offsets: auth.recovery,
        batching: auth.batching,
        resume: auth.resume.filter(|_| auth.recovery),
        request: None,
    }
}

/// The first printable characters of a text: Postgres accepts no NUL, and a log line no line break.
fn printable(text: &str) -> String {
    let printable = text.chars().filter(|char| !char.is_control());
    printable.take(MAX_CHARS).collect()
}

const MAX_CHARS: usize = 256;
