//! Schemas of parts that no derive describes (feature `schema`).

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::CloseCode;

/// Schema of a `T` or null. A derived `Option` is a field that may be absent; this one is a value.
pub(crate) fn nullable<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"oneOf": [generator.subschema_for::<T>(), {"type": "null"}]})
}

impl JsonSchema for CloseCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CloseCode".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "description": "Close code of the server (RFC 6455 section 7.4).",
            "oneOf": Self::ALL.map(|code| json_schema!({"const": code.as_u16(), "description": code.as_str()})),
        })
    }
}
