//! Limits of counted costs, in a file of lines `name = number`.

use crate::fail::OrFail as _;

/// Limits of one file.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    text: &'a str,
}

impl<'a> Limits<'a> {
    /// Limits in the text of such a file.
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Limit of this name; fails the test when the file has none.
    pub fn of(&self, name: &str) -> u64 {
        let value = self.text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim())
        });
        let value = value.or_fail(&format!("find the limit {name}"));
        value
            .replace('_', "")
            .parse()
            .or_fail(&format!("read the limit {name}"))
    }

    /// Prints the count, and describes it where it is above its limit.
    #[expect(clippy::print_stdout, reason = "the count is what the next limit is taken from")]
    pub fn excess(&self, name: &str, count: u64) -> Option<String> {
        println!("{name} = {count}");
        let limit = self.of(name);
        (count > limit).then(|| format!("{name} is {count}, and its limit is {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_is_in_excess_only_above_its_limit() {
        let limits = Limits::new("# Redis\nother = 7\nbytes_per_socket = 16_384\n");
        assert_eq!(limits.of("bytes_per_socket"), 16_384);
        assert_eq!(limits.excess("bytes_per_socket", 16_384), None);
        let excess = limits.excess("bytes_per_socket", 16_385);
        assert_eq!(
            excess.as_deref(),
            Some("bytes_per_socket is 16385, and its limit is 16384")
        );
    }

    #[test]
    #[should_panic(expected = "find the limit bytes")]
    fn count_without_a_limit_fails_the_test() {
        Limits::new("bytes_per_socket = 1").excess("bytes", 0);
    }
}
