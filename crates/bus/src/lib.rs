//! Shared state of all nodes that may be lost: event logs and channels, job lanes, session TTLs, open sockets, resume tokens,
//! challenges, rate limits.
//!
//! Owns: one small trait per role, [`Bus`] being all of them, and two implementations: [`RedisBus`] (fred, behind the one
//! module `redis::client`) and [`MemoryBus`], the embedded default. One contract suite runs against both.
//!
//! Must not know: sockets, SQL, platforms. All of it can be rebuilt: its loss costs a reconnect, never an account, a setting or a
//! confirmed command.

mod challenges;
mod channel_message;
mod error;
mod events;
mod hints;
mod jobs;
mod joins;
mod limits;
mod liveness;
mod pending_authorization;
mod pending_link;
mod presence;
mod resume_tokens;
mod sessions;

mod bounds;
mod epoch;
mod message_queue;
mod metrics;
mod operation;
mod socket_cap;
mod trace;
mod versioned_message;

mod memory;
mod redis;

pub use challenges::{ChallengeKey, ChallengeKind, Challenges};
pub use channel_message::ChannelMessage;
pub use error::BusError;
pub use events::{
    ContentDigest, Events, LogRead, PublishMode, PublishOutcome, PublishPhase, Repeats, UserSubscriptions,
};
pub use hints::{Hint, Hints};
pub use jobs::{ClaimedJob, EntryId, Jobs};
pub use joins::{JoinOutcome, JoinedSocket, Joins, SocketJoin};
pub use limits::{Bucket, Charge, LimitDecision, Limits, Quota, Share};
pub use liveness::Liveness;
pub use memory::MemoryBus;
pub use message_queue::{ChannelMessages, MessageQueue};
pub use pending_authorization::PendingAuthorization;
pub use pending_link::PendingLink;
pub use presence::{OpenSocket, Presence};
pub use redis::{
    CommandRefusal, ConnectError, DeadLetter, InvalidPrefix, InvalidRedisUrl, Prefix, QueuedJob, RedisBus,
    RedisRuntime, RedisSettings, RedisTls, RedisTlsError, RedisUrl, RedisUrlChange, acl_rules, is_logged_outage,
};
pub use resume_tokens::{Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens};
pub use sessions::{
    AliveSession, EndAllSessions, EndAnnouncement, RecordedSignIn, SessionKey, SessionRegistry, SessionRenewal,
    SessionSeed, SessionState, SessionTtl, TokenTimes,
};

/// All roles of the bus.
pub trait Bus:
    Events + Jobs + Joins + Limits + Challenges + Hints + SessionRegistry + Presence + ResumeTokens + Liveness
{
}

impl<T: Events + Jobs + Joins + Limits + Challenges + Hints + SessionRegistry + Presence + ResumeTokens + Liveness> Bus
    for T
{
}
