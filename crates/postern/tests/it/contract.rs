//! Contract of the API: every operation and message of the exported documents, with a running cluster. What a document has and no case
//! covers fails these tests.

mod application;
mod device;
mod http;
mod operations;
mod schema;
mod tour;

use serde_json::Value;

/// Document of this path.
fn document(path: &str) -> Value {
    let documents = reference::documents().unwrap();
    let document = documents.iter().find(|document| document.path == path).unwrap();
    serde_json::from_str(&document.text).unwrap()
}
