//! Archive of many audit rows beside commands. `cargo xtask long prune` archives 10 million: `POSTERN_ARCHIVED_ROWS`.
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs these tests")]

use std::sync::atomic::Ordering;

use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::{
    Audit, AuditCheckpoint, AuditPartition, AuditPosition, ChainHead, PgSettings, PgStore, close_audit_partition,
    drop_audit_partition, old_audit_partitions,
};
use testkit::Postgres;
use testkit::postgres::Schema;
use tokio::time::Instant;

use super::audit::UNPROTECTED;
use super::retention_scale::{Beside, POOL, by_hand, commands_alone, figures, parts};
use crate::database::{meter, migrate};
use crate::sample::audit_keys;

/// Rows of a chain.
const OF_CHAIN: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_executed_while_many_audit_rows_are_archived() {
    let asked = by_hand("POSTERN_ARCHIVED_ROWS");
    let rows = asked.unwrap_or(50_000);
    let postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    migrate(&schema.owner_url()).await;
    schema.end_audit_partitions(2).await;
    migrate(&schema.owner_url()).await;
    fill(&schema, rows).await;
    let (store, owner) = (connect(&schema.url()).await, connect(&schema.owner_url()).await);
    if asked.is_some() {
        println!("without an archive: {}", figures(commands_alone(&store).await));
    }

    let beside = Beside::new();
    let started = Instant::now();
    let archive = async {
        let archived = archive(&schema, &owner).await;
        beside.is_done.store(true, Ordering::Relaxed);
        archived
    };
    let (archived, durations) = tokio::join!(archive, beside.commands(&store, "beside"));
    println!(
        "archived {archived} rows in {:?}: {}",
        started.elapsed(),
        figures(durations)
    );

    assert_eq!(archived, rows);
    let chains = (rows / OF_CHAIN).to_string();
    assert_eq!(schema.sql("SELECT count(*) FROM audit_checkpoints").await, [chains]);
    assert_eq!(
        schema.sql("SELECT count(*) FROM audit WHERE job_id = 'filled'").await,
        ["0"]
    );
    let started = Instant::now();
    let tip = store.audit_tip("filled-1").await.unwrap();
    println!("tip of a chain after {:?}", started.elapsed());
    assert_ne!(tip.first, Some(1));
}

async fn connect(url: &str) -> PgStore {
    let settings = PgSettings::parse(&Secret::new(url), POOL).unwrap();
    PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap()
}

/// Inserts rows of the month before the last, and the heads of their chains.
async fn fill(schema: &Schema, rows: u64) {
    schema.sql(UNPROTECTED).await;
    for numbers in parts(rows) {
        let (first, last) = (numbers.start, numbers.end - 1);
        let fill = format!(
            "INSERT INTO audit SELECT 'filled-' || number / {OF_CHAIN}, number % {OF_CHAIN} + 1, 3, \
             (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month') * 1000)::bigint - 1 - number % 1000000, \
             'device_seen', '', 'ok', 1, 'session', 'connection', 'filled', 'test', decode(repeat('00', 32), 'hex'), '', '', \
             '0af7651916cd43dd8448eb211c80319c', decode(repeat('00', 150), 'hex') FROM generate_series({first}, {last}) AS number; \
             INSERT INTO audit_heads (user_id, seq, mac, logged) SELECT 'filled-' || chain, {OF_CHAIN}, \
             decode(repeat('00', 32), 'hex'), {OF_CHAIN} FROM generate_series({first} / {OF_CHAIN}, {last} / {OF_CHAIN}) AS chain"
        );
        schema.sql(&fill).await;
    }
    let protect = "ALTER TABLE audit ENABLE TRIGGER USER; ALTER TABLE audit_heads ENABLE TRIGGER USER";
    schema.sql(&format!("{protect}; ANALYZE audit, audit_heads")).await;
}

/// Reads the old partitions, stores the checkpoints of their chains and drops them, as `postern audit archive` does. Returns the number of
/// rows.
async fn archive(schema: &Schema, owner: &PgStore) -> u64 {
    let settings = PgSettings::parse(&Secret::new(schema.owner_url()), 1).unwrap();
    let now = schema.sql("SELECT (extract(epoch FROM now()) * 1000)::bigint").await;
    let now = Timestamp::from_millis(now[0].parse().unwrap());
    let mut rows = 0;
    for partition in old_audit_partitions(&settings, now).await.unwrap() {
        close_audit_partition(&settings, &partition).await.unwrap();
        rows += checkpoint(owner, &partition).await;
        let started = Instant::now();
        drop_audit_partition(&settings, &partition, &[]).await.unwrap();
        println!("dropped a partition within {:?}", started.elapsed());
    }
    rows
}

/// Reads a partition and stores the checkpoints of its chains. Returns the number of rows.
async fn checkpoint(owner: &PgStore, partition: &AuditPartition) -> u64 {
    let (mut after, mut rows) = (AuditPosition::start(), 0);
    let mut ends: Vec<ChainHead> = Vec::new();
    loop {
        let page = owner.audit_partition_page(partition, &after, 5_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = AuditPosition {
            user: last.user.clone(),
            seq: last.seq,
        };
        rows += page.len() as u64;
        for row in &page {
            match ends.last_mut() {
                Some(end) if end.user == row.user => *end = row.head(),
                _ => ends.push(row.head()),
            }
        }
        // The last chain may go on in the next page.
        let open = ends.pop();
        store_all(owner, partition, &ends).await;
        ends.clear();
        ends.extend(open);
    }
    store_all(owner, partition, &ends).await;
    rows
}

async fn store_all(owner: &PgStore, partition: &AuditPartition, ends: &[ChainHead]) {
    let keys = audit_keys();
    let signed = ends
        .iter()
        .map(|end| AuditCheckpoint::sign(&keys, end, partition.before.as_millis(), None));
    owner
        .store_audit_checkpoints(&signed.collect::<Vec<_>>())
        .await
        .unwrap();
}
