//! Changes of watched files, with time that stands still.

use std::future::ready;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;

/// Watch of one file, whose contents are valid unless they begin with `bad`.
struct Watched {
    folder: TempDir,
    watch: FileWatch<1>,
    applied: Mutex<Vec<String>>,
}

impl Watched {
    async fn with(contents: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, contents).unwrap();
        let watch = FileWatch::open("POSTERN_X_FILE", [path]).await.unwrap();
        Self {
            folder,
            watch,
            applied: Mutex::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    fn write(&self, contents: &str) {
        std::fs::write(self.path(), contents).unwrap();
    }

    /// Polls once and returns all texts applied until now.
    async fn poll(&mut self) -> Vec<String> {
        let applied = &self.applied;
        let apply = |[contents]: [FileContents; 1]| {
            let text = contents.as_text().unwrap().to_owned();
            if text.starts_with("bad") {
                return ready(Err("unusable"));
            }
            applied.lock().unwrap().push(text);
            ready(Ok(()))
        };
        self.watch.poll(apply).await;
        self.applied.lock().unwrap().clone()
    }

    fn counts(&self) -> (u64, u64, bool) {
        let status = self.watch.status();
        (status.reloads(), status.failures(), status.is_failing())
    }
}

#[tokio::test(start_paused = true)]
async fn changed_contents_are_applied_once_without_the_line_break() {
    let mut watched = Watched::with("old\n").await;
    assert_eq!(watched.watch.contents(), &[FileContents::new("old")]);
    assert!(watched.poll().await.is_empty());
    watched.write("new\r\n");
    assert_eq!(watched.poll().await, ["new"]);
    watched.write("new");
    assert_eq!(watched.poll().await, ["new"]);
    assert_eq!(watched.counts(), (1, 0, false));
}

#[tokio::test(start_paused = true)]
async fn rejected_contents_and_a_missing_file_are_counted_once_each_and_the_last_valid_value_returns() {
    let mut watched = Watched::with("old").await;
    for _ in 0..3 {
        watched.write("bad 1");
        watched.poll().await;
    }
    assert_eq!(watched.counts(), (0, 1, true));
    for _ in 0..3 {
        watched.write("bad 2");
        watched.poll().await;
    }
    assert_eq!(watched.counts(), (0, 2, true));
    std::fs::remove_file(watched.path()).unwrap();
    for _ in 0..3 {
        watched.poll().await;
    }
    assert_eq!(watched.counts(), (0, 3, true));
    watched.write("old");
    assert!(watched.poll().await.is_empty());
    assert_eq!(watched.counts(), (0, 3, false));
    std::fs::remove_file(watched.path()).unwrap();
    watched.poll().await;
    watched.write("new");
    assert_eq!(watched.poll().await, ["new"]);
    assert_eq!(watched.counts(), (1, 4, false));
}

#[tokio::test(start_paused = true)]
async fn swapped_symbolic_link_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    for (version, contents) in [("1", "old"), ("2", "new")] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        std::fs::write(folder.path().join(version).join("secret"), contents).unwrap();
    }
    let link = |version: &str| {
        std::os::unix::fs::symlink(version, folder.path().join("next")).unwrap();
        std::fs::rename(folder.path().join("next"), folder.path().join("data")).unwrap();
    };
    link("1");
    let mut watch = FileWatch::open("POSTERN_X_FILE", [folder.path().join("data/secret")])
        .await
        .unwrap();
    link("2");
    watch.poll(|_| ready(Ok::<_, String>(()))).await;
    assert_eq!(watch.contents(), &[FileContents::new("new")]);
}

#[tokio::test(start_paused = true)]
async fn contents_that_change_between_the_two_reads_are_left_to_the_next_poll() {
    let mut watched = Watched::with("old").await;
    watched.write("halfway");
    let path = watched.path();
    let (_, applied) = tokio::join!(
        async {
            // Time stands still until both wait, so this lies between the two reads.
            sleep(SETTLE / 2).await;
            std::fs::write(path, "new").unwrap();
        },
        watched.poll()
    );
    assert!(applied.is_empty(), "{applied:?}");
    assert_eq!(watched.poll().await, ["new"]);
}

#[tokio::test(start_paused = true)]
async fn rejected_contents_are_tried_again_because_their_cause_may_lie_elsewhere() {
    let mut watched = Watched::with("old").await;
    watched.write("new");
    for _ in 0..2 {
        watched.watch.poll(|_| ready(Err("the database is away"))).await;
    }
    assert_eq!(watched.counts(), (0, 1, true));
    assert_eq!(watched.poll().await, ["new"]);
    assert_eq!(watched.counts(), (1, 1, false));
}

#[tokio::test]
async fn file_above_the_bound_and_what_is_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let max = usize::try_from(FileContents::MAX_LEN).unwrap();
    std::fs::write(&path, vec![b'a'; max]).unwrap();
    assert_eq!(FileContents::read(&path).await.unwrap().as_bytes().len(), max);
    std::fs::write(&path, vec![b'a'; max + 1]).unwrap();
    assert!(matches!(FileContents::read(&path).await, Err(FileError::TooLarge(_))));
    assert!(matches!(
        FileContents::read(folder.path()).await,
        Err(FileError::NotRegular(_))
    ));
    assert!(matches!(
        FileContents::read(&folder.path().join("none")).await,
        Err(FileError::Read { .. })
    ));
}

#[test]
fn debug_output_hides_the_contents() {
    assert_eq!(format!("{:?}", FileContents::new("hunter2")), "[contents]");
}

#[tokio::test(start_paused = true)]
async fn watch_ends_with_the_node() {
    let watched = Watched::with("old").await;
    let end = CancellationToken::new();
    end.cancel();
    let run = watched
        .watch
        .run(Duration::from_secs(1), end, |_| ready(Ok::<_, String>(())));
    run.await;
}
