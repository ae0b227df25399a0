//! A WebSocket that has proven nothing: it may only be refused.

use lifecycle::Entropy;
use protocol::answer::Failure;
use protocol::cluster::origin::Origin;
use protocol::code::{ErrorCode, TokenFault};
use protocol::event::{ErrorNotice, Notice, name};
use protocol::secret::Secret;
use protocol::wire::auth::{Auth, Resume};
use protocol::wire::socketio::{self, Open, RefusalData};
use protocol::wire::{Request, RequestId};

use super::Connections;
use super::authenticated::{Authenticated, Manner};
use super::codec::Said;
use super::draining::Draining;
use super::ending::Ending;
use super::task::Link;
use super::transport::MAX_MESSAGE;
use crate::form::Form;
use crate::handshake::authenticator::TokenPurpose;
use crate::handshake::upgrade::Protocol;
use crate::listener::pending::PendingPermit;

/// A WebSocket before its token.
pub(super) struct Accepted {
    link: Box<Link>,
    /// The token that came with the upgrade.
    bearer: Option<Secret>,
    /// Where it comes from.
    origin: Origin,
    /// Its place among those on their way in.
    permit: PendingPermit,
}

/// A token, and how its client wants to be spoken to.
struct Claim {
    token: Option<Secret>,
    offsets: bool,
    batching: bool,
    resume: Option<Resume>,
    device: Device,
    /// How the client will know the answer to `auth`.
    request: Option<RequestId>,
}

impl Claim {
    fn token(&self) -> &str {
        self.token.as_ref().map_or("", Secret::expose)
    }
}

/// What a device says of itself.
#[derive(Default)]
struct Device {
    id: Option<String>,
    name: Option<String>,
}

impl Device {
    fn of(auth: &Auth) -> Self {
        Self {
            id: auth.device_id.as_deref().map(short),
            name: auth.device_name.as_deref().map(short),
        }
    }
}

impl Accepted {
    /// A WebSocket that has just been opened. Socket.IO's server speaks first.
    pub(super) fn open(
        link: Box<Link>,
        protocol: Protocol,
        origin: Origin,
        permit: PendingPermit,
        entropy: &dyn Entropy,
    ) -> Self {
        let bearer = match protocol {
            Protocol::Native { bearer, .. } => bearer,
            Protocol::SocketIo => {
                let heartbeat = link.heartbeat();
                link.send(socketio::open(&Open {
                    sid: &entropy.token(),
                    ping_interval: heartbeat.interval,
                    ping_timeout: heartbeat.timeout,
                    max_payload: MAX_MESSAGE,
                }));
                None
            }
        };
        Self {
            link,
            bearer,
            origin,
            permit,
        }
    }

    /// A Socket.IO client that left, and may connect again on the same WebSocket.
    pub(super) fn left(link: Box<Link>, origin: Origin, permit: PendingPermit) -> Self {
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
    /// The socket, to be ended: the token was refused or did not come in time, or something else came.
    pub(super) async fn authenticate(mut self, on: &Connections) -> Result<Authenticated, Draining> {
        let proven = match self.claim().await {
            Ok(claim) => {
                let proven = on
                    .authenticator
                    .authenticate(claim.token(), TokenPurpose::Connect)
                    .await;
                let is_batching = claim.batching && !on.batch_interval.is_zero();
                self.link.batch(is_batching.then_some(on.batch_interval));
                match proven {
                    Ok(identity) => Ok((identity, claim)),
                    Err(failure) => Err(self.refuse(claim.request.as_ref(), failure)),
                }
            }
            Err(ending) => Err(ending),
        };
        match proven {
            Ok((identity, claim)) => {
                let form = Form::new(self.link.dialect(), claim.offsets);
                let Claim {
                    device,
                    request,
                    resume,
                    ..
                } = claim;
                drop(self.permit);
                let origin = Origin {
                    device_id: device.id,
                    device_name: device.name,
                    ..self.origin
                };
                let manner = Manner { form, request, resume };
                Ok(Authenticated::new(self.link, identity, manner, origin, &*on.entropy))
            }
            Err(ending) => Err(Draining::unproven(self.link, ending)),
        }
    }

    /// The first claim that the client makes.
    async fn claim(&mut self) -> Result<Claim, Ending> {
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
        let is_native = Form::new(self.link.dialect(), true).native().is_some();
        loop {
            match self.link.next().await?.said {
                Said::Connect { namespace, auth } if namespace == ROOT => {
                    let auth = Auth::of_socketio(&auth);
                    return Ok(Claim {
                        device: Device::of(&auth),
                        token: auth.token,
                        offsets: auth.recovery,
                        batching: auth.batching,
                        resume: auth.resume.filter(|_| auth.recovery),
                        request: None,
                    });
                }
                Said::Connect { namespace, .. } => self.link.refuse_namespace(&namespace),
                Said::Request(request) if is_native && request.event == name::AUTH => {
                    if let Some(claim) = self.native_claim(request) {
                        return Ok(claim);
                    }
                }
                Said::Request(Request { id, .. }) | Said::NoEvent(id) if is_native => {
                    return Err(self.refuse(id.as_ref(), Failure::of_token(TokenFault::Malformed)));
                }
                // The reference closes: nothing may come before CONNECT.
                Said::Request(_) | Said::NoEvent(_) | Said::Leave { .. } => return Err(Ending::BadFrame),
                Said::Pong | Said::Nothing => {}
            }
        }
    }

    /// A payload that cannot be read costs an answer: until its deadline the client may send another.
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
                refuse(&self.link, request.id.as_ref(), failure);
                None
            }
        }
    }

    fn refuse(&self, request: Option<&RequestId>, failure: Failure) -> Ending {
        refuse(&self.link, request, failure);
        Ending::Unauthenticated
    }
}

/// Tells a client that it is not let in. Of a token it learns the kind of fault, which helps its owner; what the claims of a token
/// are compared with is told to nobody, nor anything about them before the signature holds.
pub(super) fn refuse(link: &Link, request: Option<&RequestId>, failure: Failure) {
    let form = Form::new(link.dialect(), true);
    let Failure {
        error, reason, message, ..
    } = failure;
    if form.native().is_some() {
        let notice = Notice::Error(ErrorNotice {
            event: Some(name::AUTH.to_owned()),
            error,
            reason,
            message,
        });
        for message in form.answer(notice.name(), &notice.data(), request) {
            link.send(message);
        }
    } else {
        let data = RefusalData { code: error, reason };
        link.send(socketio::connect_error(link.dialect(), ROOT, &message, Some(data)));
    }
}

/// As much of what a client says of itself as is worth keeping. Postgres takes no NUL, and a log no line break.
fn short(text: &str) -> String {
    let letters = text.chars().filter(|letter| !letter.is_control());
    letters.take(MOST_LETTERS).collect()
}

const MOST_LETTERS: usize = 256;

/// The one namespace.
pub(super) const ROOT: &str = "/";
