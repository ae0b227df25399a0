//! Redis that accepts only TLS, and only clients with a certificate.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use testkit::port::Port;
use testkit::scratch::Scratch;
use testkit::tls::Authority;
use testkit::{Launch, Process, wait};

/// Running server; it ends with this value.
pub(crate) struct TlsRedis {
    port: Port,
    scratch: Arc<Scratch>,
    arguments: Vec<String>,
    starts: usize,
    process: Process,
}

/// Certificate of a server with its key, and the authorities of its clients: PEM files.
pub(crate) struct ServerTls {
    certificate: PathBuf,
    key: PathBuf,
    clients: PathBuf,
}

impl ServerTls {
    /// Certificate of one authority, for clients of another.
    pub(crate) fn new(server: &Authority, clients: &Authority) -> Self {
        let (certificate, key) = server.issue_files("redis");
        Self {
            certificate,
            key,
            clients: clients.pem_path().to_owned(),
        }
    }
}

impl TlsRedis {
    /// Starts a server with further arguments.
    pub(crate) async fn start(tls: &ServerTls, arguments: &[String]) -> Self {
        let (port, scratch) = (Port::claim(), Arc::new(Scratch::new("redis-tls")));
        let process = launch(&scratch, &port, 1, tls, arguments).await;
        Self {
            port,
            scratch,
            arguments: arguments.to_vec(),
            starts: 1,
            process,
        }
    }

    /// Starts the server again on the same port, empty, with another certificate or authority of clients.
    pub(crate) async fn restart(&mut self, tls: &ServerTls) {
        self.process.kill().await;
        self.starts += 1;
        self.process = launch(&self.scratch, &self.port, self.starts, tls, &self.arguments).await;
    }

    /// Number of the port, at `localhost`.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }
}

async fn launch(scratch: &Arc<Scratch>, port: &Port, start: usize, tls: &ServerTls, arguments: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--bind", "127.0.0.1", "--save", "", "--dir", "."]);
    command.args([
        "--notify-keyspace-events",
        "Ex",
        "--tls-port",
        &port.number().to_string(),
    ]);
    command
        .args(["--tls-auth-clients", "yes", "--tls-cert-file"])
        .arg(&tls.certificate);
    command.arg("--tls-key-file").arg(&tls.key);
    command.arg("--tls-ca-cert-file").arg(&tls.clients).args(arguments);
    let process = Launch::new(format!("redis-{start}"), scratch, command).start();
    process.line("Ready to accept connections", wait::deadline()).await;
    process
}
