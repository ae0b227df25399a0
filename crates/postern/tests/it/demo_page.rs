//! The demo's page in Chromium, as a person uses it: each scenario is a script in `scripts/demo`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::node::Script;

use crate::command_line::Dev;
use crate::stage::script;

#[tokio::test]
async fn demo_goes_from_sign_in_to_revocation_in_two_browsers_on_two_gateways() {
    run("tour", &[]).await;
}

#[tokio::test]
async fn demo_warns_of_the_end_of_a_session_extends_it_and_reports_its_end() {
    run("session", &["--session-timeout", "20s", "--session-warning", "12s"]).await;
}

#[tokio::test]
async fn demo_resumes_after_the_kill_of_its_gateway_and_reports_lost_events() {
    run("kill", &[]).await;
}

#[tokio::test]
async fn demo_works_by_the_keyboard_alone_in_360_pixels() {
    run("keyboard", &[]).await;
}

/// Runs a scenario against a `postern dev` with these arguments.
async fn run(scenario: &str, args: &[&str]) {
    let dev = Dev::start(args).await;
    let scenario = Script::new(script(&format!("demo/{scenario}.cjs")))
        .env("DEV", dev.ready_line())
        .env("PICTURES", pictures())
        .start();
    let status = scenario.wait(WITHIN).await;
    assert_eq!(status, 0, "{}\n{}", scenario.logs(), dev.log());
    dev.stop().await;
}

/// Folder of the pictures of the page: `POSTERN_DEMO_PICTURES`, relative to the workspace, else below `target`.
#[expect(clippy::disallowed_methods, reason = "a test is no node: it has no configuration")]
fn pictures() -> OsString {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder: PathBuf = std::env::var_os("POSTERN_DEMO_PICTURES").map_or(made, |folder| workspace.join(folder));
    folder.into_os_string()
}

/// The longest scenario takes about half a minute on an idle machine.
const WITHIN: Duration = Duration::from_secs(240);
