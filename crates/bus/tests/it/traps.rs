//! What Redis, the network and fred do to a bus. Each test was seen to fail with its remedy taken away.

mod arguments;
mod buffers;
mod clocks;
mod cuts;
mod deafness;
mod epochs;
mod hygiene;
mod lanes;
mod replays;
mod silence;
mod subscriptions;
