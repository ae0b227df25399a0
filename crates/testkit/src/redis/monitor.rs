//! Record of every command that a Redis server executes, by its command MONITOR.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::resp;
use crate::fail::{OrFail as _, fail};
use crate::wait;

/// Running record of a server's commands. It ends with this value.
#[derive(Debug)]
pub struct Monitor {
    server: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    _reading: JoinSet<()>,
}

/// One command of a client, and the commands that its script executed.
#[derive(Clone, Debug)]
pub struct Call {
    /// The command and its arguments, as MONITOR quotes them.
    pub command: String,
    /// Commands of the script, as MONITOR quotes them; empty for a command that runs none.
    pub inner: Vec<String>,
}

impl Call {
    /// Reports whether the command, or one of its script, contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.command.contains(text) || self.inner.iter().any(|command| command.contains(text))
    }

    /// Number of commands that the server executed.
    pub fn commands(&self) -> usize {
        1 + self.inner.len()
    }
}

impl Monitor {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).await.or_fail("connect to Redis");
        stream.write_all(b"MONITOR\r\n").await.or_fail("send MONITOR to Redis");
        let mut lines = BufReader::new(stream);
        let mut answer = String::new();
        lines.read_line(&mut answer).await.or_fail("read the answer to MONITOR");
        if answer.trim_end() != "+OK" {
            fail("start MONITOR", answer);
        }
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut reading = JoinSet::new();
        reading.spawn(record(lines, Arc::clone(&calls)));
        Self {
            server,
            calls,
            _reading: reading,
        }
    }

    /// Takes the calls that the server has executed since the last time.
    pub async fn take(&self) -> Vec<Call> {
        resp::command(self.server, &["ECHO", MARK]).await;
        wait::until("MONITOR to report a call", wait::deadline(), async || {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let mark = calls
                .iter()
                .position(|call: &Call| call.command.ends_with(MARK_QUOTED))?;
            let rest = calls.split_off(mark + 1);
            let mut taken = std::mem::replace(&mut *calls, rest);
            taken.pop();
            Some(taken)
        })
        .await
    }
}

/// Files each line: `+<time> [<db> <client>] "COMMAND" "argument"`, where the client is `lua` for a command of a script.
async fn record(mut lines: BufReader<TcpStream>, calls: Arc<Mutex<Vec<Call>>>) {
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        let Some((client, command)) = text.trim_end().split_once("] ") else {
            continue;
        };
        let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.last_mut().filter(|_| client.ends_with(" lua")) {
            Some(script) => script.inner.push(command.to_owned()),
            None => calls.push(Call {
                command: command.to_owned(),
                inner: Vec::new(),
            }),
        }
    }
}

/// Argument of the command that ends a part of the record.
const MARK: &str = "testkit monitor";
const MARK_QUOTED: &str = "\"testkit monitor\"";
