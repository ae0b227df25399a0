//! Moves of slots between primaries, in one step or in the steps that clients can observe.

use super::super::resp;
use super::RedisCluster;
use super::nodes::NodesReply;
use crate::wait;

impl RedisCluster {
    /// Moves a slot with its keys to another primary, and waits until all running nodes know it.
    pub async fn migrate(&self, slot: u16, to: usize) {
        self.open_migration(slot, to).await;
        self.migrate_keys(slot, to).await;
        self.close_migration(slot, to).await;
    }

    /// Begins to move a slot: its primary redirects commands for missing keys to `to` (`ASK`).
    pub async fn open_migration(&self, slot: u16, to: usize) {
        let from = self.primary_of(slot).await;
        let (source, target) = (self.id(from).await, self.id(to).await);
        self.set_slot(to, slot, &["IMPORTING", &source]).await;
        self.set_slot(from, slot, &["MIGRATING", &target]).await;
    }

    /// Moves the keys that a slot has now to `to`; returns their number. The slot stays open.
    pub async fn migrate_keys(&self, slot: u16, to: usize) -> usize {
        let from = self.node(self.primary_of(slot).await);
        let port = self.port_for_nodes(to).to_string();
        let slot_text = slot.to_string();
        let mut moved = 0;
        loop {
            let keys = resp::command(from.addr(), &["CLUSTER", "GETKEYSINSLOT", &slot_text, "100"]).await;
            if keys.is_empty() {
                return moved;
            }
            moved += keys.len();
            let mut migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"]
                .map(Vec::from)
                .to_vec();
            migrate.extend(keys);
            // Keys that have expired meanwhile are answered by NOKEY.
            resp::command(from.addr(), &migrate).await;
        }
    }

    /// Ends the move of a slot, which `to` owns from now on, and waits until all running nodes know it. Fails the test when keys
    /// have not moved.
    pub async fn close_migration(&self, slot: u16, to: usize) {
        self.close_migrations(&[(slot, to)]).await;
    }

    /// [`RedisCluster::close_migration`] of several slots, each with its new primary, one wait for all.
    pub async fn close_migrations(&self, moves: &[(u16, usize)]) {
        for (slot, to) in moves {
            self.assign(*slot, *to).await;
        }
        wait::until_true("all nodes to know the owners of slots", wait::deadline(), async || {
            let replies = self.nodes_replies().await;
            let knows = |reply: &NodesReply| {
                let mut moves = moves.iter();
                moves.all(|(slot, to)| reply.owner_port(*slot) == Some(self.node(*to).port()))
            };
            replies.iter().flatten().all(knows)
        })
        .await;
    }

    async fn assign(&self, slot: u16, to: usize) {
        let from = self.primary_of(slot).await;
        let target = self.id(to).await;
        let others = self.primaries().await;
        let others = others.into_iter().filter(|index| ![to, from].contains(index));
        // The target first: a source that has given the slot away redirects to a node that would send clients back.
        for index in [to, from].into_iter().chain(others) {
            self.set_slot(index, slot, &["NODE", &target]).await;
        }
    }

    /// Ends the move of a slot that stays where it is, although keys may have moved.
    pub async fn abandon_migration(&self, slot: u16, to: usize) {
        let from = self.primary_of(slot).await;
        for index in [from, to] {
            self.set_slot(index, slot, &["STABLE"]).await;
        }
    }

    async fn set_slot(&self, index: usize, slot: u16, state: &[&str]) {
        let slot = slot.to_string();
        let command: Vec<&str> = ["CLUSTER", "SETSLOT", &slot]
            .into_iter()
            .chain(state.iter().copied())
            .collect();
        self.node(index).command(&command).await;
    }
}
