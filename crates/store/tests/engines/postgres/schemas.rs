//! Which schemas this version works with, and how one comes into being.

use opencpm_operations::port::StoreError;
use opencpm_store::{PostgresStore, SchemaError};
use tokio::task::spawn_blocking;

use super::world::{Database, Server};

fn schema_error(answer: Result<PostgresStore, StoreError>) -> SchemaError {
    match answer {
        Err(StoreError::Unavailable(source)) => *source.downcast_ref().unwrap(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_schema_of_another_version_is_named_and_a_compatible_one_is_used() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let (options, name) = (database.options(), database.name().to_owned());
    assert_eq!(PostgresStore::pending(&options).await.unwrap(), []);
    let sql = |text: &str| database.server().sql(&name, text);
    // A newer version that lets this one go on, and one that does not.
    sql("INSERT INTO _sqlx_migrations SELECT 99, 'later', now(), true, checksum, 0
         FROM _sqlx_migrations WHERE version = 1");
    PostgresStore::connect(&options).await.unwrap().close().await.unwrap();
    sql("UPDATE schema_compatibility SET lowest = 99");
    let newer = PostgresStore::connect(&options).await;
    assert!(matches!(newer, Err(StoreError::Newer { found: 99, .. })));
    sql("DELETE FROM _sqlx_migrations WHERE version > 0; INSERT INTO _sqlx_migrations
         VALUES (0, 'before', now(), true, '', 0); UPDATE schema_compatibility SET lowest = 0");
    let older = schema_error(PostgresStore::connect(&options).await);
    assert!(matches!(older, SchemaError::Older { found: 0, .. }));
}

#[tokio::test]
async fn an_empty_database_is_made_by_one_of_several_that_start_at_once() {
    let database = spawn_blocking(|| Database::empty(Server::Shared)).await.unwrap();
    let options = database.options();
    assert_eq!(schema_error(PostgresStore::connect(&options).await), SchemaError::Absent);
    assert_eq!(PostgresStore::pending(&options).await.unwrap()[0].version, 1);
    let starting = [(); 4].map(|()| PostgresStore::migrate(&options));
    for migrated in futures_util::future::join_all(starting).await {
        migrated.unwrap();
    }
    assert_eq!(PostgresStore::pending(&options).await.unwrap(), []);
    PostgresStore::connect(&options).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let database = spawn_blocking(|| Database::empty(Server::Shared)).await.unwrap();
    let sql = |text: &str| database.server().sql(database.name(), text);
    sql("CREATE TABLE recipe (name TEXT)");
    let options = database.options();
    let foreign = |answer: Option<StoreError>| {
        assert!(
            matches!(answer, Some(StoreError::Corrupt(why)) if why.contains("another program"))
        );
    };
    foreign(PostgresStore::connect(&options).await.err());
    foreign(PostgresStore::pending(&options).await.err());
    foreign(PostgresStore::migrate(&options).await.err());
    assert_eq!(sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"), "recipe");
}
