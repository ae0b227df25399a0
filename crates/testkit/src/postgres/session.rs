//! The testkit's own way into a server: its Unix socket, so that neither TLS nor a proxy stands between.

use std::path::PathBuf;

use tokio_postgres::{Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::fail::OrFail as _;
use crate::wait;

/// Where the server's socket is, and which database.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) socket_folder: PathBuf,
    pub(super) port: u16,
    pub(super) database: String,
}

impl Session {
    /// Runs statements on a connection of their own, with `schema` as the search path; gives the rows as text, columns
    /// parted by tabs, a null as nothing. Fails the test when the server refuses.
    pub(super) async fn run(&self, schema: &str, statements: &str) -> Vec<String> {
        let work = tokio::time::timeout(wait::deadline(), self.query(schema, statements)).await;
        let rows = work
            .or_fail("wait for Postgres")
            .or_fail(&format!("run {statements:?} in Postgres"));
        rows.iter().map(line).collect()
    }

    async fn query(&self, schema: &str, statements: &str) -> Result<Vec<SimpleQueryRow>, String> {
        let mut config = Config::new();
        config
            .host_path(&self.socket_folder)
            .port(self.port)
            .user("postgres")
            .dbname(&self.database);
        // Bytes as text where they are text: a dump is searched for secrets.
        config.options(format!(
            "-c search_path={schema} -c bytea_output=escape -c client_min_messages=warning"
        ));
        let (client, connection) = config.connect(NoTls).await.map_err(chain)?;
        let query = async {
            let messages = client.simple_query(statements).await;
            drop(client);
            messages
        };
        let (messages, ended) = tokio::join!(query, connection);
        let messages = messages.map_err(chain)?;
        ended.map_err(chain)?;
        Ok(messages.into_iter().filter_map(row).collect())
    }
}

fn row(message: SimpleQueryMessage) -> Option<SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}

fn line(row: &SimpleQueryRow) -> String {
    let columns: Vec<&str> = (0..row.len())
        .map(|column| row.get(column).unwrap_or_default())
        .collect();
    columns.join("\t")
}

/// tokio-postgres says only "db error" and leaves the server's sentence to the source.
fn chain(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => refusal.to_string(),
        None => error.to_string(),
    }
}
