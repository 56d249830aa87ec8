//! Which schemas this version works with, and how one comes into being.

use opencpm_domain::{JobId, SecretId, Span, TaskId, Timestamp};
use opencpm_operations::port::{Deliverable, Store, StoreError};
use opencpm_operations::row::{DeviceQuery, LogQuery};
use opencpm_store::{PostgresOptions, PostgresStore, SchemaError};
use tokio::task::spawn_blocking;

use super::world::{Database, Server};
use crate::contract::{GATEWAY, app, generation, id, identity};

fn schema_error(answer: Result<PostgresStore, StoreError>) -> SchemaError {
    match answer {
        Err(StoreError::Unavailable(source)) => *source.downcast_ref().unwrap(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_database_that_cannot_keep_every_text_is_refused_before_anything_is_made() {
    let database = spawn_blocking(|| Database::empty(Server::Shared)).await.unwrap();
    let server = database.server();
    let name = format!("{}_latin", database.name());
    let make = "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server.sql(database.name(), &format!("CREATE DATABASE {name} {make}"));
    let password = server.password().into();
    let options = PostgresOptions::parse(&server.url(&name), Some(&password)).unwrap();
    let refused = PostgresStore::migrate(&options).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(source)
        if source.downcast_ref() == Some(&SchemaError::Encoding)));
    let refused = PostgresStore::connect(&options).await;
    assert_eq!(schema_error(refused), SchemaError::Encoding);
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

/// An upgrade adds columns while older nodes go on with the statements they have prepared.
#[tokio::test]
async fn a_column_that_is_added_disturbs_no_statement_that_is_already_prepared() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let store = PostgresStore::connect(&database.options()).await.unwrap();
    read_everything(&store).await;
    database.server().sql(
        database.name(),
        "DO $$ DECLARE line record; BEGIN
             FOR line IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                 EXECUTE format('ALTER TABLE %I ADD COLUMN later TEXT', line.tablename);
             END LOOP; END $$",
    );
    read_everything(&store).await;
    store.close().await.unwrap();
}

async fn read_everything(store: &PostgresStore) {
    let instance = id("cpm-1");
    let log = LogQuery {
        account: app(1),
        instance: instance.clone(),
        from: Timestamp::from_micros(0),
        before: Timestamp::from_micros(1),
        offset: 0,
        limit: 1,
    };
    let jobs = [JobId::from_bytes([1; 16])];
    store.api_key(&SecretId::parse("AKIDnobody").unwrap()).await.unwrap();
    store.api_keys(None).await.unwrap();
    store.accounts().await.unwrap();
    store.enrolment_token(&[0; 32]).await.unwrap();
    store.node_token(&[0; 32]).await.unwrap();
    store.nodes(None).await.unwrap();
    store.maintenance().await.unwrap();
    store.deployment().await.unwrap();
    store.reset_candidates(std::slice::from_ref(&instance)).await.unwrap();
    store.devices(&DeviceQuery::default()).await.unwrap();
    store.device_keys(&[(instance.clone(), generation(1))]).await.unwrap();
    store.device_of_identity(&identity(&instance, 1).key).await.unwrap();
    store.task(TaskId::new(1).unwrap()).await.unwrap();
    store.log(&log).await.unwrap();
    store.jobs(&jobs).await.unwrap();
    store.open_jobs(std::slice::from_ref(&instance)).await.unwrap();
    store.later_jobs(&jobs).await.unwrap();
    store.overdue_jobs(1).await.unwrap();
    for deliverable in [
        Deliverable::Jobs(jobs.to_vec()),
        Deliverable::Devices(vec![instance]),
        Deliverable::NotAttemptedFor(Span::from_secs(1)),
    ] {
        store.deliverable_jobs(GATEWAY, deliverable, 1).await.unwrap();
    }
}
