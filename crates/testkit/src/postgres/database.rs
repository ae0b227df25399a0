//! A database for one test.

use std::net::SocketAddr;

use super::schema::LeftOver;
use super::session::Session;

/// A database of its own on a server without TLS. After the test it is dropped, at the latest with the server.
#[derive(Debug)]
pub struct Database {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    pub(super) session: Session,
    pub(super) left_over: LeftOver,
}

impl Database {
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What goes into `POSTERN_DATABASE_URL`.
    pub fn url(&self) -> String {
        self.url_through(self.addr)
    }

    /// As [`Database::url`], by way of a proxy or a pooler at `addr`.
    pub fn url_through(&self, addr: SocketAddr) -> String {
        format!("postgres://postgres@{addr}/{}?sslmode=disable", self.name)
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
        self.left_over.push(std::mem::take(&mut self.name));
    }
}
