//! Rewriting of well-formed JSON that `serde_json` refuses.

use super::MAX_DEPTH;

/// Rewrites a well-formed text, with U+FFFD for lone surrogates, 1e308 for numbers beyond `f64`, and null for values that are
/// nested too deep.
pub(super) fn repaired(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(first) = rest.first() {
        let (token, after) = rest.split_at_checked(token_len(*first, rest)).unwrap_or((rest, &[]));
        rest = after;
        match first {
            b'[' | b'{' => {
                depth += 1;
                match depth {
                    ..=MAX_DEPTH => out.extend_from_slice(token),
                    TOO_DEEP => out.extend_from_slice(b"null"),
                    _ => {}
                }
            }
            b']' | b'}' => {
                if depth <= MAX_DEPTH {
                    out.extend_from_slice(token);
                }
                depth = depth.saturating_sub(1);
            }
            _ if depth > MAX_DEPTH => {}
            b'"' => push_text(&mut out, token),
            b'-' | b'0'..=b'9' => push_number(&mut out, token),
            _ => out.extend_from_slice(token),
        }
    }
    out
}

const TOO_DEEP: usize = MAX_DEPTH + 1;

/// Length of the text or number that begins here; other tokens are taken byte by byte.
fn token_len(first: u8, rest: &[u8]) -> usize {
    match first {
        b'"' => text_len(rest),
        b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
        _ => 1,
    }
}

fn text_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let inside = text.iter().skip(1).take_while(|byte| {
        let continues = escaped || **byte != b'"';
        escaped = !escaped && **byte == b'\\';
        continues
    });
    inside.count() + 2
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn push_number(out: &mut Vec<u8>, token: &[u8]) {
    let number = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
    match number {
        Some(MOST..) => out.extend_from_slice(b"1e308"),
        Some(..=LEAST) => out.extend_from_slice(b"-1e308"),
        _ => out.extend_from_slice(token),
    }
}

// `serde_json` reads some numbers near the end of `f64` and refuses others.
const MOST: f64 = 1e308;
const LEAST: f64 = -1e308;

fn push_text(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = text.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = text.split_at(at);
        out.extend_from_slice(plain);
        let low_follows = || escape.get(6..).and_then(surrogate) == Some(Surrogate::Low);
        let (written, len): (&[u8], usize) = match surrogate(escape) {
            Some(Surrogate::High) if low_follows() => (escape.get(..12).unwrap_or(escape), 12),
            Some(_) => (br"\ufffd", 6),
            // Of other escapes of six bytes the last four are plain.
            None => (escape.get(..2).unwrap_or(escape), 2),
        };
        out.extend_from_slice(written);
        text = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(text);
}

/// Half of a surrogate pair, which encodes one character beyond 16 bits (RFC 8259, section 7).
#[derive(PartialEq)]
enum Surrogate {
    High,
    Low,
}

/// Surrogate whose escape begins here.
fn surrogate(escape: &[u8]) -> Option<Surrogate> {
    match escape {
        [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'A' | b'b' | b'B', ..] => Some(Surrogate::High),
        [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..] => Some(Surrogate::Low),
        _ => None,
    }
}
