//! Inboxes of the simulated accounts and bots, one module per platform.

pub(crate) mod discord;
pub(crate) mod github;
pub(crate) mod telegram;
pub(crate) mod x_twitter;
