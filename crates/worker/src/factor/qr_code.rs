//! QR code of a text, as a PNG image of two colours.

use png::{BitDepth, ColorType, Encoder, EncodingError};
use qrcodegen::{DataTooLong, QrCode, QrCodeEcc};

/// Text that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(super) enum QrCodeError {
    /// More text than a QR code can contain.
    #[error("encode the QR code")]
    TooLong(#[from] DataTooLong),
    /// Failure of the image encoder.
    #[error("encode the PNG image")]
    Image(#[from] EncodingError),
}

/// Draws the QR code of a text with error correction of level M, and returns a PNG image.
///
/// # Errors
/// [`QrCodeError`].
pub(super) fn png(text: &str) -> Result<Vec<u8>, QrCodeError> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)?;
    let modules = code.size() + 2 * MARGIN;
    let width = modules * PIXELS;
    let mut image = Vec::new();
    let mut encoder = Encoder::new(&mut image, width.unsigned_abs(), width.unsigned_abs());
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let lines = (0..width).flat_map(|y| line(&code, y / PIXELS - MARGIN, modules));
    encoder.write_header()?.write_image_data(&lines.collect::<Vec<u8>>())?;
    Ok(image)
}

/// Pixels of one line of the image. A module is eight pixels wide: one byte, of which each bit that is set is white.
fn line(code: &QrCode, y: i32, modules: i32) -> impl Iterator<Item = u8> {
    (0..modules).map(move |x| if code.get_module(x - MARGIN, y) { 0 } else { u8::MAX })
}

/// Width of a module in pixels.
const PIXELS: i32 = 8;
/// Width of the margin in modules (ISO/IEC 18004: four at least).
const MARGIN: i32 = 4;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn image_has_the_modules_of_the_text_within_a_white_margin() {
        let text = "otpauth://totp/Postern:GEN-001?secret=JBSWY3DPEHPK3PXP&issuer=Postern";
        let mut reader = png::Decoder::new(Cursor::new(png(text).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        let modules = code.size() + 8;
        assert_eq!(i64::from(info.width), i64::from(modules * 8));
        assert_eq!(info.width, info.height);
        let row = usize::try_from(modules).unwrap();
        for (number, byte) in (0..).zip(&pixels) {
            let (x, y) = (number % row, number / row / 8);
            let at = |module: usize| i32::try_from(module).unwrap() - 4;
            let expected = if code.get_module(at(x), at(y)) { 0x00 } else { 0xff };
            assert_eq!(*byte, expected, "{x}, {y}");
        }
    }

    #[test]
    fn text_beyond_the_capacity_of_a_code_is_an_error() {
        assert!(matches!(png(&"x".repeat(3_000)), Err(QrCodeError::TooLong(_))));
    }
}
