//! Accepted means durable, however the server was configured.

use std::sync::Arc;

use opencpm_domain::GatewayId;
use opencpm_operations::port::Store;
use opencpm_store::PostgresStore;
use tokio::task::spawn_blocking;

use super::world::{Database, Server};
use crate::contract::world::span;

#[tokio::test]
async fn no_commit_is_answered_before_it_is_on_disk_unless_the_operator_wants_more() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let sql = |text: &str| database.server().sql(database.name(), text);
    // The clock is asked in each session that takes a lease: it tells how that one commits.
    sql("CREATE TABLE told (setting text);
         CREATE OR REPLACE FUNCTION store_now() RETURNS BIGINT LANGUAGE sql VOLATILE
         AS $$ INSERT INTO told VALUES (current_setting('synchronous_commit')); SELECT 1::bigint $$");
    for (configured, used) in [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")] {
        sql(&format!(
            "ALTER DATABASE {} SET synchronous_commit = {configured}; TRUNCATE told",
            database.name()
        ));
        let store = Arc::new(PostgresStore::connect(&database.options()).await.unwrap());
        assert!(store.renew_lease(GatewayId::from_bytes([1; 16]), span(10)).await.unwrap());
        assert_eq!(sql("SELECT * FROM told"), used);
        store.close().await.unwrap();
    }
}
