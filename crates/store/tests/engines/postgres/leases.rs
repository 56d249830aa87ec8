//! A lease is judged when the rows are held that it is about, not before they were waited for.

use opencpm_domain::{GatewayId, Generation, JobState};
use opencpm_operations::port::StoreError;
use sqlx::{Connection, Postgres, Transaction};
use tokio::task::spawn_blocking;

use super::world::{Database, Server, awaited_by};
use crate::contract::world::{hello, sealing, span};
use crate::contract::{HandClock, World, next};

/// Returns when somebody has waited for what is held until the lease has ended.
async fn outlast_the_lease(mut held: Transaction<'_, Postgres>, clock: &HandClock) {
    awaited_by(&mut held, 1).await;
    clock.advance(20);
    held.commit().await.unwrap();
}

#[tokio::test]
async fn a_gateway_whose_lease_ends_while_it_waits_for_a_device_changes_nothing() {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let mut other = database.behind_its_back().await;
    let world = World::new(Box::new(database)).await;
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    let before = world.device(&ids[0]).await;
    // Each of a gateway's changes, by a gateway of its own.
    for number in 1..=3 {
        let gateway = GatewayId::from_bytes([number; 16]);
        assert!(world.store.renew_lease(gateway, span(10)).await.unwrap());
        let late = async {
            match number {
                1 => world.store.bind(gateway, vec![hello(&ids[0])]).await.map(drop),
                2 => {
                    let keys = vec![(ids[0].clone(), Generation::FIRST, sealing(9))];
                    world.store.put_sealing_keys(keys, gateway).await.map(drop)
                }
                _ => {
                    let attempt = next(&jobs[0], JobState::Attempted { attempts: 1 });
                    world.store.change_jobs(vec![attempt], Some(gateway)).await.map(drop)
                }
            }
        };
        let mut held = other.begin().await.unwrap();
        sqlx::query("SELECT FROM device FOR UPDATE").execute(&mut *held).await.unwrap();
        let (refused, ()) =
            futures_util::future::join(late, outlast_the_lease(held, &world.clock)).await;
        assert!(matches!(refused, Err(StoreError::LeaseEnded)), "{number}: {refused:?}");
    }
    assert_eq!(world.device(&ids[0]).await, before);
    assert_eq!(world.jobs(100).await, jobs);
}
