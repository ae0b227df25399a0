//! The Redis client: the only module that names fred, and the bounds and repairs that fred lacks.
//!
//! `tests/it/traps` has a test for each trap of fred. [`connector`] sets every timeout and bound without a default, [`router`] sends
//! commands to the owners of their slots, [`shards`] keeps a [`node`] for each owner, which sends a heartbeat each second and replaces a
//! fred client that does not recover, [`topology`] follows the primary that sentinels name, or the slots of a cluster, [`subscriber`]
//! restores subscriptions and moves them with their slots, and [`stream_reader`] runs blocking reads on connections of their own.

mod arg;
mod command;
mod command_failure;
mod connect_error;
mod connection;
mod connector;
mod credentials;
mod health;
pub(super) mod keyspace;
mod node;
mod redirect;
mod reply;
mod reports;
mod requirements;
mod router;
mod script;
mod shards;
mod slots;
mod start_fault;
mod startup_check;
mod stream_reader;
mod subscriber;
mod tls;
mod topology;

use std::time::Duration;

pub(super) use self::arg::Arg;
pub use self::connect_error::{CommandRefusal, ConnectError};
pub(super) use self::connector::{Connector, Purpose};
pub(super) use self::reply::RedisReply;
pub use self::requirements::acl_rules;
pub(super) use self::router::Client;
pub(super) use self::script::Script;
pub use self::start_fault::is_logged_outage;
pub(super) use self::startup_check::{AccessCheck, AccessScope};
pub(super) use self::stream_reader::{StreamRead, StreamReader};
pub(super) use self::subscriber::{MessageHandler, Missed, Subscriber, SubscriberConfig};
pub(super) use self::topology::Topology;

/// Timeout of a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
