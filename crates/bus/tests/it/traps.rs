//! Traps of Redis, the network and fred. Each test was seen to fail without its remedy.

mod arguments;
mod buffers;
mod clocks;
mod dead_letters;
mod epochs;
mod hot_users;
mod hygiene;
mod lanes;
mod outages;
mod publications;
mod reconnects;
mod replays;
mod silence;
mod stalls;
mod subscriptions;
