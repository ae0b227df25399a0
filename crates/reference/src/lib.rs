//! Documents of the API, generated from the code: JSON Schemas, AsyncAPI, OpenAPI and TypeScript types.
//!
//! Owns: the form of the documents. The contract itself is `protocol`'s, the table of routes `gateway`'s: nothing is listed here a second
//! time.

mod asyncapi;
mod document;
mod schemas;
mod typescript;

pub use self::document::Document;

use protocol::schema::Catalogue;

/// All documents.
#[must_use]
pub fn documents() -> Vec<Document> {
    let catalogue = Catalogue::new();
    let mut documents = schemas::documents(&catalogue);
    documents.push(asyncapi::document(&catalogue));
    documents.push(typescript::document(&catalogue));
    documents
}

/// Version of Postern, which the documents state.
const VERSION: &str = env!("CARGO_PKG_VERSION");
