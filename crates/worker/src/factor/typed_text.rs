//! Normalization of typed or pasted text: codes, telephone numbers, addresses.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Removes separators, and converts decimal digits of any script and full-width characters to ASCII.
pub(super) fn normalized(text: &str) -> String {
    let characters = text.chars().map(narrow);
    characters
        .filter(|character| !is_separator(*character))
        .map(ascii_digit)
        .collect()
}

/// Removes white space and invisible characters at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || is_invisible(character))
}

/// Converts a full-width character to ASCII; both ranges have the same sequence (Unicode block `Halfwidth and Fullwidth Forms`).
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        _ => character,
    }
}

/// Reports whether a character only groups digits: white space, an invisible character, a dash or a dot.
fn is_separator(character: char) -> bool {
    character.is_whitespace() || is_invisible(character) || is_dash(character) || DOTS.contains(&character)
}

/// Reports whether a character is a zero-width space, a soft hyphen, a byte order mark, or a direction mark, which text copied from a
/// right-to-left page contains.
fn is_invisible(character: char) -> bool {
    character.general_category() == GeneralCategory::Format
}

fn is_dash(character: char) -> bool {
    character.general_category() == GeneralCategory::DashPunctuation || OTHER_DASHES.contains(&character)
}

/// Converts a decimal digit of any script to ASCII. The digits of a script are contiguous from 0 to 9 (The Unicode Standard, section
/// 4.6), so the number of digits before one in its run is its value.
fn ascii_digit(character: char) -> char {
    if character.is_ascii() || !is_decimal(character) {
        return character;
    }
    let code = u32::from(character);
    let is_digit_before = |back: &u32| {
        let before = code.checked_sub(*back).and_then(char::from_u32);
        before.is_some_and(is_decimal)
    };
    let before = (1..).take_while(is_digit_before).last().unwrap_or(0);
    char::from_digit(before % 10, 10).unwrap_or(character)
}

fn is_decimal(character: char) -> bool {
    character.general_category() == GeneralCategory::DecimalNumber
}

/// Dashes outside of Unicode's dash punctuation: superscript, subscript, modifier and minus sign, hyphen bullet, swung dash, and the
/// prolonged sound marks, which a Japanese keyboard produces for a hyphen.
const OTHER_DASHES: [char; 8] = [
    '\u{207b}', '\u{208b}', '\u{2d7}', '\u{2212}', '\u{2043}', '\u{2053}', '\u{30fc}', '\u{ff70}',
];

/// Full stops of several scripts, middle dots and bullets.
const DOTS: [char; 13] = [
    '.', '\u{b7}', '\u{2022}', '\u{2024}', '\u{2027}', '\u{2219}', '\u{22c5}', '\u{3002}', '\u{30fb}', '\u{ff61}',
    '\u{ff65}', '\u{6d4}', '\u{fe52}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_of_every_script_become_ascii() {
        for zero in [
            '0',
            '\u{660}',
            '\u{6f0}',
            '\u{7c0}',
            '\u{966}',
            '\u{9e6}',
            '\u{e50}',
            '\u{1040}',
            '\u{1090}',
            '\u{17e0}',
            '\u{ff10}',
            '\u{104a0}',
            '\u{1d7ce}',
            '\u{1d7d8}',
            '\u{1d7f6}',
            '\u{1e950}',
            '\u{1fbf0}',
        ] {
            let digits: String = (0..10)
                .filter_map(|value| char::from_u32(u32::from(zero) + value))
                .collect();
            assert_eq!(normalized(&digits), "0123456789", "{digits}");
        }
    }

    /// Assumption of [`ascii_digit`], for every version of the Unicode tables.
    #[test]
    fn decimal_digits_are_contiguous_runs_of_ten() {
        let mut run = 0;
        for code in 0..=u32::from(char::MAX) {
            if char::from_u32(code).is_some_and(is_decimal) {
                run += 1;
            } else {
                assert_eq!(run % 10, 0, "before {code:x}");
                run = 0;
            }
        }
    }

    #[test]
    fn only_separators_are_removed() {
        for separator in [
            " ", "\t", "\r\n", "\u{a0}", "\u{2009}", "\u{202f}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{ad}",
            "\u{200e}", "\u{2067}", "-", "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "\u{2015}",
            "\u{2212}", "\u{fe63}", "\u{ff0d}", "\u{30fc}", ".", "\u{ff0e}", "\u{b7}", "\u{3002}", " - ",
        ] {
            assert_eq!(
                normalized(&format!("{separator}1{separator}a{separator}")),
                "1a",
                "{separator:?}"
            );
        }
        for kept in [
            "+1", "1,2", "1/2", "(1)", "1_2", "1:2", "\u{0}", "\u{2460}", "\u{b2}", "\u{e9}", "\u{4e00}",
        ] {
            assert_eq!(normalized(kept), kept);
        }
    }

    #[test]
    fn trimming_keeps_inner_separators() {
        assert_eq!(trimmed("\u{feff} a b-c \u{200b}\n"), "a b-c");
    }
}
