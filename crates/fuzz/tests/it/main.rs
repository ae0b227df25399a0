//! Replays the corpus of each target: earlier findings stay fixed, on any toolchain.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

#[test]
fn corpus_input_makes_no_target_panic() {
    let inputs = TARGETS
        .iter()
        .flat_map(|target| corpus(target).into_iter().map(move |path| (target, path)));
    let findings: Vec<PathBuf> = inputs
        .filter(|(target, path)| catch_unwind(|| target.run(&fs::read(path).unwrap())).is_err())
        .map(|(_, path)| path)
        .collect();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// A corpus that is refused as a whole would no longer reach the code behind the first check.
#[test]
fn corpus_contains_accepted_and_refused_inputs() {
    for target in TARGETS {
        let read: Vec<bool> = corpus(target)
            .iter()
            .map(|path| target.run(&fs::read(path).unwrap()))
            .collect();
        assert!(
            read.contains(&true) && read.contains(&false),
            "{}: {read:?}",
            target.name
        );
    }
}

#[test]
fn corpus_folders_match_the_targets() {
    let mut folders: Vec<String> = entries(&root())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    folders.sort();
    targets.sort_unstable();
    assert_eq!(folders, targets);
}

fn corpus(target: &Target) -> Vec<PathBuf> {
    entries(&root().join(target.name))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}
