//! Files of an archive: the rows, and their manifest. Both are written under another name, and are complete once they have theirs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use protocol::time::Timestamp;
use sha2::{Digest as _, Sha256};
use store::vault::AuditKeys;
use store::{ArchiveManifest, ManifestFault};

/// Failure at a file of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFileError {
    /// The file or its directory cannot be written.
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The file cannot be read.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Another archive has the name.
    #[error("{} exists and has other rows, choose another directory", .0.display())]
    Exists(PathBuf),
    /// The manifest does not decode.
    #[error("{} is no manifest of an archive", .0.display())]
    NoManifest(PathBuf, #[source] serde_json::Error),
    /// The manifest is refused.
    #[error("{}: {}", .0.display(), .1)]
    Manifest(PathBuf, ManifestFault),
    /// The file is not what its manifest says.
    #[error("{} was altered: it is not what its manifest says", .0.display())]
    Altered(PathBuf),
    /// The directory has no manifest.
    #[error("{} has no manifest of an archive", .0.display())]
    NoArchive(PathBuf),
}

/// Archive that is written. A dropped one leaves a file that ends with `.part`.
pub(super) struct ArchiveWriter {
    dir: PathBuf,
    /// Name of the files, without an extension.
    name: String,
    before: Timestamp,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    pub(super) rows: u64,
    pub(super) chains: u64,
}

impl ArchiveWriter {
    pub(super) fn create(dir: &Path, before: Timestamp) -> Result<Self, ArchiveFileError> {
        let day: String = before.to_string().chars().take("2026-12-01".len()).collect();
        let name = format!("audit-before-{day}");
        let path = dir.join(format!("{name}.{ROWS}.part"));
        let file = File::create(&path).map_err(|error| ArchiveFileError::Write(path, error))?;
        Ok(Self {
            dir: dir.to_owned(),
            name,
            before,
            file: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
            rows: 0,
            chains: 0,
        })
    }

    /// Writes the line of a row.
    pub(super) fn write(&mut self, line: &[u8]) -> Result<(), ArchiveFileError> {
        self.hash.update(line);
        self.bytes += line.len() as u64;
        self.rows += 1;
        let written = self.file.write_all(line);
        written.map_err(|error| ArchiveFileError::Write(self.part(), error))
    }

    /// Removes the file, which has no rows.
    pub(super) fn discard(self) -> Result<(), ArchiveFileError> {
        let part = self.part();
        fs::remove_file(&part).map_err(|error| ArchiveFileError::Write(part, error))
    }

    /// Completes the file and its manifest, and returns the manifest with its path. Both are on the disk then.
    pub(super) fn finish(mut self, keys: &AuditKeys) -> Result<(PathBuf, ArchiveManifest), ArchiveFileError> {
        let part = self.part();
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| ArchiveFileError::Write(part.clone(), error))?;
        let file = format!("{}.{ROWS}", self.name);
        let sha256 = HEXLOWER.encode(self.hash.finalize().as_slice());
        put(&part, &self.dir.join(&file), &sha256)?;
        let manifest = ArchiveManifest {
            v: ArchiveManifest::VERSION,
            before: self.before.as_millis(),
            file,
            bytes: self.bytes,
            rows: self.rows,
            chains: self.chains,
            sha256,
            key: String::new(),
            signature: String::new(),
        };
        let manifest = manifest.signed(keys);
        let path = self.dir.join(format!("{}.{MANIFEST}", self.name));
        write_manifest(&path, &manifest)?;
        sync_dir(&self.dir)?;
        Ok((path, manifest))
    }

    fn part(&self) -> PathBuf {
        self.dir.join(format!("{}.{ROWS}.part", self.name))
    }
}

/// Gives a complete file its name, unless a file with other content has it.
fn put(part: &Path, path: &Path, sha256: &str) -> Result<(), ArchiveFileError> {
    let exists = path
        .try_exists()
        .map_err(|error| ArchiveFileError::Read(path.to_owned(), error))?;
    if exists && sha256_of(path)? != sha256 {
        return Err(ArchiveFileError::Exists(path.to_owned()));
    }
    fs::rename(part, path).map_err(|error| ArchiveFileError::Write(path.to_owned(), error))
}

/// SHA-256 of a file, in hexadecimal digits.
fn sha256_of(path: &Path) -> Result<String, ArchiveFileError> {
    let unread = |error| ArchiveFileError::Read(path.to_owned(), error);
    let mut file = File::open(path).map_err(unread)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer).map_err(unread)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(HEXLOWER.encode(hash.finalize().as_slice()));
        };
        hash.update(bytes);
    }
}

fn write_manifest(path: &Path, manifest: &ArchiveManifest) -> Result<(), ArchiveFileError> {
    let unwritten = |error| ArchiveFileError::Write(path.to_owned(), error);
    let part = path.with_extension("json.part");
    let mut text = serde_json::to_vec_pretty(manifest).map_err(|error| unwritten(error.into()))?;
    text.push(b'\n');
    let mut file = File::create(&part).map_err(unwritten)?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(unwritten)?;
    fs::rename(&part, path).map_err(unwritten)
}

/// Writes the names in a directory to the disk.
fn sync_dir(dir: &Path) -> Result<(), ArchiveFileError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| ArchiveFileError::Write(dir.to_owned(), error))
}

/// Manifests at these paths: files, and those in directories.
///
/// # Errors
/// [`ArchiveFileError`]; a directory without a manifest is one.
pub(in crate::audit) fn manifests(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ArchiveFileError> {
    let mut manifests = Vec::new();
    for path in paths {
        if !path.is_dir() {
            manifests.push(path.clone());
            continue;
        }
        let unread = |error| ArchiveFileError::Read(path.clone(), error);
        let known = manifests.len();
        for entry in fs::read_dir(path).map_err(unread)? {
            let entry = entry.map_err(unread)?.path();
            if entry.to_string_lossy().ends_with(MANIFEST) {
                manifests.push(entry);
            }
        }
        if manifests.len() == known {
            return Err(ArchiveFileError::NoArchive(path.clone()));
        }
    }
    Ok(manifests)
}

/// Extension of the file with the rows.
const ROWS: &str = "jsonl";
/// End of a manifest's name.
const MANIFEST: &str = "manifest.json";
