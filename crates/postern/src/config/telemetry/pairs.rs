//! Pairs of keys and values, as in W3C Baggage: `key=value,key=value`, the values with percent-encoding.

use percent_encoding::percent_decode_str;

/// Text that has no pairs. It may be a secret, so the error does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is a list of key=value, separated by commas, with percent-encoding in the values")]
pub(super) struct NoPairs;

/// Parses pairs; an empty text has none.
///
/// # Errors
/// [`NoPairs`].
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, NoPairs> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(pair).collect()
}

fn pair(text: &str) -> Result<(String, String), NoPairs> {
    let (key, value) = text.split_once('=').ok_or(NoPairs)?;
    let value = percent_decode_str(value.trim())
        .decode_utf8()
        .map_err(|_no_text| NoPairs)?;
    match key.trim() {
        "" => Err(NoPairs),
        key => Ok((key.to_owned(), value.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_commas_and_their_values_decoded() {
        let pairs = parse(" k8s.pod.name = pod-1 , a=b%2Cc%20d=e,,empty= ").unwrap();
        let expected = [("k8s.pod.name", "pod-1"), ("a", "b,c d=e"), ("empty", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["alone", "=value", "a=b,alone", "a=%ff"] {
            assert_eq!(parse(text), Err(NoPairs), "{text}");
        }
    }
}
