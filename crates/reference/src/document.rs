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

/// Adds a member to an object.
pub(crate) fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

impl Document {
    pub(crate) fn json(path: impl Into<String>, value: &Value) -> Self {
        Self {
            path: path.into(),
            text: format!("{value:#}\n"),
        }
    }
}
