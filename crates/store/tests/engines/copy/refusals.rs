//! Where a copy could harm something it is refused, and nothing has changed.

use opencpm_operations::port::StoreError;
use opencpm_store::{CopyError, OpenError, PostgresStore, SqliteStore};
use tokio::task::spawn_blocking;

use super::world::Move;
use crate::postgres::world::{Database, Server};

#[tokio::test]
async fn a_database_that_is_used_is_left_as_it_is() {
    let moving = Move::new().await;
    moving.postgres("INSERT INTO deployment VALUES (1, '\\x02', '', 1)");
    let refused = moving.copy().await.unwrap_err();
    assert!(matches!(&refused, CopyError::Occupied(table) if table == "deployment"), "{refused}");
    moving.postgres("DELETE FROM deployment; INSERT INTO account VALUES (9, 'other', FALSE)");
    let refused = moving.copy().await.unwrap_err();
    assert!(matches!(&refused, CopyError::Occupied(table) if table == "account"), "{refused}");
    assert_eq!(moving.postgres("SELECT app_id FROM account"), "9");
    moving.serve_file().await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_second_copy_is_refused_wherever_it_would_go() {
    let moving = Move::new().await;
    moving.copy().await.unwrap();
    assert!(matches!(moving.copy().await, Err(CopyError::Done)));
    let other = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let refused = opencpm_store::StoreCopy::prepare(&moving.file, other.options()).await;
    let here = moving.database.options().place();
    assert!(matches!(refused, Err(CopyError::Moved(place)) if place == here));
}

/// What was changed since is nowhere else: whoever is told that all is done loses it.
#[tokio::test]
async fn a_file_that_went_on_after_its_copy_is_not_said_to_be_copied() {
    let mut moving = Move::new().await;
    moving.copy().await.unwrap();
    assert!(SqliteStore::reopen(&moving.file).await.unwrap());
    moving.sqlite("UPDATE device SET alias = 'since' WHERE instance = 'cpm-a'").await;
    let refused = moving.copy().await.unwrap_err();
    assert!(matches!(refused, CopyError::GoneOn), "{refused}");
    assert!(refused.to_string().contains("another, empty database"), "{refused}");
    moving.serve_file().await.unwrap().close().await.unwrap();
    moving.database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    moving.copy().await.unwrap();
    assert_eq!(moving.postgres("SELECT count(*) FROM device WHERE alias = 'since'"), "1");
    assert!(matches!(moving.copy().await, Err(CopyError::Done)));
}

#[tokio::test]
async fn a_database_that_does_not_fit_is_left_to_its_owner() {
    let empty = spawn_blocking(|| Database::empty(Server::Shared)).await.unwrap();
    let moving = Move::to(empty).await;
    moving.postgres("CREATE TABLE recipe (name TEXT)");
    let foreign = moving.prepare().await.err().unwrap();
    assert!(matches!(foreign, CopyError::Target(StoreError::Corrupt(_))), "{foreign}");
    moving.postgres("DROP TABLE recipe");
    PostgresStore::migrate(&moving.database.options()).await.unwrap();
    moving.postgres("DELETE FROM _sqlx_migrations WHERE version > 1");
    let older = moving.prepare().await.err().unwrap();
    assert!(matches!(older, CopyError::Target(StoreError::Unavailable(_))), "{older}");
    moving.serve_file().await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_served_absent_empty_or_of_another_version_is_not_copied() {
    let moving = Move::new().await;
    let reason = async || {
        let Err(CopyError::Source(StoreError::Unavailable(why))) = moving.prepare().await else {
            panic!("it is copied");
        };
        why.downcast::<OpenError>().unwrap()
    };
    let served = moving.serve_file().await.unwrap();
    assert!(matches!(*reason().await, OpenError::InUse(_)));
    served.close().await.unwrap();
    moving.sqlite("DELETE FROM _sqlx_migrations WHERE version > 1").await;
    assert!(matches!(*reason().await, OpenError::Older { found: 1, .. }));
    moving.sqlite("INSERT INTO _sqlx_migrations VALUES (99, '', '', 1, x'', 0)").await;
    let newer = moving.prepare().await.err().unwrap();
    assert!(matches!(newer, CopyError::Source(StoreError::Newer { found: 99, .. })));
    std::fs::remove_file(&moving.file).unwrap();
    assert!(matches!(*reason().await, OpenError::Absent(_)));
    assert!(!moving.file.exists());
    moving.serve_file().await.unwrap().close().await.unwrap();
    assert!(matches!(moving.prepare().await, Err(CopyError::Empty)));
}

/// Nobody starts on the file while an administrator reads what is going to be copied.
#[tokio::test]
async fn a_file_that_is_about_to_be_copied_is_in_use() {
    let moving = Move::new().await;
    let copy = moving.prepare().await.unwrap();
    assert!(moving.serve_file().await.is_err());
    drop(copy);
    moving.serve_file().await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_table_or_column_that_only_one_of_them_has_is_named() {
    for (sqlite, postgres, named) in [
        ("ALTER TABLE job ADD COLUMN later TEXT", "", "job.later"),
        ("", "ALTER TABLE job ADD COLUMN later TEXT", "job.later"),
        ("CREATE TABLE later (id TEXT PRIMARY KEY)", "", "later.id"),
        ("", "CREATE TABLE later (id TEXT PRIMARY KEY)", "later.id"),
        (
            "ALTER TABLE job ADD COLUMN later TEXT",
            "ALTER TABLE job ADD COLUMN later BIGINT",
            "job.later",
        ),
    ] {
        let moving = Move::new().await;
        moving.sqlite(sqlite).await;
        moving.postgres(postgres);
        let refused = moving.copy().await.unwrap_err();
        assert!(matches!(&refused, CopyError::Schemas(what) if what == named), "{refused}");
        moving.serve_file().await.unwrap().close().await.unwrap();
    }
}

/// What both databases have is copied, whether or not this version has a use for it.
#[tokio::test]
async fn a_table_that_both_have_is_copied_without_being_named_anywhere() {
    let moving = Move::new().await;
    moving.sqlite("CREATE TABLE later (id TEXT PRIMARY KEY); INSERT INTO later VALUES ('a')").await;
    moving.postgres("CREATE TABLE later (id TEXT PRIMARY KEY)");
    moving.copy().await.unwrap();
    assert_eq!(moving.postgres("SELECT id FROM later"), "a");
}

#[tokio::test]
async fn a_value_without_a_place_is_named_and_nothing_is_copied() {
    for (spoil, named) in [
        ("UPDATE device SET retired = 2 WHERE instance = 'cpm-b'", "device.retired"),
        ("INSERT INTO device_tag VALUES (1, 'cpm-a', 'a' || char(0), '', NULL)", "device_tag.key"),
    ] {
        let moving = Move::new().await;
        moving.sqlite(spoil).await;
        let refused = moving.copy().await.unwrap_err();
        let CopyError::Value { table, column, .. } = &refused else { panic!("{refused}") };
        assert_eq!(format!("{table}.{column}"), named);
        assert!(moving.is_empty());
        moving.serve_file().await.unwrap().close().await.unwrap();
    }
}
