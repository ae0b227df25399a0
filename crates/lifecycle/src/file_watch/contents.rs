//! Contents of a file of settings, most of which are secret.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

/// Contents of a file without the line breaks at its end, which editors and `echo` write. They print as `[contents]` and are
/// wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FileContents(Zeroizing<Vec<u8>>);

/// Cause of a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refuses.
    #[error("cannot read {}: {cause}", .path.display())]
    Read {
        /// Path.
        path: PathBuf,
        /// Cause.
        cause: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("{} is no regular file", .0.display())]
    NotRegular(PathBuf),
    /// Larger than [`FileContents::MAX_LEN`].
    #[error("{} is larger than {} bytes", .0.display(), FileContents::MAX_LEN)]
    TooLarge(PathBuf),
}

impl FileContents {
    /// Largest file that is read, in bytes.
    pub const MAX_LEN: u64 = 1024 * 1024;

    /// Contents that were read elsewhere, without the line breaks at their end.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes = Zeroizing::new(bytes.into());
        while let Some(b'\r' | b'\n') = bytes.last() {
            bytes.pop();
        }
        Self(bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |cause| FileError::Read {
            path: path.to_owned(),
            cause,
        };
        // Before it is opened: opening a pipe waits for its writer.
        if !tokio::fs::metadata(path).await.map_err(failed)?.is_file() {
            return Err(FileError::NotRegular(path.to_owned()));
        }
        let mut file = tokio::fs::File::open(path)
            .await
            .map_err(failed)?
            .take(Self::MAX_LEN + 1);
        let mut bytes = Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes).await.map_err(failed)?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len > Self::MAX_LEN) {
            return Err(FileError::TooLarge(path.to_owned()));
        }
        Ok(Self::new(std::mem::take(&mut *bytes)))
    }

    /// Bytes. The caller is responsible for every further use of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Text. The caller is responsible for every further use of it.
    ///
    /// # Errors
    /// The position of the first byte that is not UTF-8.
    pub fn as_text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.0)
    }
}

impl fmt::Debug for FileContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[contents]")
    }
}
