//! Generated file.

use serde_json::Value;

/// Generated file, to be written below one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Path below the folder, with slashes.
    pub path: String,
    /// Content of the file.
    pub text: String,
}

impl Document {
    pub(crate) fn json(path: impl Into<String>, value: &Value) -> Self {
        Self {
            path: path.into(),
            text: format!("{value:#}\n"),
        }
    }
}
