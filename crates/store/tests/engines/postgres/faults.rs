//! What becomes of those who ask while the server is away, stands still or takes no changes.

use std::sync::Arc;

use opencpm_domain::GatewayId;
use opencpm_operations::port::{Store, StoreError};
use opencpm_servers::Postgres;
use opencpm_store::{PostgresOptions, PostgresStore};
use sqlx::Connection;
use tokio::time::timeout;

use super::proxy::Proxy;
use super::world::{Database, PATIENCE, Server, awaited_by};
use crate::contract::world::span;

async fn own() -> (Database, Arc<PostgresStore>) {
    let made =
        tokio::task::spawn_blocking(|| Database::new(Server::Own(Box::new(Postgres::start()))));
    let database = made.await.unwrap();
    let store = PostgresStore::connect(&database.options()).await.unwrap();
    (database, Arc::new(store))
}

fn is_unavailable<T>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

async fn heals(store: &PostgresStore) {
    let healed = async { while store.accounts().await.is_err() {} };
    timeout(PATIENCE, healed).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_told_at_once_and_comes_back_without_a_restart() {
    let (mut database, store) = own().await;
    store.accounts().await.unwrap();
    database.own_server().kill();
    assert!(is_unavailable(timeout(PATIENCE, store.accounts()).await.unwrap()));
    assert!(is_unavailable(timeout(PATIENCE, Store::check(&*store)).await.unwrap()));
    database.own_server().start_again();
    heals(&store).await;
}

#[tokio::test]
async fn a_server_that_stands_still_keeps_nobody_waiting() {
    let (mut database, store) = own().await;
    store.accounts().await.unwrap();
    database.own_server().freeze();
    // Whoever waits when it is noticed, and whoever comes afterwards.
    assert!(is_unavailable(timeout(PATIENCE, store.accounts()).await.unwrap()));
    assert!(is_unavailable(timeout(PATIENCE, store.accounts()).await.unwrap()));
    database.own_server().thaw();
    heals(&store).await;
}

#[tokio::test]
async fn connections_that_went_silent_are_replaced() {
    let database = tokio::task::spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let proxy = Proxy::to(database.server().port()).await;
    let url = database.server().url(database.name());
    let url = url.replace(&database.server().port().to_string(), &proxy.port().to_string());
    let password = database.server().password().into();
    let mut options = PostgresOptions::parse(&url, Some(&password)).unwrap();
    options.connections = 2;
    let store = Arc::new(PostgresStore::connect(&options).await.unwrap());
    // Both are in use when the network forgets them.
    let mut other = database.behind_its_back().await;
    let mut held = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE account").execute(&mut *held).await.unwrap();
    let asked = [(); 2].map(|()| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.accounts().await })
    });
    awaited_by(&mut held, 2).await;
    proxy.silence();
    for answer in asked {
        assert!(is_unavailable(timeout(PATIENCE, answer).await.unwrap().unwrap()));
    }
    held.commit().await.unwrap();
    heals(&store).await;
}

#[tokio::test]
async fn a_server_that_takes_no_changes_still_tells_what_it_knows() {
    let (mut database, store) = own().await;
    Store::check(&*store).await.unwrap();
    let server = database.own_server();
    let close = |on: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"));
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    close("on");
    timeout(PATIENCE, async { while Store::check(&*store).await.is_ok() {} }).await.unwrap();
    store.accounts().await.unwrap();
    assert!(is_unavailable(store.prune_replay(1).await));
    server.sql("postgres", "ALTER SYSTEM RESET default_transaction_read_only");
    server.sql("postgres", "SELECT pg_reload_conf()");
    timeout(PATIENCE, async { while store.prune_replay(1).await.is_err() {} }).await.unwrap();
    Store::check(&*store).await.unwrap();
}

/// Has each commit that has renewed a lease do this at its end.
fn at_commit(database: &Database, what: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN {what}; RETURN NULL; END $$;
         DROP TRIGGER IF EXISTS at_commit ON gateway;
         CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON gateway
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()"
    );
    database.server().sql(database.name(), &sql);
}

#[tokio::test]
async fn a_commit_without_an_answer_may_have_been_made_and_a_refused_one_was_not() {
    let database = tokio::task::spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let store = PostgresStore::connect(&database.options()).await.unwrap();
    for (what, is_unknown) in [
        ("PERFORM pg_terminate_backend(pg_backend_pid())", true),
        ("RAISE EXCEPTION 'no room' USING ERRCODE = '53100'", false),
    ] {
        at_commit(&database, what);
        let refused = store.renew_lease(GatewayId::from_bytes([1; 16]), span(10)).await;
        assert_eq!(refused.unwrap_err().is_outcome_unknown(), is_unknown, "{what}");
    }
}

#[tokio::test]
async fn damage_is_told_from_what_may_pass() {
    let database = tokio::task::spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let store = PostgresStore::connect(&database.options()).await.unwrap();
    for code in ["XX001", "XX002"] {
        at_commit(&database, &format!("RAISE EXCEPTION 'torn' USING ERRCODE = '{code}'"));
        let refused = store.renew_lease(GatewayId::from_bytes([1; 16]), span(10)).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    }
}
