//! Length limits of texts from platforms, which limit them less.

/// Cuts a text to `max` characters.
pub(super) fn cut(text: String, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => text.get(..end).map_or_else(String::new, ToOwned::to_owned),
        None => text,
    }
}

/// Name of a person or thing: one line, cut to [`NAME`].
pub(super) fn name(text: &str) -> String {
    cut(text.replace(['\n', '\t'], " "), NAME)
}

/// Maximum characters of a name.
const NAME: usize = 256;

/// Maximum bytes of a URL. A longer URL is dropped: cut, it would be another URL.
pub(super) const URL: usize = 2_048;

/// Maximum characters of a notification's content. At most 12 KB of escaped JSON, where an event may have 16 KiB.
pub(super) const CONTENT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_keeps_whole_characters() {
        assert_eq!(cut("caf\u{e9}s".to_owned(), 4), "caf\u{e9}");
        assert_eq!(cut("cat".to_owned(), 4), "cat");
        assert_eq!(cut(String::new(), 0), "");
    }

    #[test]
    fn a_name_is_cut_to_one_line_of_256_characters() {
        assert_eq!(name("Ada\nwas linked.\tYes"), "Ada was linked. Yes");
        assert_eq!(name(&"\u{1f4f1}".repeat(300)).chars().count(), 256);
    }
}
