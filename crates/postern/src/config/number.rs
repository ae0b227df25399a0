//! Numbers among the settings.

use std::str::FromStr;

/// Parses a number; `expected` completes "is ...".
pub(super) fn number<T: FromStr>(text: &str, expected: &str) -> Result<T, String> {
    refuse_float(text)?;
    text.parse().map_err(|_not_a_number| format!("is {expected}"))
}

/// Parses a share, from 0 to 1.
pub(super) fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or("is a number from 0 to 1")
}

/// Refuses a number that a tool wrote as a float, as Helm does with an unquoted one from 1000000: `7.123456789e+09`.
pub(super) fn refuse_float(text: &str) -> Result<(), String> {
    let is_float = text.split_once("e+").is_some_and(|(mantissa, exponent)| {
        is_digits(exponent) && mantissa.split('.').count() <= 2 && mantissa.split('.').all(is_digits)
    });
    if is_float {
        Err(format!(
            "is `{text}`, a whole number that was rendered as a float: put it in quotes where it is written"
        ))
    } else {
        Ok(())
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_rendered_as_a_float_is_refused_with_the_reason() {
        for text in ["7.123456789e+09", "1e+06", "1.048576e+06"] {
            let refused = number::<u64>(text, "a number").unwrap_err();
            assert!(
                refused.starts_with(&format!("is `{text}`, a whole number that was rendered as a float")),
                "{refused}"
            );
        }
    }

    #[test]
    fn ids_and_other_texts_are_no_floats() {
        for text in [
            "7123456789",
            "Iv1.8a61f9b3a7aba766",
            "1e10",
            "e+09",
            "1.2.3e+4",
            "1e+x",
            "1e+",
            "",
        ] {
            assert_eq!(refuse_float(text), Ok(()), "{text}");
        }
        assert_eq!(number::<u8>("many", "a number"), Err("is a number".to_owned()));
        assert_eq!(number("12", "a number"), Ok(12));
    }
}
