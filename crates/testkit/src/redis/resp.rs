//! Minimal client of the Redis protocol (RESP 2): sends one command and reads its reply.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::fail::OrFail as _;

type RedisConnection = BufReader<TcpStream>;

/// Failure of a command.
#[derive(Debug)]
pub(super) enum CommandError {
    /// Error reply, such as `MOVED 3999 127.0.0.1:6381`.
    Refused(String),
    /// Connection failed, or ended before the reply.
    Connection(io::Error),
    /// No reply in time.
    Silent,
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reply) => formatter.write_str(reply),
            Self::Connection(error) => write!(formatter, "no reply of Redis: {error}"),
            Self::Silent => formatter.write_str("no reply of Redis in time"),
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// Sends one command over a connection of its own; returns the leaves of the reply in sequence, a nil as an empty text.
///
/// Fails the test when Redis is unreachable or returns an error.
pub(super) async fn command<A: AsRef<[u8]>>(server: SocketAddr, arguments: &[A]) -> Vec<Vec<u8>> {
    send(server, arguments).await.or_fail("run a Redis command")
}

/// [`command`] that returns the failure, also when a paused server does not respond.
pub(super) async fn try_command<A: AsRef<[u8]>>(
    server: SocketAddr,
    arguments: &[A],
) -> Result<Vec<Vec<u8>>, CommandError> {
    match tokio::time::timeout(PATIENCE, send(server, arguments)).await {
        Ok(reply) => reply,
        Err(_) => Err(CommandError::Silent),
    }
}

async fn send<A: AsRef<[u8]>>(server: SocketAddr, arguments: &[A]) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut connection = BufReader::new(TcpStream::connect(server).await?);
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    connection.write_all(&request).await?;
    read_answer(&mut connection).await
}

/// Reads one reply. Nested arrays are flattened by counting the elements that are still to come.
async fn read_answer(connection: &mut RedisConnection) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut leaves = Vec::new();
    let mut to_come: u64 = 1;
    while to_come > 0 {
        to_come -= 1;
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        let mut rest = line.trim_end().chars();
        let kind = rest.next();
        let rest = rest.as_str();
        match kind {
            Some('+' | ':') => leaves.push(rest.as_bytes().to_vec()),
            Some('-') => return Err(CommandError::Refused(rest.to_owned())),
            // A negative length is a nil.
            Some('$') => leaves.push(match rest.parse::<usize>() {
                Ok(length) => read_bulk(connection, length).await?,
                Err(_) => Vec::new(),
            }),
            Some('*') => to_come += rest.parse::<u64>().unwrap_or_default(),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the reply {line:?}")).into()),
        }
    }
    Ok(leaves)
}

async fn read_bulk(connection: &mut RedisConnection, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    connection.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Time in which a server that is not paused responds, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);
