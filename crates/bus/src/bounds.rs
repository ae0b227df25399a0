//! The numbers that both implementations keep: how much, how many, how long.

use std::time::Duration;

use protocol::cluster::job::Reply;

/// How many events a user's log holds.
pub(crate) const LOG_LENGTH: usize = 256;
/// How many bytes of events a user's log holds: the oldest go where its events are large, as they do where there are many. More
/// than waits for a socket, so that one that was closed for its full queue can catch up.
pub(crate) const LOG_BYTES: usize = 2 * 1024 * 1024;
/// How long a log outlives its last event.
pub(crate) const LOG_LIFE: Duration = Duration::from_secs(60 * 60);
/// How many event ids of a user are known as published.
pub(crate) const SEEN_LENGTH: usize = 512;
/// How long an order is known after its last use.
pub(crate) const ORDER_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a ticket outlives the last sign of its holder. Gateways give one every 30 s, so that a client has two minutes to
/// come back.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(150);

/// How many tickets a user has: twice as many as sockets, for those that are on their way back.
pub(crate) const TICKETS: usize = 128;

/// How many jobs a lane holds, those being worked on included.
pub(crate) const LANE_ENTRIES: usize = 10_000;
/// How many bytes of jobs a lane holds.
pub(crate) const LANE_BYTES: usize = 64 * 1024 * 1024;
/// How long a worker may be silent about a job before another one takes it.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// How many workers a job is given to before it is buried.
pub(crate) const DELIVERIES: u32 = 2;
/// How long an answer waits to be read. One that holds secrets does not: it must not be found in a copy of what Redis has.
pub(crate) fn reply_life(reply: &Reply) -> Duration {
    if reply.outcome.secret {
        Duration::ZERO
    } else {
        Duration::from_secs(60)
    }
}
/// How many answers may be on their way to one node; one that finds no room is read by [`crate::Jobs::stored_replies`].
pub(crate) const REPLIES_BOUND: usize = 4096;

/// How long a hint counts: what is in use is asked for anew well within the 90 days for which the store keeps it.
pub(crate) const HINT_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a look for open alerts may take.
pub(crate) const LOOK_LIFE: Duration = Duration::from_secs(60);
/// How many devices and networks of a user are noted before the noting begins anew.
pub(crate) const MARKS: usize = 256;
