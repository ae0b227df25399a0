//! Parameters of statements: values with their Postgres type.
//!
//! An unprepared statement is sent with the types of its parameters. Prepared statements name the types too, so that both are
//! interpreted alike.

use std::fmt::Debug;

use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::{ToSql, Type};

/// Statement and its parameters.
pub(super) type Query<'a> = (&'a str, &'a [&'a dyn Parameter]);

/// Value of a statement's parameter.
pub(super) trait Parameter: ToSql + Sync {
    /// Postgres type of the parameter.
    fn sql_type(&self) -> Type;
}

impl<T: Typed + ToSql + Sync> Parameter for T {
    fn sql_type(&self) -> Type {
        T::TYPE
    }
}

/// Rust type with one Postgres type.
trait Typed: Debug {
    const TYPE: Type;
}

/// Element type of an array.
trait Element: Debug {
    const ARRAY: Type;
}

macro_rules! typed {
    ($($rust:ty => $scalar:ident, $array:ident;)+) => {
        $(
            impl Typed for $rust {
                const TYPE: Type = Type::$scalar;
            }

            impl Element for $rust {
                const ARRAY: Type = Type::$array;
            }
        )+
    };
}

typed! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    f64 => FLOAT8, FLOAT8_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    OffsetDateTime => TIMESTAMPTZ, TIMESTAMPTZ_ARRAY;
    Value => JSONB, JSONB_ARRAY;
    &Value => JSONB, JSONB_ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Element> Element for Option<T> {
    const ARRAY: Type = T::ARRAY;
}

impl<T: Element> Typed for Vec<T> {
    const TYPE: Type = T::ARRAY;
}

impl<T: Element> Typed for &[T] {
    const TYPE: Type = T::ARRAY;
}
