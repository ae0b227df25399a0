//! PROXY protocol header (proxy-protocol.txt of HAProxy, versions 1 and 2), read from a connection byte for byte: nothing behind it is
//! consumed, and no buffer outlives it.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// First bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Closed by the peer before its first byte.
    Closed,
    /// No header. Nothing was consumed.
    NoHeader,
    /// Signature of a header, which was consumed.
    Signature(Version),
    /// Bytes that begin neither a header nor TLS; some were consumed.
    Neither,
}

/// Version of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// Error of a connection that ends within its header, or of a header that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// Disconnect within the header.
    #[error("read the PROXY header")]
    Io(#[from] io::Error),
    /// More bytes than the bound of its version.
    #[error("the PROXY header is longer than {0} bytes")]
    TooLong(usize),
    /// Violation of the protocol.
    #[error("parse the PROXY header")]
    Malformed(#[from] proxy_header::Error),
    /// UDP over a TCP connection.
    #[error("the PROXY header names a datagram")]
    Datagram,
}

/// Waits for the first byte and reads the signature of a header, if that byte may begin one. No byte of TLS is consumed: its records
/// begin with another.
pub(super) async fn begin(tcp: &mut TcpStream) -> io::Result<Beginning> {
    let mut first = [0];
    if tcp.peek(&mut first).await? == 0 {
        return Ok(Beginning::Closed);
    }
    let is_header = match first {
        [b'P'] => reads(tcp, V1_SIGNATURE).await?.then_some(Version::V1),
        [b'\r'] => reads(tcp, V2_SIGNATURE).await?.then_some(Version::V2),
        _ => return Ok(Beginning::NoHeader),
    };
    Ok(is_header.map_or(Beginning::Neither, Beginning::Signature))
}

async fn reads<const N: usize>(tcp: &mut TcpStream, signature: &[u8; N]) -> io::Result<bool> {
    let mut bytes = [0; N];
    tcp.read_exact(&mut bytes).await?;
    Ok(bytes == *signature)
}

/// Reads the header behind its signature. Returns the client's address, or `None` where the proxy names none: its own connection
/// (`LOCAL`), `UNKNOWN`, or a family without addresses.
///
/// # Errors
/// [`HeaderError`].
pub(super) async fn read(version: Version, tcp: &mut TcpStream) -> Result<Option<SocketAddr>, HeaderError> {
    let bytes = match version {
        Version::V1 => read_line(tcp).await?,
        Version::V2 => match read_block(tcp).await? {
            Some(block) => block,
            None => return Ok(None),
        },
    };
    let (header, _) = ProxyHeader::parse(&bytes, PARSE)?;
    let Some(addresses) = header.proxied_address() else {
        return Ok(None);
    };
    if addresses.protocol == Protocol::Datagram {
        return Err(HeaderError::Datagram);
    }
    Ok(Some(addresses.source))
}

/// Reads the line of version 1. Its end is searched in bytes that are not consumed yet.
async fn read_line(tcp: &mut TcpStream) -> Result<Vec<u8>, HeaderError> {
    let mut line = V1_SIGNATURE.to_vec();
    let mut bytes = [0; V1_MAX];
    while line.last() != Some(&b'\n') {
        let free = bytes.get_mut(line.len()..).filter(|free| !free.is_empty());
        let free = free.ok_or(HeaderError::TooLong(V1_MAX))?;
        let arrived = tcp.peek(free).await?;
        let end = free.iter().take(arrived).position(|byte| *byte == b'\n');
        let taken = end.map_or(arrived, |end| end + 1);
        let mut rest = AsyncReadExt::take(&mut *tcp, u64::try_from(taken).unwrap_or(0));
        if rest.read_buf(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(line)
}

/// Reads the block of version 2; `None` for the command `LOCAL`, whose addresses count for nothing.
async fn read_block(tcp: &mut TcpStream) -> Result<Option<Vec<u8>>, HeaderError> {
    let mut head = [0; 4];
    tcp.read_exact(&mut head).await?;
    let [version_and_command, _family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let total = V2_SIGNATURE.len() + head.len() + length;
    if total > V2_MAX {
        return Err(HeaderError::TooLong(V2_MAX));
    }
    let mut block = Vec::with_capacity(total);
    block.extend_from_slice(V2_SIGNATURE);
    block.extend_from_slice(&head);
    let mut rest = AsyncReadExt::take(&mut *tcp, u64::try_from(length).unwrap_or(0));
    rest.read_to_end(&mut block).await?;
    if block.len() < total {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok((version_and_command != V2_LOCAL).then_some(block))
}

const V1_SIGNATURE: &[u8; 6] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command `LOCAL`.
const V2_LOCAL: u8 = 0x20;
/// Longest line of version 1 (section 2.1).
const V1_MAX: usize = 107;
/// Longest block of version 2 with its TLVs, as in nginx. The addresses take 52 bytes, the TLVs of balancers a few hundred.
const V2_MAX: usize = 4096;
/// TLVs are skipped: nothing in them is used.
const PARSE: ParseConfig = ParseConfig {
    include_tlvs: false,
    allow_v1: true,
    allow_v2: true,
};

#[cfg(test)]
mod tests;
