//! Connection of the test kit to a server: its Unix socket, without TLS or a proxy.

use std::path::PathBuf;

use tokio_postgres::{Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::fail::OrFail as _;
use crate::wait;

/// Socket and database of a server.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) socket_folder: PathBuf,
    pub(super) port: u16,
    pub(super) database: String,
}

impl Session {
    /// Runs statements on a connection of their own, with `schema` as the search path; returns the rows as text, columns
    /// separated by tabs, a null as nothing. Fails the test when the server refuses.
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
        // Bytes become text where they are valid text, because a dump is searched for secrets.
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

/// Message of the server: tokio-postgres prints only "db error" and has the message in the source.
fn chain(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => refusal.to_string(),
        None => error.to_string(),
    }
}
