//! Normalisation of what people type or paste: codes, telephone numbers, addresses.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The text without separators, its decimal digits of any script as ASCII, full-width letters and signs too.
pub(super) fn normalized(text: &str) -> String {
    let letters = text.chars().map(narrow);
    letters
        .filter(|letter| !is_separator(*letter))
        .map(ascii_digit)
        .collect()
}

/// The text without white space and invisible characters at its ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

/// The ASCII character of a full-width one, which stand in the same order (Unicode block `Halfwidth and Fullwidth Forms`).
fn narrow(letter: char) -> char {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        _ => letter,
    }
}

/// White space, invisible characters, dashes and dots: what groups the digits of a code and means nothing.
fn is_separator(letter: char) -> bool {
    letter.is_whitespace() || is_invisible(letter) || is_dash(letter) || DOTS.contains(&letter)
}

/// Zero-width spaces, soft hyphens, byte order marks, and the marks of direction that come along with text copied from a
/// right-to-left page.
fn is_invisible(letter: char) -> bool {
    letter.general_category() == GeneralCategory::Format
}

fn is_dash(letter: char) -> bool {
    letter.general_category() == GeneralCategory::DashPunctuation || OTHER_DASHES.contains(&letter)
}

/// The value of a decimal digit, as ASCII. Those of a script follow one another from 0 to 9 (The Unicode Standard, section 4.6), and
/// so the digits before one, down to where its run begins, tell its value.
fn ascii_digit(letter: char) -> char {
    if letter.is_ascii() || !is_decimal(letter) {
        return letter;
    }
    let code = u32::from(letter);
    let is_digit_before = |back: &u32| {
        let before = code.checked_sub(*back).and_then(char::from_u32);
        before.is_some_and(is_decimal)
    };
    let before = (1..).take_while(is_digit_before).last().unwrap_or(0);
    char::from_digit(before % 10, 10).unwrap_or(letter)
}

fn is_decimal(letter: char) -> bool {
    letter.general_category() == GeneralCategory::DecimalNumber
}

/// Dashes that Unicode does not count as punctuation: superscript, subscript, modifier and minus sign, hyphen bullet, swung dash,
/// and the prolonged sound marks that a Japanese keyboard gives for a hyphen.
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
    fn decimal_digits_of_every_script_are_read_by_their_value() {
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

    /// What the reading of digits rests on, for every version of the tables.
    #[test]
    fn decimal_digits_stand_in_runs_of_ten() {
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
    fn separators_are_left_out_and_nothing_else_is() {
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
    fn the_inside_of_a_trimmed_text_stays() {
        assert_eq!(trimmed("\u{feff} a b-c \u{200b}\n"), "a b-c");
    }
}
