//! Statements that a server has executed, read from its log.

use super::Postgres;
use crate::wait;

/// Reader of a server's statements, from the moment at which it was made.
#[derive(Debug)]
pub struct StatementLog<'a> {
    postgres: &'a Postgres,
    /// Length of the part of the log that was read.
    read: usize,
}

/// Statements of one transaction, in sequence, with those that begin and end it.
#[derive(Debug)]
pub struct Transaction {
    /// Virtual id of the transaction.
    id: String,
    /// The statements.
    pub statements: Vec<Statement>,
}

/// Statement as the server logs it: a simple query of several statements counts as one.
#[derive(Debug)]
pub struct Statement {
    /// Text of the statement.
    pub text: String,
    /// Parameters, as the server prints them; empty without any.
    pub parameters: String,
}

impl Transaction {
    /// Reports whether a parameter of one of the statements contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.parameters.contains(text))
    }
}

impl<'a> StatementLog<'a> {
    /// Settings of a server that can be read.
    pub(super) const SETTINGS: &'static [&'static str] = &["log_statement=all", "log_line_prefix=%v "];

    pub(super) async fn start(postgres: &'a Postgres) -> Self {
        let mut log = Self { postgres, read: 0 };
        log.take().await;
        log
    }

    /// Takes the transactions that began since the last time; statements of one that is still open may be missing.
    pub async fn take(&mut self) -> Vec<Transaction> {
        self.postgres.sql(MARK).await;
        let part = wait::until("the server to log a statement", wait::deadline(), async || {
            let log = self.postgres.process.stderr();
            let new = log.get(self.read..)?;
            let end = new.find(MARK_LOGGED)? + MARK_LOGGED.len();
            new.get(..end).map(str::to_owned)
        })
        .await;
        self.read += part.len();
        let mut transactions = transactions(&part);
        transactions.retain(|transaction| transaction.statements.iter().all(|each| each.text != MARK));
        transactions
    }
}

/// Reads lines of `<virtual id> <severity>:  <message>`, of which a message of several lines continues after a tab.
fn transactions(log: &str) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    let entries = log.replace("\n\t", " ");
    for entry in entries.lines() {
        // Outside of a transaction the second part of the id is 0.
        let in_transaction = |(id, _): &(&str, &str)| id.contains('/') && !id.ends_with("/0");
        let Some((id, message)) = entry.split_once(' ').filter(in_transaction) else {
            continue;
        };
        let open = transactions.iter_mut().rev().find(|known| known.id == id);
        if let Some(parameters) = message.strip_prefix("DETAIL:  parameters: ") {
            if let Some(last) = open.and_then(|transaction| transaction.statements.last_mut()) {
                parameters.clone_into(&mut last.parameters);
            }
            continue;
        }
        let Some(text) = statement_text(message) else { continue };
        let statement = Statement {
            text: text.to_owned(),
            parameters: String::new(),
        };
        match open {
            Some(transaction) => transaction.statements.push(statement),
            None => transactions.push(Transaction {
                id: id.to_owned(),
                statements: vec![statement],
            }),
        }
    }
    transactions
}

/// Text of a statement: of a simple query after `statement: `, of a prepared one after `execute <its name>: `.
fn statement_text(message: &str) -> Option<&str> {
    let logged = message.strip_prefix("LOG:  ")?;
    let prepared = || logged.strip_prefix("execute ")?.split_once(": ").map(|(_, text)| text);
    logged.strip_prefix("statement: ").or_else(prepared)
}

/// Statement that ends a part of the log.
const MARK: &str = "SELECT 'testkit statement log'";
const MARK_LOGGED: &str = "statement: SELECT 'testkit statement log'\n";
