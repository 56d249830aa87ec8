//! A fresh SQLite store for each test of the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use opencpm_operations::port::Store;
use opencpm_store::SqliteStore;
use tempfile::TempDir;

use crate::contract::{Backend, HandClock, World};

pub(crate) async fn world() -> World {
    let files = Files { home: TempDir::new().unwrap(), crashes: 0, open: None };
    World::new(Box::new(files)).await
}

/// Opens the store at this path.
pub(crate) async fn open(path: &Path, clock: &Arc<HandClock>) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(path, clock.clone()).await.unwrap())
}

struct Files {
    home: TempDir,
    crashes: usize,
    open: Option<Arc<SqliteStore>>,
}

impl Files {
    fn path(&self) -> PathBuf {
        self.home.path().join(self.crashes.to_string()).join("opencpm.db")
    }
}

#[async_trait]
impl Backend for Files {
    async fn open(&mut self, clock: &Arc<HandClock>) -> Arc<dyn Store> {
        if let Some(store) = self.open.take() {
            store.close().await.unwrap();
        }
        let store = open(&self.path(), clock).await;
        self.open = Some(Arc::clone(&store));
        store
    }

    /// What a crash leaves are the files as they are at that moment.
    async fn crash(&mut self, clock: &Arc<HandClock>) -> Arc<dyn Store> {
        let before = self.path();
        self.crashes += 1;
        let after = self.path();
        std::fs::create_dir(after.parent().unwrap()).unwrap();
        for suffix in ["", "-wal"] {
            let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            std::fs::copy(name(&before), name(&after)).unwrap();
        }
        self.open(clock).await
    }
}
