//! WebSocket frames built by hand (RFC 6455 section 5.2), including those that no correct client sends.

/// WebSocket frame. A client's frame is final and masked by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// True if it is the last frame of its message.
    pub is_final: bool,
    /// Three reserved bits, RSV1 being 4.
    pub reserved: u8,
    /// Opcode: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong; up to 15.
    pub opcode: u8,
    /// True if the payload is masked, as a client's must be and a server's must not.
    pub is_masked: bool,
    /// Payload without mask.
    pub payload: Vec<u8>,
    /// Length in the header instead of the payload's own.
    pub claimed_length: Option<u64>,
}

impl Frame {
    /// Frame with any opcode.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        Self {
            is_final: true,
            reserved: 0,
            opcode,
            is_masked: true,
            payload,
            claimed_length: None,
        }
    }

    /// Whole text message.
    pub fn text(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(TEXT, payload)
    }

    /// Whole binary message.
    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(BINARY, payload)
    }

    /// Close frame with a code.
    pub fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self::new(CLOSE, payload)
    }

    /// Marks the frame as not the last of its message.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// Sets reserved bits: 4 is RSV1, 2 is RSV2, 1 is RSV3.
    #[must_use]
    pub fn reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// Removes the mask.
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.is_masked = false;
        self
    }

    /// Announces another length in the header than that of the payload.
    #[must_use]
    pub fn claiming(mut self, length: u64) -> Self {
        self.claimed_length = Some(length);
        self
    }

    /// Code and reason of a Close frame; 1005 when it has none.
    pub fn close_code(&self) -> Option<(u16, String)> {
        let code = |payload: &[u8]| match payload {
            [high, low, reason @ ..] => (
                u16::from_be_bytes([*high, *low]),
                String::from_utf8_lossy(reason).into_owned(),
            ),
            _ => (1005, String::new()),
        };
        (self.opcode == CLOSE).then(|| code(&self.payload))
    }

    /// Bytes of the frame.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.claimed_length.unwrap_or(self.payload.len() as u64);
        let mask_bit = u8::from(self.is_masked) << 7;
        let mut bytes = vec![u8::from(self.is_final) << 7 | (self.reserved & 7) << 4 | (self.opcode & 15)];
        if let Ok(short) = u8::try_from(length)
            && short < LENGTH_IN_2
        {
            bytes.push(mask_bit | short);
        } else if let Ok(medium) = u16::try_from(length) {
            bytes.push(mask_bit | LENGTH_IN_2);
            bytes.extend_from_slice(&medium.to_be_bytes());
        } else {
            bytes.push(mask_bit | LENGTH_IN_8);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        if self.is_masked {
            bytes.extend_from_slice(&MASK);
            bytes.extend(
                self.payload
                    .iter()
                    .zip(MASK.iter().cycle())
                    .map(|(byte, mask)| byte ^ mask),
            );
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }

    /// Takes the first frame off `unread`, once it is complete. Only a server's frames: a masked one keeps its mask.
    pub fn take(unread: &mut Vec<u8>) -> Option<Self> {
        let (&first, &second) = (unread.first()?, unread.get(1)?);
        let (head, length) = match second & !MASK_BIT {
            LENGTH_IN_2 => (4, u64::from(u16::from_be_bytes(unread.get(2..4)?.try_into().ok()?))),
            LENGTH_IN_8 => (10, u64::from_be_bytes(unread.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let whole = head + usize::try_from(length).ok()?;
        let payload = unread.get(head..whole)?.to_vec();
        unread.drain(..whole);
        Some(Self {
            is_final: first & FINAL_BIT != 0,
            reserved: first >> 4 & 7,
            opcode: first & 15,
            is_masked: second & MASK_BIT != 0,
            payload,
            claimed_length: None,
        })
    }
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const FINAL_BIT: u8 = 0x80;
const MASK_BIT: u8 = 0x80;
/// Markers of two or eight bytes of length, instead of a length below 126.
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;
/// Masking key. Any value will do: a mask only protects proxies from scripts in browsers.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_match_the_samples_of_rfc_6455() {
        // RFC 6455 section 5.7.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(Frame::text("Hello").bytes(), masked);
        assert_eq!(Frame::text("Hello").unmasked().bytes(), *b"\x81\x05Hello");
        assert_eq!(Frame::text("Hel").unfinished().unmasked().bytes(), *b"\x01\x03Hel");
        assert_eq!(Frame::new(0, "lo").unmasked().bytes(), *b"\x80\x02lo");
        assert_eq!(Frame::binary(vec![0; 256]).unmasked().bytes()[..4], [0x82, 0x7e, 1, 0]);
        assert_eq!(
            Frame::binary(vec![0; 65536]).unmasked().bytes()[..10],
            [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }

    #[test]
    fn frame_can_break_every_rule() {
        assert_eq!(Frame::new(15, "").reserved(7).unmasked().bytes(), [0xff, 0]);
        assert_eq!(
            Frame::new(2, "").claiming(1 << 62).bytes()[..10],
            [0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn written_frames_are_read_one_by_one() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let frames = [
                Frame::binary(vec![7; length]).unmasked(),
                Frame::close(4401, "why").unmasked(),
            ];
            let mut unread: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
            assert_eq!(Frame::take(&mut unread).as_ref(), Some(&frames[0]));
            assert_eq!(
                Frame::take(&mut unread).and_then(|frame| frame.close_code()),
                Some((4401, "why".to_owned()))
            );
            assert_eq!((Frame::take(&mut unread), unread.len()), (None, 0));
        }
    }

    #[test]
    fn half_a_frame_waits_for_its_other_half() {
        let bytes = Frame::text("Hello").unmasked().bytes();
        let mut unread = bytes[..4].to_vec();
        assert_eq!(Frame::take(&mut unread), None);
        unread.extend_from_slice(&bytes[4..]);
        assert!(Frame::take(&mut unread).is_some());
    }
}
