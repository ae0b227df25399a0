//! Rights of the roles that use the schema, in one list: `postern migrate` grants them, and a store checks them when it connects.

use tokio_postgres::Client;

use super::SetupError;
use super::audit_partitions::PARTITIONS;
use super::pool::Pool;
use crate::step::Step;

/// Role of the database that a migration grants the rights for its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Name of the role.
    pub role: String,
    /// Use of the schema by the role.
    pub schema_use: SchemaUse,
}

/// Use of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaUse {
    /// All that workers do, and commands that change what workers change.
    Worker,
    /// Verification of the audit log.
    AuditReader,
}

impl Grant {
    /// Statements that grant the rights, one per line, on the schema of this name.
    fn statements(&self, schema: &str) -> String {
        let role = quoted(&self.role);
        let mut statements = format!("GRANT USAGE ON SCHEMA {} TO {role};\n", quoted(schema));
        let mut objects = OBJECTS
            .iter()
            .filter(|object| !object.rights(self.schema_use).is_empty())
            .peekable();
        while let Some(first) = objects.next() {
            // Neighbours in the list with the same rights share a statement.
            let rights = first.rights(self.schema_use);
            let mut names = vec![first.name];
            let is_alike = |next: &&Object| next.kind == first.kind && next.rights(self.schema_use) == rights;
            while let Some(next) = objects.next_if(is_alike) {
                names.push(next.name);
            }
            let kind = match first.kind {
                Kind::Table => "",
                Kind::Sequence => "SEQUENCE ",
            };
            statements += &format!("GRANT {rights} ON {kind}{} TO {role};\n", names.join(", "));
        }
        // A role that was granted all rights on all tables could alter the log.
        statements + &format!("REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM {role};\n")
    }
}

/// Grants the rights on the first schema of the `search_path`.
///
/// # Errors
/// [`SetupError::Grant`]; no right is granted then.
pub(super) async fn grant(client: &mut Client, grants: &[Grant]) -> Result<(), SetupError> {
    for grant in grants {
        let granted = grant_one(client, grant).await;
        granted.map_err(|error| SetupError::Grant {
            role: grant.role.clone(),
            source: Box::new(error),
        })?;
    }
    Ok(())
}

async fn grant_one(client: &mut Client, grant: &Grant) -> Result<(), tokio_postgres::Error> {
    let schema = client.query_typed_one("SELECT current_schema()::text", &[]).await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(&grant.statements(schema.try_get(0)?)).await?;
    // So could one with rights on its partitions.
    let partitions = format!("SELECT quote_ident(name) FROM ({PARTITIONS}) AS partitions");
    for row in transaction.query_typed(&partitions, &[]).await? {
        let (partition, role): (String, _) = (row.try_get(0)?, quoted(&grant.role));
        let revoke = format!("REVOKE UPDATE, DELETE, TRUNCATE ON {partition} FROM {role}");
        transaction.batch_execute(&revoke).await?;
    }
    transaction.commit().await
}

/// Refuses a role that lacks a right for this use. An object that a newer release has dropped counts as granted.
///
/// # Errors
/// [`SetupError::Denied`], and an unreachable database.
pub(super) async fn check(pool: &Pool, schema_use: SchemaUse) -> Result<(), SetupError> {
    let rows = pool.query(Step::CheckPermissions, &missing(schema_use), &[]).await?;
    let missing = rows
        .iter()
        .map(|row| row.try_get::<_, String>(0))
        .collect::<Result<Vec<_>, _>>();
    let missing = missing.map_err(|error| SetupError::Reach(Box::new(error)))?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(SetupError::Denied {
        missing: missing.join(", "),
    })
}

/// Query for the rights that the role of the connection lacks.
fn missing(schema_use: SchemaUse) -> String {
    let mut needed = Vec::new();
    for object in OBJECTS {
        let rights = object.rights(schema_use).split(", ").filter(|right| !right.is_empty());
        needed.extend(rights.map(|right| format!("('{}', '{right}')", object.name)));
    }
    format!(
        "SELECT privilege || ' on ' || name FROM (VALUES {}) AS needed (name, privilege) \
         WHERE NOT CASE privilege WHEN 'USAGE' THEN has_sequence_privilege(to_regclass(name)::oid, privilege) \
         ELSE has_table_privilege(to_regclass(name)::oid, privilege) END",
        needed.join(", ")
    )
}

/// Identifier in the syntax of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Table or sequence, and the rights for each use.
struct Object {
    kind: Kind,
    name: &'static str,
    worker: &'static str,
    audit_reader: &'static str,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Table,
    Sequence,
}

impl Object {
    fn rights(&self, schema_use: SchemaUse) -> &'static str {
        match schema_use {
            SchemaUse::Worker => self.worker,
            SchemaUse::AuditReader => self.audit_reader,
        }
    }
}

/// Table that workers change.
const fn table(name: &'static str) -> Object {
    Object {
        kind: Kind::Table,
        name,
        worker: "SELECT, INSERT, UPDATE, DELETE",
        audit_reader: "",
    }
}

/// Tables and sequences. Identity columns have sequences that need no right.
const OBJECTS: &[Object] = &[
    table("accounts"),
    table("alerts"),
    table("answers"),
    table("app_webhooks"),
    table("confirmations"),
    table("exchanges"),
    table("inboxes"),
    table("outbox"),
    table("pauses"),
    table("pending_links"),
    table("prune_progress"),
    table("security"),
    table("seen"),
    table("session_deadlines"),
    table("sessions"),
    table("tasks"),
    Object {
        audit_reader: "SELECT",
        ..table("user_keys")
    },
    table("users"),
    table("vault_keys"),
    table("webhook_deliveries"),
    Object {
        worker: "SELECT, INSERT",
        audit_reader: "SELECT",
        ..table("audit")
    },
    Object {
        worker: "SELECT",
        audit_reader: "SELECT",
        ..table("audit_checkpoints")
    },
    Object {
        worker: "SELECT, INSERT, UPDATE",
        audit_reader: "SELECT",
        ..table("audit_heads")
    },
    Object {
        worker: "SELECT",
        audit_reader: "SELECT",
        ..table("refinery_schema_history")
    },
    Object {
        kind: Kind::Sequence,
        worker: "USAGE",
        ..table("account_generations")
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_statements_are_those_of_the_list() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/postgres.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        for (role, schema_use) in [
            ("postern_worker", SchemaUse::Worker),
            ("postern_auditor", SchemaUse::AuditReader),
        ] {
            let role = role.to_owned();
            let statements = Grant { role, schema_use }.statements("public");
            assert!(
                docs.contains(&statements),
                "docs/operations/postgres.md lacks:\n{statements}"
            );
        }
    }

    #[test]
    fn names_are_quoted() {
        let grant = Grant {
            role: r#"a"; DROP ROLE b"#.to_owned(),
            schema_use: SchemaUse::AuditReader,
        };
        let statements = grant.statements("My schema");
        let first = r#"GRANT USAGE ON SCHEMA "My schema" TO "a""; DROP ROLE b";"#;
        assert_eq!(statements.lines().next(), Some(first));
    }
}
