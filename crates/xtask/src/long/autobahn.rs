//! `cargo xtask long autobahn`: runs the Autobahn test suite against the gateway's WebSocket transport.

mod report;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use serde_json::json;

use self::report::Report;
use super::run_all;

/// Builds the echo server, runs `wstest` against it, and fails on a case whose behaviour is not accepted.
pub(crate) fn autobahn(root: &Path, target: &Path) -> anyhow::Result<ExitCode> {
    require_wstest()?;
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--locked",
        "-p",
        "gateway",
        "--features",
        "autobahn",
        "--example",
        ECHO,
    ]);
    if run_all([build], root)? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let reports = target.join("autobahn");
    if reports.exists() {
        fs::remove_dir_all(&reports).with_context(|| format!("remove {}", reports.display()))?;
    }
    fs::create_dir_all(&reports).with_context(|| format!("create {}", reports.display()))?;
    let server = EchoServer::start(&target.join("debug/examples").join(ECHO))?;
    let spec = reports.join("fuzzingclient.json");
    fs::write(&spec, fuzzing_client(&server.address, &reports)).context("write the specification of the cases")?;
    let mut wstest = Command::new("wstest");
    wstest.args(["--mode", "fuzzingclient", "--spec"]).arg(&spec);
    let ran = run_all([wstest], &reports)?;
    drop(server);
    if ran != ExitCode::SUCCESS {
        return Ok(ran);
    }
    let index = fs::read_to_string(reports.join("index.json")).context("read the report of wstest")?;
    let report = Report::parse(&index)?;
    crate::print_lines(report.lines(GROUPS));
    Ok(if report.passed(GROUPS) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Fails with installation instructions if there is no `wstest`.
fn require_wstest() -> anyhow::Result<()> {
    let version = Command::new("wstest").arg("--autobahnversion").output();
    match version {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!("wstest does not run: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{INSTALL}"),
        Err(error) => Err(error).context("run wstest"),
    }
}

/// Returns the specification that `wstest` reads. The subprotocol is that of `/ws`, which the handshake requires.
fn fuzzing_client(address: &str, reports: &Path) -> String {
    let cases: Vec<String> = GROUPS.iter().map(|group| format!("{group}.*")).collect();
    let server = json!({ "agent": "postern", "url": format!("ws://{address}/ws"), "protocols": ["postern.v1.json"] });
    json!({ "outdir": reports, "servers": [server], "cases": cases, "exclude-cases": [], "exclude-agent-cases": {} })
        .to_string()
}

/// Running echo server, killed when dropped.
struct EchoServer {
    process: Child,
    /// `host:port`.
    address: String,
}

impl EchoServer {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdout = process.stdout.take().context("the echo server has no stdout")?;
        let mut server = Self {
            process,
            address: String::new(),
        };
        BufReader::new(stdout)
            .read_line(&mut server.address)
            .context("read the address of the echo server")?;
        server.address.truncate(server.address.trim_end().len());
        Ok(server)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        // Both fail only if it has exited already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Example of crate `gateway` that echoes every message.
const ECHO: &str = "autobahn_echo";

/// Groups of cases that apply to a server that echoes: framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closes, limits,
/// and compression.
const GROUPS: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "9", "10", "12", "13"];

const INSTALL: &str = "wstest is not installed. The package autobahntestsuite of PyPI needs Python 2.7:\n\
     \n    virtualenv --python python2.7 autobahn && autobahn/bin/pip install autobahntestsuite\n\
     \n(virtualenv 20.21 is the last one that supports it), then put autobahn/bin into PATH. Without Python 2.7, the Docker image \
     crossbario/autobahn-testsuite has it: a script `wstest` in PATH may run `docker run` with the host network and this directory.";
