//! Deletion of many sessions beside commands. `cargo xtask long prune` deletes from 10 million sessions: `POSTERN_PRUNED_SESSIONS`.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use protocol::secret::Secret;
use store::{
    Accounts, PgSettings, PgStore, PrunePace, PruneRun, PrunedTable, Retention, SessionOpenRequest, SessionRecords,
};
use testkit::Postgres;
use testkit::postgres::Schema;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::contract::sessions::opening;
use crate::database::{meter, migrate};
use crate::pruning::TIMES;
use crate::sample::{audit_keys, link, receipt, user};

/// Sessions of a user.
const OF_USER: u64 = 10;

/// Rows that are inserted at once: a multiple of those of a user or a chain.
const PART: usize = 200_000;

/// Connections of the store: one for each loop, and some for the run.
pub(super) const POOL: usize = 8;

/// Loops of commands, each of which sends 50 commands a second.
pub(super) const LOOPS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_wait_for_no_lock_while_many_sessions_are_deleted() {
    let asked = by_hand("POSTERN_PRUNED_SESSIONS");
    let sessions = asked.unwrap_or(60_000);
    let postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    let settings = PgSettings::parse(&Secret::new(schema.url()), POOL).unwrap();
    migrate(&schema.owner_url()).await;
    let store = PgStore::connect(&settings, audit_keys(), &meter()).await.unwrap();
    fill(&schema, sessions).await;
    if asked.is_some() {
        println!("without pruning: {}", figures(commands_alone(&store).await));
    }

    let beside = Beside::new();
    let started = Instant::now();
    let prune = async {
        let run = PruneRun {
            retention: &store,
            times: &TIMES,
            receipt: &receipt("prune"),
            pace: PrunePace::Scheduled,
        };
        let mut rows = 0;
        // A scheduled run ends after 10 s.
        while !is_pruned(&store, started.elapsed()).await {
            rows += run.prune(PrunedTable::Sessions).await.unwrap();
        }
        beside.is_done.store(true, Ordering::Relaxed);
        rows
    };
    let (rows, durations, waits) = tokio::join!(prune, beside.commands(&store, "beside"), beside.waits(&schema));
    println!(
        "pruned {rows} of {sessions} sessions in {:?}: {}",
        started.elapsed(),
        figures(durations)
    );

    assert_eq!(rows, sessions / 3 * 2);
    assert_eq!(waits, Vec::<String>::new());
    let left = "SELECT count(*) FROM sessions WHERE session_id LIKE 'filled %'";
    assert_eq!(schema.sql(left).await, [(sessions - rows).to_string()]);
}

/// Durations of commands for ten seconds without anything beside.
pub(super) async fn commands_alone(store: &PgStore) -> Vec<Duration> {
    let alone = Beside::new();
    let ten_seconds = async {
        tokio::time::timeout(Duration::from_secs(10), std::future::pending::<()>())
            .await
            .unwrap_err();
        alone.is_done.store(true, Ordering::Relaxed);
    };
    let (durations, ()) = tokio::join!(alone.commands(store, "before"), ten_seconds);
    durations
}

/// Value of a variable that is set for a long form of the test.
#[expect(clippy::disallowed_methods, reason = "a long form, by hand")]
pub(super) fn by_hand(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Inserts sessions: a third is live, a third has expired, a third was ended long ago.
async fn fill(schema: &Schema, sessions: u64) {
    for numbers in parts(sessions) {
        let (first, last) = (numbers.start, numbers.end - 1);
        let fill = format!(
            "INSERT INTO users (user_id) SELECT 'filled-' || number FROM generate_series({first} / {OF_USER}, {last} / {OF_USER}) AS number; \
             INSERT INTO sessions (user_id, session_id, opened_at, exp_at, ended_at, newest_exp, address, device_id, user_agent) \
             SELECT 'filled-' || number / {OF_USER}, 'filled ' || number, now() - interval '500 d', \
             now() + CASE WHEN number % 3 = 0 THEN interval '1 h' ELSE interval '-450 d' END, \
             CASE WHEN number % 3 = 1 THEN now() - interval '440 d' END, now() - interval '430 d', '192.0.2.7', 'a device', \
             'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36' FROM generate_series({first}, {last}) AS number"
        );
        schema.sql(&fill).await;
    }
    let due = "UPDATE session_deadlines SET copied_at = now(); UPDATE prune_progress SET finished_at = '2026-01-01'";
    schema.sql(&format!("{due}; ANALYZE users, sessions")).await;
}

/// Parts of the rows of a table, each of which is inserted well within the time limit of the test kit's statements.
pub(super) fn parts(rows: u64) -> impl Iterator<Item = Range<u64>> {
    let begins = (0..rows).step_by(PART);
    begins.map(move |begin| begin..rows.min(begin + PART as u64))
}

/// Reports whether the sweep was finished within this time.
async fn is_pruned(store: &PgStore, within: Duration) -> bool {
    let ages = store.prune_ages().await.unwrap();
    ages.iter()
        .any(|(table, age)| *table == PrunedTable::Sessions && *age < within)
}

/// Work beside a run, until the run is done.
pub(super) struct Beside {
    pub(super) is_done: AtomicBool,
}

impl Beside {
    pub(super) fn new() -> Self {
        Self {
            is_done: AtomicBool::new(false),
        }
    }

    /// Commands of users with sessions, and how long each of them took.
    pub(super) async fn commands(&self, store: &PgStore, name: &str) -> Vec<Duration> {
        let loops = (0..LOOPS).map(|number| self.command_loop(store, (name, number)));
        join_all(loops).await.concat()
    }

    /// Loops have users of their own: no command waits for another.
    async fn command_loop(&self, store: &PgStore, (name, loop_number): (&str, u64)) -> Vec<Duration> {
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut durations = Vec::new();
        for number in 0_u64.. {
            let owner = format!("filled-{}", loop_number * 250 + number % 250);
            let session = format!("{name}-{loop_number}-{number}");
            let started = Instant::now();
            command(store, &owner, &session, number).await;
            durations.push(started.elapsed());
            if self.is_done.load(Ordering::Relaxed) {
                break;
            }
            ticks.tick().await;
        }
        durations
    }

    /// Statements that were seen to wait for a lock of a row, a transaction or a table.
    async fn waits(&self, schema: &Schema) -> Vec<String> {
        let waiting = "SELECT wait_event || ': ' || query FROM pg_stat_activity \
                       WHERE backend_type = 'client backend' AND wait_event_type = 'Lock' AND wait_event <> 'extend'";
        let mut ticks = interval(Duration::from_millis(20));
        let mut waits = Vec::new();
        while !self.is_done.load(Ordering::Relaxed) {
            waits.extend(schema.sql(waiting).await);
            ticks.tick().await;
        }
        waits
    }
}

fn opening_of(user_id: &str, session: &str) -> SessionOpenRequest {
    SessionOpenRequest {
        user: user(user_id),
        ..opening(session, 0)
    }
}

/// One of four commands.
async fn command(store: &PgStore, owner: &str, session: &str, number: u64) {
    let owner_id = user(owner);
    match number % 4 {
        0 => {
            store.open_session(&opening_of(owner, session), None).await.unwrap();
        }
        1 => {
            store.sessions_of(&owner_id, &[]).await.unwrap();
        }
        2 => {
            store.accounts(&owner_id).await.unwrap();
        }
        _ => {
            store
                .link_account(&link(session, session), &receipt(session))
                .await
                .unwrap();
        }
    }
}

/// Number, percentiles and maximum of durations.
pub(super) fn figures(mut durations: Vec<Duration>) -> String {
    durations.sort();
    let at = |share: usize| durations[(durations.len() - 1) * share / 100];
    format!(
        "{} commands, p50 {:?}, p99 {:?}, max {:?}",
        durations.len(),
        at(50),
        at(99),
        at(100)
    )
}
