//! Archive that is read: its rows, and at their end whether the file is what its signed manifest says.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::vault::AuditKeys;
use store::{ArchiveManifest, AuditRow};

use super::file::ArchiveFileError;

/// Archive that is read.
pub(in crate::audit) struct ArchiveReader {
    pub(in crate::audit) manifest: ArchiveManifest,
    path: PathBuf,
    file: BufReader<File>,
    line: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

/// Line of an archive: an event with its row, as `postern audit export` prints them.
#[derive(Deserialize)]
struct Line {
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Unmapped {
    postern: AuditRow,
}

impl ArchiveReader {
    /// Opens the archive of a manifest, whose signature is verified.
    ///
    /// # Errors
    /// [`ArchiveFileError`].
    pub(in crate::audit) fn open(manifest: &Path, keys: &AuditKeys) -> Result<Self, ArchiveFileError> {
        let text = std::fs::read(manifest).map_err(|error| ArchiveFileError::Read(manifest.to_owned(), error))?;
        let decoded = serde_json::from_slice::<ArchiveManifest>(&text);
        let decoded = decoded.map_err(|error| ArchiveFileError::NoManifest(manifest.to_owned(), error))?;
        let verified = decoded.verify(keys);
        verified.map_err(|fault| ArchiveFileError::Manifest(manifest.to_owned(), fault))?;
        let path = manifest.with_file_name(&decoded.file);
        let file = File::open(&path).map_err(|error| ArchiveFileError::Read(path.clone(), error))?;
        Ok(Self {
            manifest: decoded,
            path,
            file: BufReader::new(file),
            line: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// Reads the whole file and verifies its hash.
    ///
    /// # Errors
    /// [`ArchiveFileError`].
    pub(in crate::audit) fn check(mut self) -> Result<(), ArchiveFileError> {
        while self.read_line()? {}
        Ok(())
    }

    /// Next row; none at the end of a file that is what its manifest says.
    ///
    /// # Errors
    /// [`ArchiveFileError`].
    pub(in crate::audit) fn next_row(&mut self) -> Result<Option<AuditRow>, ArchiveFileError> {
        if !self.read_line()? {
            return Ok(None);
        }
        let line: Result<Line, _> = serde_json::from_slice(&self.line);
        let line = line.map_err(|_invalid| self.altered())?;
        Ok(Some(line.unmapped.postern))
    }

    /// Reads a line; false at the end.
    fn read_line(&mut self) -> Result<bool, ArchiveFileError> {
        self.line.clear();
        let read = (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| ArchiveFileError::Read(self.path.clone(), error))?;
        self.hash.update(&self.line);
        self.bytes += read as u64;
        if read > 0 {
            return Ok(true);
        }
        let sha256 = HEXLOWER.encode(std::mem::take(&mut self.hash).finalize().as_slice());
        if sha256 == self.manifest.sha256 && self.bytes == self.manifest.bytes {
            Ok(false)
        } else {
            Err(self.altered())
        }
    }

    fn altered(&self) -> ArchiveFileError {
        ArchiveFileError::Altered(self.path.clone())
    }
}

/// Longest line: a row is much shorter.
const LONGEST_LINE: u64 = 1024 * 1024;
