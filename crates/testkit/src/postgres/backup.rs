//! Base backup with an archive of the log, and servers that are restored from both to a chosen moment.

use std::sync::Arc;

use super::Postgres;
use super::server::{self, LogOfCopy, ServerState};
use crate::account::Account;
use crate::scratch::Scratch;
use crate::wait;

/// Copy of a server's data while it was in use. The archive of its server completes it.
#[derive(Debug)]
pub struct Backup {
    data: Arc<Scratch>,
    /// Folder of the server with its archive.
    origin: Arc<Scratch>,
}

impl Postgres {
    /// Starts a server for one test that archives its log, for [`Postgres::base_backup`].
    pub async fn start_archiving() -> Self {
        // The command runs in the data folder.
        let command = format!("archive_command=mkdir -p ../{ARCHIVE} && cp %p ../{ARCHIVE}/%f");
        Self::start_with_settings(&["archive_mode=on", &command]).await
    }

    /// Takes a base backup of a server that archives.
    pub async fn base_backup(&self) -> Backup {
        let data = Arc::new(Scratch::owned("postgres-restored", Account::unprivileged()));
        server::copy(&data, self.scratch.path(), self.port(), LogOfCopy::Archived).await;
        Backup {
            data,
            origin: Arc::clone(&self.scratch),
        }
    }

    /// Names the present moment, for [`Backup::restore_to`], and waits until its log is archived.
    pub async fn restore_point(&self, name: &str) {
        let create = format!("SELECT pg_walfile_name(pg_create_restore_point('{name}'))");
        let segment = self.sql(&create).await.concat();
        self.sql("SELECT pg_switch_wal()").await;
        let archived = format!("SELECT FROM pg_stat_archiver WHERE last_archived_wal >= '{segment}'");
        wait::until_true("the log to be archived", wait::deadline(), async || {
            !self.sql(&archived).await.is_empty()
        })
        .await;
    }
}

impl Backup {
    /// Starts a server on this backup that has everything up to the restore point of this name, and nothing later.
    pub async fn restore_to(self, point: &str) -> Postgres {
        self.data.write("data/recovery.signal", "");
        let archive = self.origin.path().join(ARCHIVE);
        let settings = vec![
            format!("restore_command=cp {}/%f %p", archive.display()),
            format!("recovery_target_name={point}"),
            "recovery_target_action=promote".to_owned(),
        ];
        Postgres::serve(self.data, None, settings, ServerState::Primary).await
    }
}

/// Folder of the archive, beside that of the data.
const ARCHIVE: &str = "archive";
