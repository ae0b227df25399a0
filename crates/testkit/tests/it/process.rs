//! Processes end with their handles, and with the test process when that is killed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use testkit::scratch::Scratch;
use testkit::{Launch, Postgres, Redis, wait};

/// Set in the process that [`killed_test_process_leaves_nothing_behind`] starts and kills.
const VICTIM: &str = "TESTKIT_VICTIM";

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn is_running(pid: impl std::fmt::Display) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn output_and_exit_status_can_be_read_and_awaited() {
    let scratch = Arc::new(Scratch::new("process"));
    let process = Launch::new("talker", &scratch, shell("echo out; echo err >&2; exit 3")).start();
    assert_eq!(process.line("er", wait::deadline()).await, "err");
    assert_eq!(process.wait(wait::deadline()).await, 3);
    assert_eq!(
        (process.stdout().as_str(), process.stderr().as_str()),
        ("out\n", "err\n")
    );
    assert!(scratch.logs().contains("out\n"));
}

#[tokio::test]
async fn exit_status_contains_the_signal() {
    let scratch = Arc::new(Scratch::new("process"));
    let process = Launch::new("sleeper", &scratch, shell("exec sleep 1000")).start();
    assert_eq!(process.exit_status(), None);
    process.terminate();
    assert_eq!(process.wait(wait::deadline()).await, 128 + 15);
}

#[tokio::test]
async fn folder_is_removed_with_its_last_user() {
    let scratch = Arc::new(Scratch::new("process"));
    let path = scratch.path().to_owned();
    let process = Launch::new("sleeper", &scratch, shell("exec sleep 1000")).start();
    drop(scratch);
    assert!(path.exists());
    let pid = process.pid();
    drop(process);
    assert!(!is_running(pid));
    assert!(!path.exists());
}

#[test]
fn folder_is_closed_to_other_users() {
    let scratch = Scratch::new("process");
    assert_eq!(scratch.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn missing_program_fails_with_status_127() {
    let scratch = Arc::new(Scratch::new("process"));
    let process = Launch::new("nobody", &scratch, Command::new("there-is-no-such-program")).start();
    // 126 where a folder of the search path may not be entered.
    assert!([126, 127].contains(&process.wait(wait::deadline()).await));
    assert!(process.stderr().contains("there-is-no-such-program"));
}

#[tokio::test]
async fn killed_test_process_leaves_nothing_behind() {
    let scratch = Arc::new(Scratch::new("victim"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "process::process_to_be_killed", "--nocapture"])
        .env(VICTIM, "yes");
    let victim = Launch::new("victim", &scratch, command).start();
    let line = victim.line("STARTED ", wait::deadline()).await;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let (pids, folders) = words[1..].split_at(2);
    assert!(pids.iter().all(is_running), "{line}");
    assert!(folders.iter().all(|folder| Path::new(folder).exists()), "{line}");

    victim.kill().await;

    wait::until_true("the servers to end", wait::deadline(), async || {
        !pids.iter().any(is_running)
    })
    .await;
    let gone = async || !folders.iter().any(|folder| Path::new(folder).exists());
    wait::until_true("their folders to go", wait::deadline(), gone).await;
}

/// Does nothing in an ordinary run: the test above starts it as the process to kill.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test above says by the environment that it is its victim"
)]
async fn process_to_be_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let mut redis = Redis::start().await;
    redis.pause();
    let postgres = Postgres::shared().await;
    let (redis_folder, postgres_folder) = (redis.scratch().path(), postgres.scratch().path());
    println!(
        "STARTED {} {} {} {}",
        redis.pid(),
        postgres.pid(),
        redis_folder.display(),
        postgres_folder.display()
    );
    std::future::pending::<()>().await;
}
