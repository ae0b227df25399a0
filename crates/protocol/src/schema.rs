//! JSON Schemas (2020-12) of the wire contract, from the types themselves (feature `schema`).
//!
//! What Postern writes and what it reads are described apart: a field that may be absent is never null in what it writes, and may be in
//! what it reads.

mod api;
mod catalogue;
mod contract;
mod normalize;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::CloseCode;

pub use self::api::ApiCatalogue;
pub use self::catalogue::{Catalogue, CommandSchemas, MessageSchema, PUSHED_ANSWERS, reference_to};

impl JsonSchema for CloseCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CloseCode".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let codes = Self::ALL.map(|code| json_schema!({"const": code.as_u16(), "description": code.as_str()}));
        json_schema!({
            "description": "Close code of the server (RFC 6455 section 7.4).",
            "oneOf": codes,
        })
    }
}
