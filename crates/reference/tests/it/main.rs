//! Exported documents: complete, and valid by implementations that are not ours.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::panic, reason = "a helper that fails is a test that fails")]

mod completeness;
mod frames;

use serde_json::Value;

/// Exported JSON document.
fn document(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

/// Exported file.
fn text(path: &str) -> String {
    let documents = reference::documents().unwrap();
    let document = documents.into_iter().find(|document| document.path == path);
    document.unwrap_or_else(|| panic!("{path} is not exported")).text
}
