//! Traffic of the scenarios: sockets of many users, events published to them and requests sent by them, each counted and timed.

mod api_connection;
mod ledger;
mod member;
mod numbered_events;
mod population;
mod publishing;
mod requests;
mod shape;

pub(crate) use self::ledger::{Ledger, Series};
pub(crate) use self::numbered_events::{Mix, NumberedEvents};
pub(crate) use self::population::Population;
pub(crate) use self::publishing::{Published, Publishing};
pub(crate) use self::requests::{Drops, Requests};
pub(crate) use self::shape::Shape;
