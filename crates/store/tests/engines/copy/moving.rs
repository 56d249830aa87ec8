//! What is in the file is in the database afterwards, and a service goes on from there.

use opencpm_domain::{GatewayId, TaskId};
use opencpm_operations::port::{Clock as _, Deliverable, StoreError};
use opencpm_operations::row::{Acceptance, Connection, FirstUse};
use opencpm_store::{OpenError, PostgresStore, SqliteStore};
use tokio::task::spawn_blocking;

use super::world::{FINISHED, Move, OPEN, USED};
use crate::contract::world::{GATEWAY, hello, nonce, span};
use crate::contract::{id, new_task, next, succeeded};
use crate::postgres::world::{Database, Server};

/// Whatever of a store no operation of the small world fills.
const THE_REST: &str = "
    UPDATE api_key SET maker = 'AKIDmaker';
    UPDATE device SET deliver_time = 1, deadline = 2, maintain_status = 'm', maintain_message = '',
        alias = 'ü\"\\|' || char(10), lan_ip = 'ends' || char(0), quarantined = 1,
        identity_generation = 2, hello_boot = 'boot', hello_since_boot = 11;
    UPDATE device_key SET until = 3;
    UPDATE enrolment_token SET device = 'cpm-a';
    UPDATE job SET reason = 1, applied = NULL, status = 2, advice = '[1]', last_attempt = 4,
        report = x'00ff' WHERE instance = 'cpm-c';
    UPDATE audit SET secret_id = 'AKID1', uin = '1';
    INSERT INTO device_tag VALUES (1, 'cpm-a', 'role', '数据', x'08'),
        (1, 'cpm-a', 'Role', '', NULL);
    INSERT INTO fingerprint (hash, task, expires) VALUES (x'01', 100, 5), (x'02', NULL, -5);
    INSERT INTO maintenance VALUES (1, 6, 'until noon');
    INSERT INTO node_token VALUES (x'03', '[\"gw\"]', 2, 7, x'04');
    INSERT INTO node VALUES (x'05', x'06', '[\"gw\"]', 'gw1', 8, 9, 10, x'07');";

/// A table or a column that a later migration adds to the schemas fails this test, unless it is
/// filled above: then it is seen to be copied.
#[tokio::test]
async fn every_column_of_every_table_is_the_same_on_the_other_side() {
    let moving = Move::new().await;
    moving.sqlite(THE_REST).await;
    let copied = moving.copy().await.unwrap();
    let tables = moving.columns().await;
    let names: Vec<_> = copied.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, tables.keys().collect::<Vec<_>>());
    let there = moving.postgres(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'
            AND tablename NOT IN ('_sqlx_migrations', 'schema_compatibility', 'quota_used')
         ORDER BY tablename COLLATE \"C\"",
    );
    assert_eq!(there.lines().collect::<Vec<_>>(), names);
    for (table, told) in tables.iter().zip(&copied) {
        let (name, columns) = table;
        let rows = moving.file_rows(name, columns).await;
        // PostgreSQL does not know the character.
        let rows: Vec<_> = rows.iter().map(|row| row.replace('\0', "\u{fffd}")).collect();
        assert_eq!(moving.database_rows(name, columns).await, rows, "{name}");
        assert_eq!(told.rows, rows.len() as u64, "{name}");
        assert_eq!(told.checksum.len(), 64);
        for column in columns {
            let values = moving.file_rows(name, std::slice::from_ref(column)).await;
            assert!(values.iter().any(|value| value != "null"), "nobody fills {name}.{column}");
        }
    }
}

#[tokio::test]
async fn a_service_goes_on_where_the_former_one_stopped() {
    let mut moving =
        Move::to(spawn_blocking(|| Database::empty(Server::Shared)).await.unwrap()).await;
    let mut copy = moving.prepare().await.unwrap();
    assert!(copy.makes_schema());
    let devices = copy.tables().await.unwrap().into_iter().find(|(name, _)| name == "device");
    assert_eq!(devices, Some(("device".to_owned(), 3)));
    copy.run().await.unwrap();
    let store = moving.serve_database().await;
    let now = moving.clock.now();
    // The former tasks, and the request that was used.
    let (_, finished) = store.task(TaskId::new(FINISHED).unwrap()).await.unwrap().unwrap();
    assert_eq!(finished.len(), 3);
    assert!(finished.iter().all(|job| job.state == succeeded(now)));
    let used = nonce(USED, now + span(600));
    assert_eq!(store.first_use(&used).await.unwrap(), Some(FirstUse::Change));
    // Nobody holds a lease; a device comes to a new gateway, with an epoch above its last one.
    let gateway = GatewayId::from_bytes([8; 16]);
    let candidates = store.reset_candidates(&[id("cpm-a")]).await.unwrap().devices;
    let Connection::Bound { binding, .. } = candidates[0].connection else { panic!("not bound") };
    assert!(store.renew_lease(gateway, span(60)).await.unwrap());
    let all = ["cpm-a", "cpm-b", "cpm-c"].map(id);
    let bound = store.bind(gateway, all.iter().map(hello).collect()).await.unwrap();
    assert!(bound.iter().all(|(_, epoch)| *epoch > binding.epoch), "{bound:?}");
    // The open job is delivered and ends.
    let ready = Deliverable::NotAttemptedFor(span(0));
    let (_, ready) = store.deliverable_jobs(gateway, ready, 10).await.unwrap();
    assert_eq!(ready.len(), 2);
    assert!(ready.iter().all(|ready| ready.job.sealed.as_ref().unwrap().ciphertext == vec![4; 80]));
    let open = store.open_jobs(&all).await.unwrap();
    let ends: Vec<_> = open.iter().map(|job| next(job, succeeded(now))).collect();
    assert_eq!(store.change_jobs(ends, Some(gateway)).await.unwrap().len(), 2);
    // The next task's numbers and sequences are above the former ones.
    let next_task = new_task(&store, OPEN + 1, &all, now).await;
    let highest = open.iter().map(|job| job.sequence).max();
    assert!(next_task.jobs.iter().take(2).all(|job| Some(job.sequence) > highest));
    assert_eq!(store.accept(next_task.into()).await.unwrap(), Acceptance::Accepted);
    assert_eq!(moving.postgres("SELECT min(number) FROM job WHERE task = 102"), "6");
    moving.database.close().await;
}

#[tokio::test]
async fn numbers_that_were_given_once_are_not_given_again() {
    let moving = Move::new().await;
    moving.sqlite("DELETE FROM sealed; DELETE FROM job WHERE task = 101").await;
    moving.copy().await.unwrap();
    let next = moving.postgres("SELECT nextval(pg_get_serial_sequence('job', 'number'))");
    assert_eq!(next, "6");
}

#[tokio::test]
async fn ten_thousand_devices_with_finished_and_open_tasks_are_copied() {
    let moving = Move::new().await;
    moving
        .sqlite(
            "CREATE TEMP TABLE number AS WITH RECURSIVE number (value) AS (
             SELECT 1 UNION ALL SELECT value + 1 FROM number WHERE value < 10000)
         SELECT value FROM number;
         INSERT INTO device (instance, account, identity_generation, identity_key, retired,
             quarantined, signature, alias, alias_lower, lan_ip, wan_ip, mgt_ip, device_status,
             operate_status, os_type_id, raid_id, zone_id, zone, project_id, vpc_id, subnet_id,
             un_vpc_id, un_subnet_id, is_vpc_gateway, auto_renew, device_class, device_class_code,
             highest_sequence, agent_version, epoch)
         SELECT printf('cpm-%08x', value), 1, 1, unhex(printf('%064x', value)), 0, 0, zeroblob(64),
             '', '', '', '', '', 4, 1, 0, 0, 0, '', 0, 0, 0, '', '', 0, 0, '', '', value, '', 0
         FROM number;
         INSERT INTO task (id, account, action, uin, created, deadline)
         SELECT 199 + value, 1, 'resetPasswd', '1', value, value + 120 FROM number
             WHERE value <= 100;
         INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
             identity_generation, sealing_generation, verb, issued_at, not_after, deadline,
             authority, mac, status, attempts, ended, applied, corrected, version)
         SELECT unhex(printf('%032x', value)), 200 + value % 100, value / 100, 100,
             printf('cpm-%08x', value), 1, 1, value, 1, 1, 1, 1, 1, 1, zeroblob(8), zeroblob(32),
             iif(value % 2, 1, 4), 0, iif(value % 2, 1, NULL), iif(value % 2, 1, NULL), 0, 0
         FROM number;
         INSERT INTO sealed SELECT number, zeroblob(32), randomblob(80) FROM job
         WHERE status = 4 AND task >= 200",
        )
        .await;
    let copied = moving.copy().await.unwrap();
    let rows = |name: &str| copied.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!([rows("device"), rows("job"), rows("sealed")], [10_003, 10_005, 5_002]);
    for (name, columns) in moving.columns().await {
        let here = moving.file_rows(&name, &columns).await;
        assert!(moving.database_rows(&name, &columns).await == here, "{name}");
    }
}

/// As when a file is opened again: whoever held them is gone.
#[tokio::test]
async fn leases_of_the_former_process_end_with_the_copy() {
    let moving = Move::new().await;
    moving.sqlite("UPDATE gateway SET until = 4000000000000000").await;
    moving.copy().await.unwrap();
    assert_eq!(moving.postgres("SELECT count(*) FROM gateway WHERE until <= store_now()"), "1");
    let bound = moving.postgres("SELECT count(*) FROM device WHERE gateway IS NOT NULL");
    assert_eq!(bound, "3");
    let store = PostgresStore::connect(&moving.database.options()).await.unwrap();
    let refused = opencpm_operations::port::Store::bind(&store, GATEWAY, vec![hello(&id("cpm-a"))]);
    assert!(matches!(refused.await, Err(StoreError::LeaseEnded)));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_copied_is_the_past_until_it_is_taken_up_again() {
    let moving = Move::new().await;
    moving.serve_file().await.unwrap().close().await.unwrap();
    assert!(!SqliteStore::reopen(&moving.file).await.unwrap());
    moving.copy().await.unwrap();
    for _ in 0..2 {
        let Err(StoreError::Unavailable(refused)) = moving.serve_file().await else {
            panic!("it was opened");
        };
        let refused = refused.downcast_ref::<OpenError>().unwrap();
        assert!(
            matches!(refused, OpenError::Moved(place) if *place == moving.database.options().place())
        );
        assert!(refused.to_string().contains("opencpm store reopen"), "{refused}");
    }
    assert!(SqliteStore::reopen(&moving.file).await.unwrap());
    moving.serve_file().await.unwrap().close().await.unwrap();
}
