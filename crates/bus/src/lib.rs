//! What nodes share and may lose: events on their way to sockets, jobs on their way to workers, sessions and their sockets,
//! tickets to come back with, short-lived values, rate counters.
//!
//! Owns: one small trait per role, [`Bus`] being all of them, and two implementations: [`RedisBus`] (fred, behind the one
//! module `redis::client`) and [`MemoryBus`], the embedded default. One contract suite runs against both.
//!
//! Must not know: sockets, SQL, platforms. Whatever is here is rebuildable: losing all of it costs a reconnect, never an
//! account, a setting or a promise.

mod begun;
mod challenges;
mod error;
mod events;
mod hints;
mod jobs;
mod limits;
mod liveness;
mod pending_link;
mod presence;
mod sessions;
mod tickets;

mod bounds;
mod epoch;
mod letter;
mod metrics;
mod outlet;

mod memory;
mod redis;

pub use begun::Begun;
pub use challenges::{Challenges, Key, Kind};
pub use error::BusError;
pub use events::{Events, Feed, Heard, Past, Published};
pub use hints::{Hint, Hints};
pub use jobs::{Claimed, EntryId, Jobs};
pub use limits::{Bucket, Charge, Limits, Quota, Share, Verdict};
pub use liveness::Liveness;
pub use memory::MemoryBus;
pub use pending_link::PendingLink;
pub use presence::{Presence, Present};
pub use redis::{ConnectError, InvalidPrefix, InvalidRedisUrl, Prefix, RedisBus, RedisSettings, RedisUrl};
pub use sessions::{Alive, AliveSession, Announced, EndOfAll, Seed, SessionKey, SessionState, Sessions, Touched};
pub use tickets::{Hold, Redeemed, Ticket, TicketKey, Tickets};

/// All roles of the bus.
pub trait Bus: Events + Jobs + Limits + Challenges + Hints + Sessions + Presence + Tickets + Liveness {}

impl<T: Events + Jobs + Limits + Challenges + Hints + Sessions + Presence + Tickets + Liveness> Bus for T {}
