//! Exported documents: complete, and valid by implementations that are not ours.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::panic, reason = "a helper that fails is a test that fails")]

mod completeness;
