//! Labels of the metrics that no other module has.

use protocol::wire::Dialect;

use crate::label::labels;

/// Reason for refusing a connection, besides its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// Failed accept.
    Accept,
    /// Connect rate of the address exceeded.
    ConnectRate,
    /// Too many connections before authentication.
    PendingConnections,
    /// Too many connections before authentication from one address.
    PendingPerAddress,
    /// No file descriptor left.
    OpenConnections,
    /// PROXY header while the protocol is off.
    ProxyOff,
    /// PROXY header of a peer that is not trusted.
    ProxyUntrustedHeader,
    /// Peer that is not trusted, where every connection comes from a proxy.
    ProxyUntrustedPeer,
    /// No PROXY header, where it is required.
    ProxyMissing,
    /// PROXY header that cannot be read.
    ProxyMalformed,
    /// Incomplete PROXY header at its deadline.
    ProxyTimeout,
    /// Failed TLS handshake.
    Tls,
    /// HTTP violation or disconnect.
    Http,
    /// Incomplete request at its deadline.
    SlowRequest,
    /// Response not read by its deadline.
    SlowReader,
    /// Token in the URL.
    TokenInQuery,
    /// Origin that is not allowed.
    Origin,
    /// Engine.IO transport other than WebSocket.
    Transport,
    /// Other violation of Engine.IO.
    EngineIo,
    /// No supported subprotocol offered.
    Subprotocol,
    /// Violation of RFC 6455.
    Handshake,
    /// Bus unavailable, or node draining.
    Unavailable,
    /// Maximum number of sockets reached.
    MaxSockets,
}

labels!(RefusalReason {
    Accept => "accept",
    ConnectRate => "connect_rate",
    PendingConnections => "pending_connections",
    PendingPerAddress => "pending_per_address",
    OpenConnections => "open_connections",
    ProxyOff => "proxy_off",
    ProxyUntrustedHeader => "proxy_untrusted_header",
    ProxyUntrustedPeer => "proxy_untrusted_peer",
    ProxyMissing => "proxy_missing",
    ProxyMalformed => "proxy_malformed",
    ProxyTimeout => "proxy_timeout",
    Tls => "tls",
    Http => "http",
    SlowRequest => "slow_request",
    SlowReader => "slow_reader",
    TokenInQuery => "token_in_query",
    Origin => "origin",
    Transport => "transport",
    EngineIo => "engineio",
    Subprotocol => "subprotocol",
    Handshake => "handshake",
    Unavailable => "unavailable",
    MaxSockets => "max_sockets",
});

/// Purpose of a token that a client presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenPurpose {
    /// Connect of a new socket.
    Connect,
    /// Refresh by `auth:refresh`.
    Refresh,
}

labels!(TokenPurpose {
    Connect => "connect",
    Refresh => "refresh",
});

/// Reason for refusing a request or a connection of the internal API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InternalRefusal {
    /// Request without a token.
    TokenMissing,
    /// Token of no caller.
    TokenUnknown,
    /// Request of an address with too many refused tokens.
    TokenGuesses,
    /// Token without the scope of the route.
    Scope,
    /// Requests per second of the caller exceeded.
    CallerRate,
    /// Too many requests of the caller at the same time.
    CallerInFlight,
    /// Failed TLS handshake.
    Tls,
}

labels!(InternalRefusal {
    TokenMissing => "token_missing",
    TokenUnknown => "token_unknown",
    TokenGuesses => "token_guesses",
    Scope => "scope",
    CallerRate => "caller_rate",
    CallerInFlight => "caller_in_flight",
    Tls => "tls",
});

/// Outcome of a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeOutcome {
    /// Encrypted stream.
    Ok,
    /// Refused, or ended by the client.
    Failed,
    /// Incomplete at its deadline.
    Timeout,
}

labels!(HandshakeOutcome {
    Ok => "ok",
    Failed => "failed",
    Timeout => "timeout",
});

/// Outcome of an attempt to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeOutcome {
    /// Client that missed no event.
    Recovered,
    /// Missed events that the event log no longer has.
    Lost,
    /// Resume token unknown, or expired.
    Unknown,
    /// Offset that is not one of ours.
    ForeignOffset,
    /// Bus unavailable.
    Unavailable,
}

labels!(ResumeOutcome {
    Recovered => "recovered",
    Lost => "lost",
    Unknown => "unknown",
    ForeignOffset => "foreign_offset",
    Unavailable => "unavailable",
});

/// Stage of a command between its arrival and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandStage {
    /// Checks of the session and of the limits.
    Admit,
    /// Enqueuing of the job.
    Enqueue,
    /// Wait for a worker's answer.
    Wait,
}

labels!(CommandStage {
    Admit => "admit",
    Enqueue => "enqueue",
    Wait => "wait",
});

/// Deadline of a session, or of the token of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionDeadline {
    /// Start of the warning lead.
    Warning,
    /// Expiry of a session without activity.
    Idle,
    /// Expiry of the token.
    Token,
}

labels!(SessionDeadline {
    Warning => "warning",
    Idle => "idle",
    Token => "token",
});

/// Files of certificates that are reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateFiles {
    /// Certificate of the listener of clients.
    Public,
    /// Certificate of the internal API.
    Internal,
    /// Authorities of client certificates of the internal API.
    InternalClientCa,
}

labels!(CertificateFiles {
    Public => "public",
    Internal => "internal",
    InternalClientCa => "internal_client_ca",
});

labels!(Dialect {
    NativeJson => "native_json",
    NativeMsgpack => "native_msgpack",
    SocketIo => "socketio",
    SocketIoMsgpack => "socketio_msgpack",
});
