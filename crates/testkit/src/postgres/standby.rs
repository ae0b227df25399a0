//! Synchronous standby of a server.

use std::sync::Arc;

use super::Postgres;
use super::server::{self, LogOfCopy, ServerState};
use crate::account::Account;
use crate::scratch::Scratch;
use crate::wait;

impl Postgres {
    /// Starts a standby, and makes every later commit wait for it.
    pub async fn synchronous_standby(&self) -> Self {
        let data = Arc::new(Scratch::owned("postgres-standby", Account::unprivileged()));
        server::copy(&data, self.scratch.path(), self.port(), LogOfCopy::Included).await;
        data.write("data/standby.signal", "");
        let primary = format!(
            "primary_conninfo=host={} port={} user=postgres application_name=standby",
            self.scratch.path().display(),
            self.port()
        );
        let standby = Self::serve(data, None, vec![primary], ServerState::Standby).await;
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby)'",
            "SELECT pg_reload_conf()",
        ] {
            self.sql(statement).await;
        }
        wait::until_true("the standby to be synchronous", wait::deadline(), async || {
            self.sql("SELECT sync_state FROM pg_stat_replication").await == ["quorum"]
        })
        .await;
        standby
    }

    /// Makes a standby the primary, and waits until it accepts writes.
    pub async fn promote(&self) {
        self.sql("SELECT pg_promote()").await;
    }
}
