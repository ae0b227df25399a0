//! Inputs with headers, as in an HTTP message: `name: value` lines, an empty line, a body.

/// Headers and a body.
#[derive(Debug, Clone)]
pub(crate) struct Headed<'a> {
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Headed<'a> {
    /// Reads an input. An input without an empty line is all body.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (head, body) = split(bytes, b"\n\n").unwrap_or((b"", bytes));
        let head = str::from_utf8(head).unwrap_or_default();
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        Self {
            headers: headers.map(|(name, value)| (name.trim(), value.trim())).collect(),
            body,
        }
    }

    /// Value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }

    /// All headers, in the sequence of the input.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.headers.iter().copied()
    }
}

/// Bytes before and after the first separator.
pub(crate) fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    let (before, rest) = bytes.split_at(at);
    Some((before, rest.get(separator.len()..)?))
}
