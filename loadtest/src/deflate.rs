//! Compressed WebSocket messages (RFC 7692).

use flate2::{Compress, Compression, FlushCompress};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

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
