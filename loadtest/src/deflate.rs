//! Compressed WebSocket messages (RFC 7692) without context takeover. tungstenite does not support them: they are sent as raw frames, and
//! are received as plain binary messages, since [`FrameScanner`] below it rewrites their headers.

mod frame_scanner;
#[cfg(test)]
mod tests;

use std::io::Read;

use anyhow::{Context, bail};
use flate2::bufread::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

pub(crate) use self::frame_scanner::FrameScanner;

/// The message, compressed.
pub(crate) fn compressed(message: Message) -> anyhow::Result<Message> {
    let opcode = match message {
        Message::Binary(_) => Data::Binary,
        _ => Data::Text,
    };
    let message = message.into_data();
    let mut payload = Vec::with_capacity(message.len() + 1024);
    let mut stream = Compress::new(Compression::fast(), false);
    stream.compress_vec(&message, &mut payload, FlushCompress::Sync)?;
    // The empty block of the flush is not sent.
    payload.truncate(payload.len().saturating_sub(4));
    let header = FrameHeader {
        rsv1: true,
        opcode: OpCode::Data(opcode),
        mask: Some([0; 4]),
        ..FrameHeader::default()
    };
    Ok(Message::Frame(Frame::from_payload(header, payload.into())))
}

/// Receives the next message, decompressed; `None` at the end of the connection. Cancel safe.
pub(crate) async fn receive<S>(socket: &mut WebSocketStream<FrameScanner<S>>) -> anyhow::Result<Option<Message>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(message) = socket.next().await.transpose()? else {
        return Ok(None);
    };
    if !message.is_text() && !message.is_binary() {
        return Ok(Some(message));
    }
    Ok(Some(match socket.get_mut().compressed_type() {
        None => message,
        Some(Data::Text) => Message::text(String::from_utf8(decompressed(&message.into_data())?)?),
        Some(_) => Message::binary(decompressed(&message.into_data())?),
    }))
}

/// Decompresses a payload to at most [`MAX_MESSAGE`] bytes.
fn decompressed(payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut message = Vec::new();
    let stream = DeflateDecoder::new(payload.chain(TAIL));
    let read = stream.take(MAX_MESSAGE + 1).read_to_end(&mut message);
    if read.context("decompress a message")? as u64 > MAX_MESSAGE {
        bail!("a message of more than {MAX_MESSAGE} bytes");
    }
    Ok(message)
}

/// The empty block of the flush, which is not sent, and an empty last block.
const TAIL: &[u8] = &[0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];
/// Longest message, in bytes.
const MAX_MESSAGE: u64 = 4 * 1024 * 1024;
