//! What must not wait does not.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::world::{Database, PATIENCE, Server};
use crate::contract::World;
use crate::contract::world::{GATEWAY, span};

/// Longer than anybody waits for a connection.
const SLOW: &str = "ALTER TABLE account RENAME TO real_account;
    CREATE VIEW account AS SELECT real_account.* FROM real_account, pg_sleep(20)";
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
        jam.spawn(async move { store.accounts().await.map(drop) });
    }
    let jammed = async {
        while sqlx::query_scalar::<_, i64>(SLOW_ONES).fetch_one(&mut other).await.unwrap()
            < connections
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, jammed).await.unwrap();
    assert!(world.store.renew_lease(GATEWAY, span(10)).await.unwrap());
    world.store.check().await.unwrap();
    world.store.end_lease(GATEWAY).await.unwrap();
    assert!(jam.try_join_next().is_none(), "the jam was over");
}
