//! Version of a message between nodes, or of a stored value, that is a JSON object: its field `v`.

use serde::Deserialize;

/// Version of a JSON object, whatever else it has; none if it has no version.
#[must_use]
pub fn version_of(json: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let versioned: Versioned = serde_json::from_slice(json).ok()?;
    Some(versioned.v)
}

/// Reports whether a JSON object is of a newer version than the latest that the reader decodes.
#[must_use]
pub fn is_newer(json: &[u8], latest: u8) -> bool {
    version_of(json).is_some_and(|version| version > latest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_an_object_of_any_shape() {
        assert_eq!(version_of(br#"{"v":2,"data":[{"v":3}]}"#), Some(2));
        assert_eq!(version_of(br#"{"outcomes":{},"v":1000}"#), Some(1_000));
        for json in [r#"{"data":{}}"#, r#"{"v":"2"}"#, "2", ""] {
            assert_eq!(version_of(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn only_a_higher_version_is_newer() {
        assert!(is_newer(br#"{"v":2}"#, 1));
        for json in [r#"{"v":1}"#, r#"{"v":0}"#, "{}"] {
            assert!(!is_newer(json.as_bytes(), 1), "{json}");
        }
    }
}
