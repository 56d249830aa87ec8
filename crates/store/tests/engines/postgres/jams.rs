//! What must not wait does not, and what has waited is looked at again.

use std::sync::Arc;

use sqlx::Connection;
use tokio::task::{JoinSet, spawn_blocking};

use super::world::{Database, Server, awaited_by, counts};
use crate::contract::World;
use crate::contract::world::{GATEWAY, span};

/// Longer than anybody waits for anything.
const SLOW: &str = "ALTER TABLE account RENAME TO real_account;
    CREATE VIEW account AS SELECT real_account.* FROM real_account, pg_sleep(600)";
const END_SLOW_ONES: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'";
const SLOW_ONES: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'";

#[tokio::test]
async fn slow_statements_on_every_connection_cost_no_gateway_its_lease() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let connections = i64::from(database.options().connections);
    let mut other = database.behind_its_back().await;
    let world = World::new(Box::new(database)).await;
    sqlx::raw_sql(SLOW).execute(&mut other).await.unwrap();
    let mut jam = JoinSet::new();
    for _ in 0..connections {
        let store = Arc::clone(&world.store);
        // On a busy machine a connection may come too late for the first try.
        jam.spawn(async move { while store.accounts().await.is_err() {} });
    }
    counts(&mut other, SLOW_ONES, |slow| slow >= connections).await;
    assert!(world.store.renew_lease(GATEWAY, span(10)).await.unwrap());
    world.store.check().await.unwrap();
    world.store.end_lease(GATEWAY).await.unwrap();
    assert!(jam.try_join_next().is_none(), "the jam was over");
    jam.shutdown().await;
    sqlx::raw_sql(END_SLOW_ONES).execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_given_more_time_while_old_ones_are_forgotten_stays() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let mut other = database.behind_its_back().await;
    let world = World::new(Box::new(database)).await;
    let number = "SELECT count(*) FROM api_key";
    sqlx::query("UPDATE api_key SET expires = 1").execute(&mut other).await.unwrap();
    let before: i64 = sqlx::query_scalar(number).fetch_one(&mut other).await.unwrap();
    assert!(before > 0);
    let mut held = other.begin().await.unwrap();
    let more = sqlx::query("UPDATE api_key SET expires = 9000000000000000");
    more.execute(&mut *held).await.unwrap();
    let more_time = async {
        awaited_by(&mut held, 1).await;
        held.commit().await.unwrap();
    };
    let forget = world.store.prune_api_keys(span(0), 100);
    let (forgotten, ()) = futures_util::future::join(forget, more_time).await;
    assert_eq!(forgotten.unwrap(), 0);
    assert_eq!(sqlx::query_scalar::<_, i64>(number).fetch_one(&mut other).await.unwrap(), before);
}
