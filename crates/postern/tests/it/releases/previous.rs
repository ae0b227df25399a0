//! Build of the previous release, for the tests that run it beside this one.
//!
//! `.ci/previous-release` has its commit. The binary is built once for each commit and kept in `target/previous-release`. Its target folder is one
//! of its own, as cargo waits for the lock of the one in which these tests were built, and begins with the dependencies of that one, so
//! that only the crates of the workspace are compiled: a minute instead of ten.

mod dependencies;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tokio::sync::OnceCell;

use crate::stage::POSTERN;

/// Binary of the previous release; none, with a line that says why, where it cannot be built.
pub(super) async fn previous_release() -> Option<PathBuf> {
    // Once in each test process; others wait for the lock of the folder.
    static BUILT: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let built = BUILT.get_or_init(async || build_if_possible(&previous_commit())).await;
    match built {
        Ok(binary) => Some(binary.clone()),
        Err(reason) => {
            // Not by a macro, whose output the test harness captures.
            let line = format!("skipped, as the previous release cannot be built: {reason}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
    }
}

fn previous_commit() -> String {
    let file = fs::read_to_string(root().join(".ci/previous-release")).unwrap();
    let commit = file.lines().find(|line| !line.starts_with('#')).unwrap();
    commit.trim().to_owned()
}

/// Returns the reason where the sources of the commit are not here: a folder without git's history, a shallow clone, or no git.
fn build_if_possible(commit: &str) -> Result<PathBuf, String> {
    let releases = target().join("previous-release");
    let folder = releases.join(commit);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let binary = folder.join("postern");
    if binary.exists() {
        return Ok(binary);
    }
    for other in fs::read_dir(&releases).unwrap().map(|entry| entry.unwrap().path()) {
        if other != folder {
            fs::remove_dir_all(other).unwrap();
        }
    }
    let wanted = format!("{commit}^{{commit}}");
    let found = run(git().args(["cat-file", "-e", &wanted])).map_err(|error| format!("git: {error}"))?;
    if !found.status.success() {
        let stderr = String::from_utf8_lossy(&found.stderr);
        return Err(format!("git has no commit {commit}: {}", stderr.trim()));
    }
    let (sources, target) = (folder.join("sources"), folder.join("target"));
    for left in [&sources, &target] {
        // Of a run that was cut off. A link in it must not be written through.
        if left.exists() {
            fs::remove_dir_all(left).unwrap();
        }
    }
    extract(commit, &sources);
    dependencies::copy(&profile_folder(), &target.join("debug"), &sources.join("Cargo.lock")).unwrap();
    build(&sources, &target);
    // Whole or not at all, as a run may be cut off.
    fs::rename(target.join("debug/postern"), &binary).unwrap();
    fs::remove_dir_all(&target).unwrap();
    fs::remove_dir_all(&sources).unwrap();
    Ok(binary)
}

fn extract(commit: &str, sources: &Path) {
    fs::create_dir_all(sources).unwrap();
    let mut archive = git()
        .args(["archive", "--format=tar", commit])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let files = archive.stdout.take().unwrap();
    let unpacked = Command::new("tar").arg("-x").current_dir(sources).stdin(files).status();
    assert!(unpacked.unwrap().success(), "unpack the sources");
    assert!(archive.wait().unwrap().success(), "git archive");
}

/// Builds the binary with a low priority, as other tests run beside it. The network is used only if a crate is missing.
///
/// Features are those of the tests' own build, which has the development dependencies of all crates: otherwise tokio would have others,
/// and everything above it would be compiled again. Cargo counts them if one target is a test, an example or a benchmark; the benchmark
/// of the codecs is small, and its crate lies below all others.
fn build(sources: &Path, target: &Path) {
    let cargo = |offline: &[&str]| {
        let mut cargo = Command::new("nice");
        cargo.args(["-n", "10"]).arg(cargo_program());
        cargo
            .args(["build", "--quiet", "--locked", "--workspace"])
            .args(offline);
        cargo.args([
            "--bin",
            "postern",
            "--bench",
            "codecs",
            "--config",
            "profile.dev.debug=false",
        ]);
        cargo.arg("--target-dir").arg(target).current_dir(sources);
        run(cargo.env("CARGO_INCREMENTAL", "0")).unwrap()
    };
    if cargo(&["--offline"]).status.success() {
        return;
    }
    let built = cargo(&[]);
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "build the previous release:\n{stderr}");
}

fn run(command: &mut Command) -> std::io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(root());
    git
}

/// Cargo that runs these tests, else that of the search path.
#[expect(clippy::disallowed_methods, reason = "a test is no node: it has no configuration")]
fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folder with the binary under test, such as `target/debug`.
fn profile_folder() -> PathBuf {
    Path::new(POSTERN).parent().unwrap().to_owned()
}

fn target() -> PathBuf {
    profile_folder().parent().unwrap().to_owned()
}
