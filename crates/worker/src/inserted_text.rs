//! Text of a stranger within a sentence of Postern's own, such as the name of a device in an alert.

/// One line, without the characters that reorder the words around them (Unicode Bidirectional Algorithm, UAX #9, section 2).
/// Letters that are written from right to left stay.
pub(crate) fn inserted(text: &str) -> String {
    let shown = text.chars().filter(|character| !is_directional(*character));
    shown
        .map(|character| if is_break(character) { ' ' } else { character })
        .collect()
}

fn is_directional(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn is_break(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_that_reorders_nothing_and_keeps_its_script() {
        assert_eq!(inserted("\u{202e}gnp.ada\u{2066}\u{200f}"), "gnp.ada");
        assert_eq!(inserted("a\nb\u{2028}c\td"), "a b c d");
        assert_eq!(
            inserted("\u{5d0}\u{5d3}\u{5d4} Ada \u{1f4f1}"),
            "\u{5d0}\u{5d3}\u{5d4} Ada \u{1f4f1}"
        );
    }
}
