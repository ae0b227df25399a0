//! Echo server for `cargo xtask long autobahn`: prints its address and serves until it is killed.

#![expect(clippy::print_stdout, reason = "xtask reads the address from stdout")]

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    gateway::serve_echo(listener).await
}
