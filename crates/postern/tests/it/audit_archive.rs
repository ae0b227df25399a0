//! Archives of the audit log: what is dropped can be verified, what was forged is found, and an interrupted run is repeated.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use testkit::Postgres;
use testkit::node::Output;
use testkit::postgres::{Schema, WORKER_ROLE};
use testkit::process::{Launch, Process};
use testkit::scratch::Scratch;
use testkit::wait;

use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, cluster};

const KEYS: &str = "archived:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER_KEYS: &str = "another:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

/// Statements that switch off the protection of the log, as its owner can.
const UNPROTECTED: &str = "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER; \
     ALTER TABLE audit_checkpoints DISABLE TRIGGER USER";

/// Audit log with partitions of the four months before the current one, and a directory of archives.
struct Log {
    schema: Schema,
    keys: &'static str,
    scratch: Arc<Scratch>,
}

impl Log {
    async fn start(keys: &'static str) -> Self {
        let schema = Postgres::shared().await.schema().await;
        let log = Self {
            schema,
            keys,
            scratch: Arc::new(Scratch::new("archive")),
        };
        log.migrate().await;
        log.schema.end_audit_partitions(4).await;
        log.migrate().await;
        log.schema
            .sql("INSERT INTO users (user_id) VALUES ('GEN-001'), ('GEN-002')")
            .await;
        log
    }

    /// Log with rows of `GEN-001` four, three and two months ago and now, and of `GEN-002` three months ago.
    async fn filled() -> Self {
        let log = Self::start(KEYS).await;
        log.fill().await;
        log
    }

    async fn fill(&self) {
        for (user, months_ago) in [
            ("GEN-001", 4),
            ("GEN-001", 3),
            ("GEN-002", 3),
            ("GEN-001", 2),
            ("GEN-001", 0),
        ] {
            self.write(user, months_ago).await;
        }
    }

    async fn migrate(&self) {
        let url = self.schema.owner_url();
        let migrated = postern(&["migrate", "--database-url", &url, "--migrate-grant-to", WORKER_ROLE]).await;
        assert_eq!(migrated.status, 0, "{}", migrated.stderr);
    }

    /// Writes a row: an operator's command, in the middle of the month or now.
    async fn write(&self, user: &str, months_ago: u32) {
        let ago = format!(
            "SELECT CASE {months_ago} WHEN 0 THEN '0 days' ELSE \
             (now() - (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months_ago} months' + interval '14 days') \
             AT TIME ZONE 'UTC')::text END"
        );
        let ago = self.schema.sql(&ago).await.remove(0);
        let url = self.schema.url_with_clock_behind(&ago).await;
        let shown = self
            .run(&["users", "show", "--user", user, "--operator", "alice"], &url)
            .await;
        assert_eq!(shown.status, 0, "{}", shown.stderr);
        self.schema.url_with_clock_behind("0 days").await;
    }

    async fn run(&self, command: &[&str], url: &str) -> Output {
        let parts = ["--database-url", url, "--vault-keys", self.keys];
        postern(&[command, &parts].concat()).await
    }

    fn dir(&self) -> String {
        self.scratch.path().join("archives").display().to_string()
    }

    /// File of the partition that ends at the begin of this month.
    async fn file(&self, months_ago: u32, extension: &str) -> PathBuf {
        let day = format!(
            "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months_ago} months', 'YYYY-MM-DD')"
        );
        let day = self.schema.sql(&day).await.remove(0);
        PathBuf::from(self.dir()).join(format!("audit-before-{day}.{extension}"))
    }

    /// Arguments of an archive of all months that ended this many months ago.
    async fn archive_args(&self, months_ago: u32) -> Vec<String> {
        let before = format!(
            "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{months_ago} months', \
             'YYYY-MM-DD\"T\"00:00:00\"Z\"')"
        );
        let before = self.schema.sql(&before).await.remove(0);
        let (dir, owner) = (self.dir(), self.schema.owner_url());
        let parts = ["audit", "archive", "--json", "--before", &before, "--to", &dir];
        let access = [
            "--migrate-database-url",
            &owner,
            "--vault-keys",
            self.keys,
            "--operator",
            "alice",
        ];
        parts.iter().chain(&access).map(ToString::to_string).collect()
    }

    async fn archive(&self, months_ago: u32) -> Output {
        let args = self.archive_args(months_ago).await;
        postern(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Archives, and returns the rows and chains of each archive.
    async fn archived(&self, months_ago: u32) -> Vec<(u64, u64)> {
        let output = self.archive(months_ago).await;
        assert_eq!(output.status, 0, "{}", output.stderr);
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let archived = report["archived"].as_array().unwrap().iter();
        archived
            .map(|one| (one["rows"].as_u64().unwrap(), one["chains"].as_u64().unwrap()))
            .collect()
    }

    async fn verify(&self, more: &[&str]) -> Output {
        self.run(&[&["audit", "verify"], more].concat(), &self.schema.url())
            .await
    }

    async fn verify_archives(&self) -> Output {
        self.verify(&["--archive", &self.dir()]).await
    }

    /// Asserts that the log is intact, and returns what the verification says.
    async fn intact(&self, more: &[&str]) -> String {
        let verified = self.verify(more).await;
        assert_eq!(verified.status, 0, "{}", verified.stderr);
        verified.stdout.trim().to_owned()
    }

    /// Changes the log, as its owner, and returns what the verification says of it.
    async fn fault_after(&self, change: &str) -> String {
        self.schema.sql(&format!("{UNPROTECTED}; {change}")).await;
        let verified = self.verify(&[]).await;
        assert_eq!(verified.status, 1, "{change}: {}", verified.stdout);
        verified.stderr
    }

    /// Partitions of past months, and tables that were ones.
    async fn old_tables(&self) -> Vec<String> {
        let tables = format!(
            "SELECT relname FROM pg_class WHERE relnamespace = '{}'::regnamespace AND relkind = 'r' \
             AND (relname LIKE 'audit_20%' AND relname <= to_char(now() AT TIME ZONE 'UTC' - interval '1 month', '\"audit_\"YYYY_MM') \
             OR relname LIKE 'audit_detached_%' OR relname = 'audit_initial') ORDER BY 1",
            self.schema.name()
        );
        self.schema.sql(&tables).await
    }
}

#[tokio::test]
async fn archived_months_are_dropped_and_chains_go_on_and_are_verified_with_their_archives() {
    let log = Log::filled().await;
    assert_eq!(log.archived(2).await, [(1, 1), (2, 2)]);
    assert_eq!(log.old_tables().await.len(), 2);
    let command =
        "SELECT action, subject LIKE 'audit archive --before 20%' FROM audit WHERE user_id = '\u{a7}operators'";
    assert_eq!(log.schema.sql(command).await, ["operator_command\tt"]);
    assert_eq!(log.intact(&[]).await, "3 rows of 3 users are as they were written");
    let dir = log.dir();
    assert_eq!(
        log.intact(&["--archive", &dir]).await,
        "3 rows of 3 users, and 3 rows in 2 archives, are as they were written"
    );

    log.write("GEN-002", 0).await;
    assert_eq!(log.archived(1).await, [(1, 1)]);
    // The row of the second command is among those of the log.
    assert_eq!(
        log.intact(&["--archive", &dir]).await,
        "4 rows of 3 users, and 4 rows in 3 archives, are as they were written"
    );
    let exported = log
        .run(
            &["audit", "export", "--since", "1000d", "--user", "GEN-001"],
            &log.schema.url(),
        )
        .await;
    let exported: Value = serde_json::from_str(&exported.stdout).unwrap();
    assert_eq!(exported["metadata"]["uid"], "GEN-001/4");
    let checked = log.run(&["restore", "check", "--json"], &log.schema.url()).await;
    let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(
        (&checked["audit"]["rows"], &checked["audit"]["broken"]),
        (&json!(4), &json!([]))
    );
    assert_eq!(log.archived(1).await, []);
}

#[tokio::test]
async fn altered_missing_and_foreign_archives_are_found() {
    let log = Log::filled().await;
    log.archived(1).await;
    let (rows, manifest) = (log.file(2, "jsonl").await, log.file(2, "manifest.json").await);
    let refused = async |expected: &str| {
        let verified = log.verify_archives().await;
        assert_eq!(verified.status, 1, "{expected}: {}", verified.stdout);
        assert!(verified.stderr.contains(expected), "{expected}: {}", verified.stderr);
    };

    let text = std::fs::read_to_string(&rows).unwrap();
    std::fs::write(&rows, text.replacen("users show", "users hide", 1)).unwrap();
    refused("it is not what its manifest says").await;
    let first_line = text.lines().next().unwrap();
    std::fs::write(&rows, format!("{first_line}\n")).unwrap();
    refused("it is not what its manifest says").await;
    std::fs::remove_file(&rows).unwrap();
    refused("read ").await;
    std::fs::write(&rows, &text).unwrap();

    let signed = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, signed.replace("\"rows\": 2", "\"rows\": 3")).unwrap();
    refused("it was altered, or is of another deployment").await;
    std::fs::remove_file(&manifest).unwrap();
    refused("archives are missing, of the rows before 20").await;
    std::fs::write(&manifest, &signed).unwrap();
    assert_eq!(log.verify_archives().await.status, 0);

    // Older archives may be gone, and the output says so.
    std::fs::remove_file(log.file(3, "manifest.json").await).unwrap();
    let without = log.intact(&["--archive", &log.dir()]).await;
    assert!(
        without.contains("rows in 2 archives, without those before 20"),
        "{without}"
    );
}

#[tokio::test]
async fn archive_of_another_deployment_is_found() {
    let log = Log::filled().await;
    log.archived(2).await;
    let same_keys = Log::filled().await;
    same_keys.archived(2).await;
    let verified = log.verify(&["--archive", &same_keys.dir()]).await;
    assert_eq!(verified.status, 1, "{}", verified.stdout);
    let named = "user \"GEN-002\", row 1: it is not the row that its checkpoint names";
    assert!(verified.stderr.contains(named), "{}", verified.stderr);

    let other_keys = Log::start(OTHER_KEYS).await;
    other_keys.fill().await;
    other_keys.archived(2).await;
    let verified = log.verify(&["--archive", &other_keys.dir()]).await;
    assert_eq!(verified.status, 1, "{}", verified.stdout);
    let named = "its key is not among POSTERN_VAULT_KEYS";
    assert!(verified.stderr.contains(named), "{}", verified.stderr);
}

#[tokio::test]
async fn forged_removed_and_old_checkpoints_are_found() {
    let log = Log::filled().await;
    // Without the key, a checkpoint hides no deletion.
    let forged = "INSERT INTO audit_checkpoints SELECT user_id, at + 1, seq, mac, key_id, mac FROM audit \
                  WHERE user_id = 'GEN-001' AND seq = 2; DELETE FROM audit WHERE user_id = 'GEN-001' AND seq <= 2";
    let keep = "CREATE TABLE kept AS SELECT * FROM audit";
    log.schema.sql(keep).await;
    let fault = log.fault_after(forged).await;
    assert!(
        fault.contains("user \"GEN-001\", row 2: its checkpoint was altered"),
        "{fault}"
    );
    let undo = "DELETE FROM audit_checkpoints; INSERT INTO audit SELECT kept.* FROM kept LEFT JOIN audit USING (user_id, seq) \
                WHERE audit.seq IS NULL";
    log.schema.sql(undo).await;
    log.intact(&[]).await;

    log.archived(1).await;
    log.intact(&[]).await;
    let keep = "CREATE TABLE signed AS SELECT * FROM audit_checkpoints";
    log.schema.sql(keep).await;
    let newest = "(SELECT max(before) FROM signed WHERE user_id = 'GEN-001')";
    let oldest = "(SELECT min(before) FROM signed)";
    for (change, expected) in [
        // The one before is the newest one then.
        (
            format!("DELETE FROM audit_checkpoints WHERE before = {newest}"),
            "user \"GEN-001\", row 3: it is missing",
        ),
        (
            format!("DELETE FROM audit_checkpoints WHERE before = {oldest}"),
            "user \"GEN-001\", row 2: its checkpoint was altered, or the checkpoint before it",
        ),
        (
            "DELETE FROM audit_checkpoints WHERE user_id = 'GEN-001'".to_owned(),
            "user \"GEN-001\", row 1: it is missing",
        ),
        (
            format!(
                "UPDATE audit_checkpoints SET seq = 4, mac = (SELECT mac FROM audit WHERE user_id = 'GEN-001') WHERE before = {newest}"
            ),
            "user \"GEN-001\", row 4: its checkpoint was altered",
        ),
        (
            "UPDATE audit_checkpoints SET user_id = 'GEN-003' WHERE user_id = 'GEN-002'".to_owned(),
            "user \"GEN-003\", row 1: its checkpoint was altered",
        ),
        // A row that was archived is forged in the database.
        (
            "INSERT INTO audit SELECT * FROM kept WHERE user_id = 'GEN-001' AND seq = 2; \
             UPDATE audit SET session_id = 'another' WHERE user_id = 'GEN-001' AND seq = 2"
                .to_owned(),
            "user \"GEN-001\", row 2: it was altered",
        ),
        (
            "DELETE FROM audit_heads WHERE user_id = 'GEN-002'".to_owned(),
            "user \"GEN-002\", row 1: it lies beyond the head of the chain",
        ),
    ] {
        let fault = log.fault_after(&change).await;
        assert!(fault.contains(expected), "{change}: {fault}");
        let undo = "DELETE FROM audit_checkpoints; INSERT INTO audit_checkpoints SELECT * FROM signed; \
                    DELETE FROM audit WHERE (user_id, seq) = ('GEN-001', 2)";
        log.schema.sql(undo).await;
    }
    // All that the database has of a user is gone: the archive has it.
    log.schema
        .sql("DELETE FROM audit_checkpoints WHERE user_id = 'GEN-002'")
        .await;
    let verified = log.verify_archives().await;
    let named = "user \"GEN-002\", row 1: it is in an archive, and the checkpoint of it is missing";
    assert!(verified.stderr.contains(named), "{}", verified.stderr);
}

#[tokio::test]
async fn broken_chain_is_not_archived() {
    let log = Log::filled().await;
    let before = log.old_tables().await;
    log.schema
        .sql(&format!(
            "{UNPROTECTED}; UPDATE audit SET session_id = 'another' WHERE user_id = 'GEN-002'"
        ))
        .await;
    let refused = log.archive(1).await;
    assert_eq!(refused.status, 1, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("user \"GEN-002\", row 1: it was altered"),
        "{}",
        refused.stderr
    );
    // The months before are archived: the one without rows, and that of four months ago.
    assert_eq!(log.old_tables().await, before[1..before.len() - 1]);
    assert!(!log.file(2, "jsonl").await.exists());
    assert_eq!(log.schema.sql("SELECT count(*) FROM audit_checkpoints").await, ["1"]);
}

#[tokio::test]
async fn forged_checkpoint_has_no_row_dropped_unread() {
    let log = Log::filled().await;
    let forged = "INSERT INTO audit_checkpoints SELECT user_id, 1, 9, mac, key_id, mac FROM audit \
                  WHERE user_id = 'GEN-001' AND seq = 1";
    log.schema.sql(forged).await;
    let refused = log.archive(1).await;
    assert_eq!(refused.status, 1, "{}", refused.stdout);
    let named = "user \"GEN-001\", row 9: its checkpoint was altered";
    assert!(refused.stderr.contains(named), "{}", refused.stderr);
    assert_eq!(
        log.schema
            .sql("SELECT count(*) FROM audit WHERE user_id = 'GEN-001'")
            .await,
        ["4"]
    );
}

#[tokio::test]
async fn rows_of_the_last_day_and_other_files_of_the_same_name_stay() {
    let log = Log::filled().await;
    let dir = log.dir();
    let parts = [
        "audit",
        "archive",
        "--before",
        "23h",
        "--to",
        &dir,
        "--operator",
        "alice",
    ];
    let refused = log.run(&parts, &log.schema.owner_url()).await;
    assert!(refused.stderr.contains("rows of the last day"), "{}", refused.stderr);

    let taken = log.file(3, "jsonl").await;
    std::fs::create_dir_all(taken.parent().unwrap()).unwrap();
    std::fs::write(&taken, "of another database\n").unwrap();
    let refused = log.archive(1).await;
    assert!(
        refused.stderr.contains("exists and has other rows"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "of another database\n");
    assert_eq!(
        log.schema
            .sql("SELECT count(*) FROM audit WHERE user_id = 'GEN-001'")
            .await,
        ["4"]
    );
    // Not the role of workers.
    let parts = [
        "audit",
        "archive",
        "--before",
        "30d",
        "--to",
        &dir,
        "--operator",
        "alice",
    ];
    let refused = log.run(&parts, &log.schema.url()).await;
    assert!(
        refused.stderr.contains("as the owner of the schema"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn killed_archive_is_repeated_without_loss() {
    let log = Log::filled().await;
    log.schema.sql("CREATE TABLE released (row int)").await;
    // That of before all months has no rows.
    assert_eq!(log.archived(4).await, []);
    // Beside a reader that stays, no partition can be detached.
    let keep = "BEGIN; LOCK TABLE ONLY audit IN ACCESS SHARE MODE; \
                DO $$BEGIN FOR i IN 1..600 LOOP EXIT WHEN EXISTS (SELECT FROM released); PERFORM pg_sleep(0.1); END LOOP; END$$; COMMIT";
    let killed = async {
        let held = format!(
            "SELECT FROM pg_locks WHERE relation = '{}.audit'::regclass AND mode = 'AccessShareLock'",
            log.schema.name()
        );
        wait::until_true("the lock", wait::deadline(), async || {
            !log.schema.sql(&held).await.is_empty()
        })
        .await;
        let args = log.archive_args(1).await;
        let mut command = Command::new(POSTERN);
        command.args(&args);
        let process: Process = Launch::new("archive", &log.scratch, command)
            .without_environment()
            .start();
        let waiting = "SELECT FROM audit_checkpoints";
        wait::until_true("checkpoints", wait::deadline(), async || {
            !log.schema.sql(waiting).await.is_empty()
        })
        .await;
        process.kill().await;
        // The table has every row, and every row is verified: from the checkpoint before, if the chain has one.
        let rows = "SELECT count(*) FROM audit WHERE user_id LIKE 'GEN-%'";
        assert_eq!(log.schema.sql(rows).await, ["5"]);
        assert_eq!(log.intact(&[]).await, "7 rows of 3 users are as they were written");
        log.schema.sql("INSERT INTO released VALUES (1)").await;
    };
    tokio::join!(log.schema.sql(keep), killed);

    // As if a run had been killed between the two last steps.
    assert_eq!(log.archived(3).await, [(1, 1)]);
    let partition = log.old_tables().await.remove(0);
    let bound = format!(
        "SELECT substring(pg_get_expr(relpartbound, oid) FROM ' TO \\(''?(-?\\d+)') FROM pg_class WHERE oid = '{partition}'::regclass"
    );
    let bound = log.schema.sql(&bound).await.remove(0);
    log.schema
        .sql(&format!("CREATE TABLE copy AS SELECT * FROM {partition}"))
        .await;
    assert_eq!(log.archived(2).await, [(2, 2)]);
    log.schema
        .sql(&format!("ALTER TABLE copy RENAME TO audit_detached_{bound}"))
        .await;
    assert_eq!(log.archived(1).await, [(1, 1)]);
    assert!(
        !log.old_tables()
            .await
            .iter()
            .any(|table| table.starts_with("audit_detached"))
    );
    assert_eq!(
        log.intact(&["--archive", &log.dir()])
            .await
            .matches("4 rows in 3 archives")
            .count(),
        1
    );
}

#[tokio::test]
async fn rows_of_a_clock_that_was_set_back_are_archived_with_those_around_them() {
    let log = Log::start(KEYS).await;
    for months_ago in [3, 2, 3, 2, 1, 2] {
        log.write("GEN-001", months_ago).await;
    }
    // The second row is of the next month, and lies between two of this one.
    assert_eq!(log.archived(2).await, [(3, 1)]);
    assert_eq!(
        log.schema
            .sql("SELECT seq FROM audit WHERE user_id = 'GEN-001' ORDER BY seq")
            .await,
        ["4", "5", "6"]
    );
    log.intact(&[]).await;
    assert_eq!(log.archived(1).await, [(3, 1)]);
    assert_eq!(
        log.schema.sql("SELECT seq FROM audit WHERE user_id = 'GEN-001'").await,
        Vec::<String>::new()
    );
    let verified = log.intact(&["--archive", &log.dir()]).await;
    assert!(verified.contains("and 6 rows in 2 archives"), "{verified}");
    log.write("GEN-001", 0).await;
    log.intact(&["--archive", &log.dir()]).await;
}

#[tokio::test]
async fn worker_warns_of_partitions_that_end_soon() {
    let mut cluster = cluster(&Platforms::start().await).await;
    cluster.schema().end_audit_partitions(0).await;
    cluster.start_worker().await;
    wait::until_true("the warning", wait::deadline(), async || {
        cluster
            .worker(1)
            .logs()
            .contains("partitions of the audit log end soon, run postern migrate")
    })
    .await;
}
