//! One line per event: text from outside can neither forge a second line nor control a terminal.

use std::io;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Creates writers that escape every control character except the line feed at the end.
#[derive(Debug)]
pub(super) struct OneLine<W>(pub(super) W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = Escaping<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Escaping(self.0.make_writer())
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        Escaping(self.0.make_writer_for(metadata))
    }
}

/// Writer of whole lines: `tracing_subscriber` writes an event with one call.
pub(super) struct Escaping<W>(W);

impl<W: io::Write> io::Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(escaped(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Escapes control characters as JSON does (RFC 8259, section 7), which is valid in a JSON line and readable in a text line.
fn escaped(line: &str) -> String {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let mut escaped = String::with_capacity(line.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            control if control.is_control() => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => escaped.push(plain),
        }
    }
    escaped.push('\n');
    escaped
}
