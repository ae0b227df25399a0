//! Texts of a platform are as long as it likes; what we keep and send on is not.

/// The text, cut to so many characters.
pub(super) fn cut(text: String, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => text.get(..end).map_or_else(String::new, ToOwned::to_owned),
        None => text,
    }
}

/// The name of a person or thing: one line, cut.
pub(super) fn name(text: &str) -> String {
    cut(text.replace(['\n', '\t'], " "), NAME)
}

/// Names of people and things.
const NAME: usize = 256;

/// URLs. One that is longer is left out: cut, it would be another.
pub(super) const URL: usize = 2_048;

/// What a notification says. Escaped at its worst it is 12 KB of JSON, where an event has room for 16 KiB.
pub(super) const CONTENT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("caf\u{e9}s".to_owned(), 4), "caf\u{e9}");
        assert_eq!(cut("cat".to_owned(), 4), "cat");
        assert_eq!(cut(String::new(), 0), "");
    }

    #[test]
    fn a_name_is_one_line_of_256_characters_at_most() {
        assert_eq!(name("Ada\nwas linked.\tYes"), "Ada was linked. Yes");
        assert_eq!(name(&"\u{1f4f1}".repeat(300)).chars().count(), 256);
    }
}
