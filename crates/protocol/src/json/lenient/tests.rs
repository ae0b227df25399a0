//! Tests of lenient reading.

use serde::Deserialize;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn lone_surrogate_is_the_replacement_character_and_a_pair_is_its_character() {
    for (text, value) in [
        (r#""My phone \ud83d""#, "My phone \u{fffd}"),
        (r#""\uD83D""#, "\u{fffd}"),
        (r#""\udcf1 low""#, "\u{fffd} low"),
        (r#""\ud83d\ud83d\udcf1""#, "\u{fffd}\u{1f4f1}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83dX\udcf1""#, "\u{fffd}X\u{fffd}"),
        (r#""\ud83d\udcf1 \ud83d""#, "\u{1f4f1} \u{fffd}"),
        // No surrogate, only similar text.
        (r#""\\ud83d \ud83d""#, "\\ud83d \u{fffd}"),
        (r#""\"\\\ud83d\"""#, "\"\\\u{fffd}\""),
        (r#""\ud7ff\ue000 \ud83d""#, "\u{d7ff}\u{e000} \u{fffd}"),
    ] {
        assert_eq!(parsed(text), json!(value), "{text}");
    }
    let everywhere = parsed(r#"{"\ud83d":[{"a\udcf1":"\ud83d"}],"b":1}"#);
    assert_eq!(everywhere, json!({"\u{fffd}": [{"a\u{fffd}": "\u{fffd}"}], "b": 1}));
}

#[test]
fn number_beyond_f64_is_clamped() {
    for (text, value) in [
        ("1e400", 1e308),
        ("-1E+400", -1e308),
        ("17976931348623159e292", 1e308),
        ("1e99999999999999999999", 1e308),
        ("1e-400", 0.0),
    ] {
        assert_eq!(parsed(text), json!(value), "{text}");
        assert_eq!(parsed(&format!("[1,{text},2]")), json!([1, value, 2]), "{text}");
    }
    let long = "9".repeat(400);
    assert_eq!(parsed(&long), json!(1e308));
    assert_eq!(
        parsed("[1.5e300,1e400]"),
        json!([1.5e300, 1e308]),
        "others are left alone"
    );
}

#[test]
fn value_nested_too_deep_is_null_and_its_siblings_stay() {
    let nested = |levels: usize| format!("{}7{}", "[".repeat(levels), "]".repeat(levels));
    let depth = |mut value: &Value| {
        let mut depth = 0;
        while let Value::Array(items) = value {
            (value, depth) = (&items[0], depth + 1);
        }
        (depth, value.clone())
    };
    assert_eq!(depth(&parsed(&nested(MAX_DEPTH))), (MAX_DEPTH, json!(7)));
    for levels in [MAX_DEPTH + 1, MAX_DEPTH + 2, 30_000] {
        assert_eq!(depth(&parsed(&nested(levels))), (MAX_DEPTH, Value::Null), "{levels}");
    }
    let beside = format!(r#"{{"deep":{{"a":{}}},"b":"]}}\"","c":[1]}}"#, nested(200));
    let read = parsed(&beside);
    assert_eq!((&read["b"], &read["c"]), (&json!("]}\""), &json!([1])));
}

#[test]
fn malformed_text_is_refused() {
    for text in [
        "",
        "{",
        "[1e400",
        "[1e400}",
        r#""\ud83"#,
        r#"["\ud83d]"#,
        r#"["\ud83d"] 7"#,
        r#"["\ud83d",]"#,
        r#"{"\ud83d"}"#,
        "[1e400,01]",
        "[1e400,+1]",
        "[1e400,1.]",
        "[NaN]",
        "[-Infinity]",
        "\"\\ud83d \0\"",
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse(b"[\"\\ud83d \xff\"]").is_err(), "no UTF-8");
    let unbalanced = format!("{}{}", "[".repeat(300), "]".repeat(299));
    assert!(parse(unbalanced.as_bytes()).is_err());
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Read {
    count: Option<u32>,
    signed: i64,
    large: u64,
    ratio: f64,
    text: String,
    many: Vec<u8>,
    inner: Option<Box<Self>>,
}

fn read_text(text: &str) -> Result<Read, String> {
    let read = read::<Read>(parsed(text));
    read.map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

#[test]
fn integer_is_read_from_a_float_or_a_text() {
    for written in [
        "45",
        "45.0",
        "4.5e1",
        "450E-1",
        r#""45""#,
        r#""45.0""#,
        r#""4.5e1""#,
        r#"" 45 ""#,
    ] {
        assert_eq!(
            read_text(&format!(r#"{{"count":{written}}}"#)).unwrap().count,
            Some(45),
            "{written}"
        );
        let inner = format!(r#"{{"inner":{{"many":[1,{written}]}}}}"#);
        assert_eq!(read_text(&inner).unwrap().inner.unwrap().many, [1, 45], "{written}");
    }
    for zero in ["-0.0", "-0", r#""-0.0""#, "0e5"] {
        assert_eq!(
            read_text(&format!(r#"{{"count":{zero}}}"#)).unwrap().count,
            Some(0),
            "{zero}"
        );
    }
    let signed = |text| read_text(text).unwrap().signed;
    assert_eq!(signed(r#"{"signed":-7.0}"#), -7);
    assert_eq!(signed(r#"{"signed":"-9223372036854775808"}"#), i64::MIN);
    assert_eq!(signed(r#"{"signed":9007199254740992.0}"#), 9_007_199_254_740_992);
    assert_eq!(
        read_text(r#"{"large":"18446744073709551615"}"#).unwrap().large,
        u64::MAX
    );
    let ratio = |text| read_text(text).unwrap().ratio;
    assert!((ratio(r#"{"ratio":"0.5"}"#) - 0.5).abs() < 1e-9 && (ratio(r#"{"ratio":7}"#) - 7.0).abs() < 1e-9);
}

#[test]
fn invalid_number_is_refused_by_its_field() {
    for written in [
        "45.5",
        "-1",
        "-1.0",
        "4294967296",
        "1e400",
        "1e300",
        "99999999999999999999",
        r#""45.5""#,
        r#""045""#,
        r#""+45""#,
        r#""4,5""#,
        r#""0x2d""#,
        r#""""#,
        r#""1e400""#,
        "\"\u{ff14}\u{ff15}\"",
        "true",
        "[45]",
        "{}",
    ] {
        let refused = read_text(&format!(r#"{{"inner":{{"count":{written}}}}}"#)).unwrap_err();
        assert!(refused.starts_with("inner.count: "), "{written}: {refused}");
    }
    let beyond_exact = read_text(r#"{"signed":9007199254740994.0}"#);
    assert!(beyond_exact.is_err(), "{beyond_exact:?}");
}

#[test]
fn nul_is_refused_only_where_a_text_is_read() {
    let refused = read_text(r#"{"inner":{"text":"a\u0000b"}}"#).unwrap_err();
    assert!(
        refused.starts_with("inner.text: ") && refused.ends_with("expected a text without NUL"),
        "{refused}"
    );
    let ignored = read_text(r#"{"text":"a","other":["\u0000",{"\u0000":"\ud83d"}],"more\u0000":1}"#);
    assert_eq!(ignored.unwrap().text, "a");
    assert!(read_text(r#"{"text":7}"#).is_err(), "a number is no text");
}
