//! Paths of files among the settings.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lifecycle::FileContents;

/// Path of a flag or a variable, which may be the content of the file by mistake: it is not printed before it is checked.
#[derive(Clone)]
pub struct PathArg(OsString);

/// Text that is no path; it may be a secret, so the error does not quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// A PEM was given.
    #[error("is a path, and a PEM was given: mount it as a file")]
    Pem,
    /// A text with a line break was given.
    #[error("is a path, and a text with a line break was given")]
    LineBreak,
    /// A text longer than any path was given.
    #[error("is a path, and a text longer than any path was given")]
    TooLong,
    /// The text is empty.
    #[error("is a path, and an empty text was given")]
    Empty,
    /// A text that is no absolute path was given where one is expected.
    #[error("is an absolute path, and another text was given")]
    Relative,
}

impl PathArg {
    /// The path.
    ///
    /// # Errors
    /// [`NotAPath`].
    pub fn path(&self) -> Result<&Path, NotAPath> {
        check(&self.0)?;
        Ok(Path::new(&self.0))
    }
}

impl From<OsString> for PathArg {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for PathArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathArg").field(&self.path().map(PathBuf::from)).finish()
    }
}

/// Checks that a text can be a path.
///
/// # Errors
/// [`NotAPath`].
pub(super) fn check(text: &OsStr) -> Result<(), NotAPath> {
    let bytes = text.as_encoded_bytes();
    let begin = b"-----BEGIN";
    if bytes.windows(begin.len()).any(|part| part == begin) {
        Err(NotAPath::Pem)
    } else if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        Err(NotAPath::LineBreak)
    } else if bytes.len() > MAX_BYTES {
        Err(NotAPath::TooLong)
    } else if bytes.is_empty() {
        Err(NotAPath::Empty)
    } else {
        Ok(())
    }
}

/// Checks that a text can be the path of a file with a secret: absolute, since it may be the secret itself.
///
/// # Errors
/// [`NotAPath`].
pub(super) fn check_absolute(text: &OsStr) -> Result<(), NotAPath> {
    check(text)?;
    if Path::new(text).is_absolute() {
        Ok(())
    } else {
        Err(NotAPath::Relative)
    }
}

/// Reads a file at startup. Of one that is larger than any such file, only the first part is read.
pub(super) fn read(path: &Path) -> Result<FileContents, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FileContents::MAX_LEN).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {}: {error}", path.display()))?;
    Ok(FileContents::new(bytes))
}

/// `PATH_MAX` of Linux.
const MAX_BYTES: usize = 4_096;
