//! Documents of the API, generated from the code: JSON Schemas, AsyncAPI, OpenAPI and TypeScript types.
//!
//! Owns: the form of the documents. The contract itself is `protocol`'s: nothing is listed here a second time.

mod asyncapi;
mod document;
mod openapi;
mod pages;
mod schemas;
mod typescript;

pub use self::document::Document;
pub use self::openapi::ExportError;

use protocol::schema::Catalogue;

/// All documents.
///
/// # Errors
/// [`ExportError`] when a route has no schema or no description.
pub fn documents() -> Result<Vec<Document>, ExportError> {
    let catalogue = Catalogue::new();
    let mut documents = schemas::documents(&catalogue);
    documents.push(asyncapi::document(&catalogue));
    let openapi = openapi::document(&catalogue)?;
    documents.extend(pages::documents(&catalogue, &openapi));
    documents.push(Document::json("openapi.json", &openapi));
    documents.push(typescript::document(&catalogue));
    Ok(documents)
}

/// Version of Postern, which the documents state.
const VERSION: &str = env!("CARGO_PKG_VERSION");
