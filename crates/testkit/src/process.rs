//! Child process that ends with its handle, and with the test process however that dies.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::scratch::Scratch;
use crate::wait;

/// Command, and the signal that ends it.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    name: String,
    scratch: Arc<Scratch>,
    account: Option<Account>,
    last_signal: Signal,
    inherits_environment: bool,
}

impl Launch {
    /// Prepares `command` to run in `scratch`, where its output goes to `<name>.out` and `<name>.err`.
    ///
    /// Only program, arguments and the set and removed variables of the command count.
    pub fn new(name: impl Into<String>, scratch: &Arc<Scratch>, command: Command) -> Self {
        let (name, scratch) = (name.into(), Arc::clone(scratch));
        Self {
            command,
            name,
            scratch,
            account: None,
            last_signal: Signal::SIGKILL,
            inherits_environment: true,
        }
    }

    /// Runs the command under another account.
    pub(crate) fn run_as(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Runs the command with the search path and its own variables alone. `Command::env_clear` does not do it: a command does not
    /// report that it was called.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.inherits_environment = false;
        self
    }

    /// Ends the process with this signal instead of SIGKILL, which still follows after ten seconds.
    #[must_use]
    pub fn end_with(mut self, last_signal: Signal) -> Self {
        self.last_signal = last_signal;
        self
    }

    /// Starts the command.
    pub fn start(self) -> Process {
        let log = self.scratch.path().join(&self.name);
        let mut supervisor = Command::new("sh");
        supervisor
            .args(["-c", SUPERVISOR, "testkit"])
            .arg(&log)
            .arg(self.last_signal.as_str().trim_start_matches("SIG"));
        supervisor.arg(self.command.get_program()).args(self.command.get_args());
        if !self.inherits_environment {
            supervisor.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        }
        for (key, value) in self.command.get_envs() {
            match value {
                Some(value) => supervisor.env(key, value),
                None => supervisor.env_remove(key),
            };
        }
        if let Some(account) = self.account {
            account.run(&mut supervisor);
        }
        // Its own group: Ctrl-C goes to the whole foreground group and must not end the supervisor before its child.
        supervisor.process_group(0).current_dir(self.scratch.path());
        supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut supervisor = supervisor.spawn().or_fail("start sh");
        let pid = read_pid(&mut supervisor).or_fail("start a program under sh");
        Process {
            supervisor,
            pid,
            log,
            scratch: self.scratch,
        }
    }
}

/// Started process. Its drop ends the process and waits for that.
#[derive(Debug)]
pub struct Process {
    supervisor: Child,
    pid: Pid,
    log: PathBuf,
    scratch: Arc<Scratch>,
}

impl Process {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Sends a signal; does nothing when the process has ended.
    pub fn signal(&self, signal: Signal) {
        // After the end, another process may have the number.
        if self.exit_status().is_none() {
            send(self.pid, signal);
        }
    }

    /// Sends SIGSTOP to the process and all its descendants: connections stay open and nothing responds.
    pub fn pause(&self) {
        // The parent comes first, so that it starts no child that would be missed.
        self.signal(Signal::SIGSTOP);
        for child in descendants(self.pid) {
            send(child, Signal::SIGSTOP);
        }
    }

    /// Sends SIGKILL to the first of its descendants.
    pub(crate) fn kill_child(&self) {
        let child = descendants(self.pid).into_iter().next();
        send(child.or_fail("find a child of the process"), Signal::SIGKILL);
    }

    /// Sends SIGCONT to the process and all its descendants.
    pub fn resume(&self) {
        for child in descendants(self.pid) {
            send(child, Signal::SIGCONT);
        }
        self.signal(Signal::SIGCONT);
    }

    /// Sends SIGKILL and waits for the end; returns the exit status.
    pub async fn kill(&self) -> i32 {
        self.signal(Signal::SIGKILL);
        self.wait(wait::deadline()).await
    }

    /// Sends SIGTERM, the request to shut down.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Exit status as in a shell: 128 and the signal's number after a signal, 127 when the program was not found; `None` while
    /// the process runs.
    pub fn exit_status(&self) -> Option<i32> {
        let status = std::fs::read_to_string(self.log.with_extension("status")).ok()?;
        status.strip_suffix('\n')?.parse().ok()
    }

    /// Waits for the end; returns the exit status as [`Process::exit_status`].
    pub async fn wait(&self, within: Duration) -> i32 {
        let what = format!("the end of {}", self.log.display());
        wait::until(&what, within, async || self.exit_status()).await
    }

    /// Waits until a line of the output contains `text`, and returns that line; fails the test when the process ends before.
    pub async fn line(&self, text: &str, within: Duration) -> String {
        let what = format!("the line {text:?} of {}", self.log.display());
        wait::until(&what, within, async || {
            let ended = self.exit_status();
            let found = self.logs().lines().find(|line| line.contains(text)).map(str::to_owned);
            match (found, ended) {
                (None, Some(status)) => fail(
                    "wait",
                    format_args!("the process ended ({status}) without {text:?}:\n{}", self.logs()),
                ),
                (found, _) => found,
            }
        })
        .await
    }

    /// Output to stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.log.with_extension("out"))
    }

    /// Output to stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.log.with_extension("err"))
    }

    /// Output to stdout, then output to stderr.
    pub fn logs(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Working folder.
    pub fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            // A stopped descendant could not handle the signal that ends its parent.
            self.resume();
        }
        drop(self.supervisor.stdin.take());
        // Bounded: the supervisor ends its child with SIGKILL after ten seconds.
        drop(self.supervisor.wait());
    }
}

/// Sends a signal to a process that may have ended.
fn send(pid: Pid, signal: Signal) {
    match signal::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => fail("signal a process", error),
    }
}

/// First line of the supervisor.
fn read_pid(supervisor: &mut Child) -> Option<Pid> {
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take()?).read_line(&mut line).ok()?;
    line.trim().parse().ok().map(Pid::from_raw)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Descendants of `pid`, by the parent ids in `/proc`.
fn descendants(pid: Pid) -> Vec<Pid> {
    let processes: Vec<(Pid, Pid)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((Pid::from_raw(number(&entry.file_name())?), parent(&entry.path())?)))
        .collect();
    let mut family = vec![pid];
    let mut seen = 0;
    while let Some(&of) = family.get(seen) {
        family.extend(
            processes
                .iter()
                .filter(|(_, parent)| *parent == of)
                .map(|(child, _)| *child),
        );
        seen += 1;
    }
    family.split_off(1)
}

/// Parent id: the second field after the name in `/proc/<pid>/stat`. The name is in brackets and may contain spaces.
fn parent(process: &Path) -> Option<Pid> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

fn number(name: &OsStr) -> Option<i32> {
    name.to_str()?.parse().ok()
}

/// Supervisor script: runs the program with its output in files, prints its id, and records its exit status. Its stdin is a pipe
/// of the test process: when that closes, by a drop or by any death, the program is ended.
///
/// The trap matters: a group that is orphaned while one of its processes is stopped gets SIGHUP from the kernel (POSIX,
/// `_exit`), so that the death of the test process would end the supervisor of a paused server before the server.
const SUPERVISOR: &str = r#"
exec 3<&0 4>&1 </dev/null >/dev/null 2>&1
log=$1 last_signal=$2
shift 2
"$@" >"$log.out" 2>"$log.err" 3<&- 4>&- &
child=$!
trap '' HUP INT TERM
echo "$child" >&4
exec 4>&-
{
  read -r _ <&3
  kill -s "$last_signal" "$child"
  kill -s CONT "$child"
  tries=0
  while [ "$tries" -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -s KILL "$child"
} &
guard=$!
wait "$child"
status=$?
kill -s KILL "$guard"
echo "$status" >"$log.status"
read -r _ <&3
"#;
