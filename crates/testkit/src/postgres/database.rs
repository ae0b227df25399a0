//! Database of one test.

use std::net::SocketAddr;

use super::schema::UndroppedNames;
use super::session::Session;
use super::{OWNER_ROLE, WORKER_ROLE};

/// Database on a server without TLS. It is dropped after the test, at the latest with the server.
#[derive(Debug)]
pub struct Database {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    pub(super) session: Session,
    pub(super) undropped: UndroppedNames,
}

impl Database {
    /// Name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Value of `POSTERN_DATABASE_URL`: the role [`WORKER_ROLE`], which has the rights that a migration grants it.
    pub fn url(&self) -> String {
        self.url_through(self.addr)
    }

    /// [`Database::url`] through a proxy or a pooler at `addr`.
    pub fn url_through(&self, addr: SocketAddr) -> String {
        format!("postgres://{WORKER_ROLE}@{addr}/{}?sslmode=disable", self.name)
    }

    /// Value of `POSTERN_MIGRATE_DATABASE_URL`: the owner of the database.
    pub fn owner_url(&self) -> String {
        format!("postgres://{OWNER_ROLE}@{}/{}?sslmode=disable", self.addr, self.name)
    }

    /// Runs statements in this database, as [`super::Schema::sql`].
    pub async fn sql(&self, statements: &str) -> Vec<String> {
        let session = Session {
            database: self.name.clone(),
            ..self.session.clone()
        };
        session.run("public", statements).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.undropped.push(std::mem::take(&mut self.name));
    }
}
