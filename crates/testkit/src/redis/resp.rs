//! Minimal client of the Redis protocol (RESP 2): sends one command and reads its reply.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::fail::{OrFail as _, fail};

type RedisConnection = BufReader<TcpStream>;

/// Sends one command over a connection of its own; returns the leaves of the reply in sequence, a nil as an empty text.
///
/// Fails the test when Redis is unreachable or returns an error.
pub(super) async fn command<A: AsRef<[u8]>>(server: SocketAddr, arguments: &[A]) -> Vec<Vec<u8>> {
    let stream = TcpStream::connect(server).await.or_fail("connect to Redis");
    let mut connection = BufReader::new(stream);
    let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments.iter().map(AsRef::as_ref) {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
    connection.write_all(&request).await.or_fail("send a command to Redis");
    read_answer(&mut connection).await
}

/// Reads one reply. Nested arrays are flattened by counting the elements that are still to come.
async fn read_answer(connection: &mut RedisConnection) -> Vec<Vec<u8>> {
    let mut leaves = Vec::new();
    let mut to_come: u64 = 1;
    while to_come > 0 {
        to_come -= 1;
        let mut line = String::new();
        connection.read_line(&mut line).await.or_fail("read an answer of Redis");
        let mut rest = line.trim_end().chars();
        let kind = rest.next().or_fail("read an answer of Redis");
        let rest = rest.as_str();
        match kind {
            '+' | ':' => leaves.push(rest.as_bytes().to_vec()),
            '-' => fail("run a Redis command", rest),
            // A negative length is a nil.
            '$' => leaves.push(match rest.parse::<usize>() {
                Ok(length) => read_bulk(connection, length).await,
                Err(_) => Vec::new(),
            }),
            '*' => to_come += rest.parse::<u64>().unwrap_or_default(),
            _ => fail("read an answer of Redis", line),
        }
    }
    leaves
}

async fn read_bulk(connection: &mut RedisConnection, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length + 2];
    connection
        .read_exact(&mut bytes)
        .await
        .or_fail("read an answer of Redis");
    bytes.truncate(length);
    bytes
}
