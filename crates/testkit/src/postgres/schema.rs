//! Schema of one test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::session::Session;
use super::{OWNER_ROLE, WORKER_ROLE};

/// New, empty schema, and the URL that makes it the search path. It is dropped after the test, at the latest with the server.
///
/// Advisory locks and `LISTEN` channels belong to the database, not to the schema: tests of one process share them.
#[derive(Debug)]
pub struct Schema {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    pub(super) tls: bool,
    pub(super) session: Session,
    pub(super) undropped: UndroppedNames,
}

impl Schema {
    /// Name of the schema.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Address of its server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Value of `POSTERN_DATABASE_URL`: the role [`WORKER_ROLE`], which has the rights that a migration grants it.
    pub fn url(&self) -> String {
        self.url_through(self.addr)
    }

    /// [`Schema::url`] through a proxy at `addr`.
    pub fn url_through(&self, addr: SocketAddr) -> String {
        url(addr, WORKER_ROLE, self.tls, &self.name)
    }

    /// Value of `POSTERN_MIGRATE_DATABASE_URL`: the owner of the schema.
    pub fn owner_url(&self) -> String {
        url(self.addr, OWNER_ROLE, self.tls, &self.name)
    }

    /// [`Schema::url`] of sessions whose `clock_timestamp()` is behind by an interval, such as `40 days`, until it is set again. Other
    /// functions of the time are not changed.
    pub async fn url_with_clock_behind(&self, interval: &str) -> String {
        let set = format!(
            "CREATE OR REPLACE FUNCTION {}.clock_timestamp() RETURNS timestamptz LANGUAGE sql \
             AS $$SELECT pg_catalog.clock_timestamp() - interval '{interval}'$$",
            self.name
        );
        self.sql(&set).await;
        // Without its name there, the catalog is searched first.
        format!("{}%2Cpg_catalog", self.url())
    }

    /// Ends the partitions of the audit log at the begin of the month this many months ago (UTC), while it is empty: the next migration
    /// creates those of the later months.
    pub async fn end_audit_partitions(&self, months_ago: u32) {
        let end = format!(
            "DO $do$ DECLARE partition text; BEGIN \
             FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit'::regclass \
             AND inhrelid NOT IN ('audit_initial'::regclass, 'audit_default'::regclass) \
             LOOP EXECUTE 'DROP TABLE ' || partition; END LOOP; \
             ALTER TABLE audit DETACH PARTITION audit_initial; \
             EXECUTE format('ALTER TABLE audit ATTACH PARTITION audit_initial FOR VALUES FROM (MINVALUE) TO (%s)', \
             (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months_ago} months') * 1000)::bigint); \
             END $do$"
        );
        self.sql(&end).await;
    }

    /// Runs statements in this schema; returns the rows as text, columns separated by tabs, a null as nothing. Fails the test
    /// when the server refuses.
    pub async fn sql(&self, statements: &str) -> Vec<String> {
        self.session.run(&self.name, statements).await
    }

    /// Every row of every table of the schema, as text under the table's name: the input of a search for secrets.
    pub async fn dump(&self) -> String {
        // The rows of a partition are those of its table.
        let tables = format!(
            "SELECT relname FROM pg_class WHERE relnamespace = '{}'::regnamespace AND relkind IN ('r', 'p') \
             AND NOT relispartition ORDER BY 1",
            self.name
        );
        let mut dump = String::new();
        for table in self.sql(&tables).await {
            let rows = self.sql(&format!(r#"SELECT row::text FROM "{table}" AS row"#)).await;
            dump += &format!("== {table}\n{}\n", rows.join("\n"));
        }
        dump
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        self.undropped.push(std::mem::take(&mut self.name));
    }
}

/// Schemas or databases of finished tests. A drop cannot wait for the server, so that the next test's creation drops them.
#[derive(Clone, Debug, Default)]
pub(super) struct UndroppedNames(Arc<Mutex<Vec<String>>>);

impl UndroppedNames {
    pub(super) fn push(&self, name: String) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(name);
    }

    /// Takes all names.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// URL that tokio-postgres and libpq parse alike.
pub(super) fn url(addr: SocketAddr, role: &str, tls: bool, schema: &str) -> String {
    let ssl_mode = if tls { "require" } else { "disable" };
    format!("postgres://{role}@{addr}/postgres?sslmode={ssl_mode}&options=-c%20search_path%3D{schema}")
}
