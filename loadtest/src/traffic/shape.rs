//! Numbers and names of users and sockets.

/// Numbers and names of users and sockets. Sockets of one user are `users` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) users: usize,
    /// Sockets of each user.
    pub(crate) sockets: usize,
    /// Number of the first user.
    pub(crate) first: usize,
    /// Part of the users' names.
    pub(crate) seed: u64,
    /// False turns the batching of notifications off.
    pub(crate) batching: bool,
}

impl Shape {
    /// Name of a user.
    pub(crate) fn name(&self, user: usize) -> String {
        format!("LOAD-{}-{}", self.seed, self.first + user)
    }

    /// Number of all sockets.
    pub(crate) fn total(&self) -> usize {
        self.users * self.sockets
    }
}
