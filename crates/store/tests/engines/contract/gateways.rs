//! Gateways act while their lease is valid, and a device is where it connected last.

use opencpm_domain::{GatewayId, Generation, Sequence};
use opencpm_operations::port::{Bind, Enrolled, StoreError};
use opencpm_operations::row::{Binding, Connection, Lease, Sealing};

use super::world::{
    GATEWAY, World, enrolment, generation, hello, id, next, sealing, span, succeeded,
};

const OTHER: GatewayId = GatewayId::from_bytes([8; 16]);

fn epoch(connection: Connection) -> Option<(GatewayId, u64)> {
    match connection {
        Connection::None => None,
        Connection::Bound { binding: Binding { gateway, epoch }, .. } => Some((gateway, epoch)),
    }
}

pub(crate) async fn a_lease_that_ended_is_not_renewed(world: &mut World) {
    let store = &world.store;
    assert!(store.renew_lease(OTHER, span(10)).await.unwrap());
    world.clock.advance(9);
    assert!(store.renew_lease(OTHER, span(10)).await.unwrap());
    world.clock.advance(10);
    assert!(!store.renew_lease(OTHER, span(10)).await.unwrap());
    let third = GatewayId::from_bytes([9; 16]);
    assert!(store.renew_lease(third, span(10)).await.unwrap());
    store.end_lease(third).await.unwrap();
    assert!(!store.renew_lease(third, span(10)).await.unwrap());
}

pub(crate) async fn a_gateway_without_a_lease_binds_and_changes_nothing(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    let before = world.device(&ids[0]).await;
    world.store.end_lease(GATEWAY).await.unwrap();
    let end = || vec![next(&jobs[0], succeeded(world.now()))];
    for gateway in [GATEWAY, OTHER] {
        let bound = world.store.bind(gateway, vec![hello(&ids[0])]).await;
        assert!(matches!(bound, Err(StoreError::LeaseEnded)));
        let changed = world.store.change_jobs(end(), Some(gateway)).await;
        assert!(matches!(changed, Err(StoreError::LeaseEnded)));
    }
    assert_eq!(epoch(world.device(&ids[0]).await.connection), epoch(before.connection));
    // The sweep has no gateway and needs no lease.
    assert_eq!(world.store.change_jobs(end(), None).await.unwrap(), [jobs[0].job]);
}

pub(crate) async fn each_connection_has_a_higher_epoch(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    world.store.renew_lease(OTHER, span(10)).await.unwrap();
    let bound = world.store.bind(OTHER, vec![hello(&ids[0])]).await.unwrap();
    assert_eq!(bound, [(ids[0].clone(), 2)]);
    world.store.unbind(OTHER, bound).await.unwrap();
    assert_eq!(epoch(world.device(&ids[0]).await.connection), None);
    let bound = world.store.bind(GATEWAY, vec![hello(&ids[0])]).await.unwrap();
    assert_eq!(bound, [(ids[0].clone(), 3)]);
    assert_eq!(epoch(world.device(&ids[1]).await.connection), Some((GATEWAY, 1)));
    let twice = world.store.bind(GATEWAY, vec![hello(&ids[1]), hello(&ids[1])]).await.unwrap();
    assert_eq!(epoch(world.device(&ids[1]).await.connection), Some((GATEWAY, twice[0].1)));
}

pub(crate) async fn a_disconnect_clears_only_its_own_epoch(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    world.store.renew_lease(OTHER, span(10)).await.unwrap();
    world.store.bind(OTHER, vec![hello(&ids[0])]).await.unwrap();
    for (gateway, number) in [(GATEWAY, 1), (GATEWAY, 2), (OTHER, 1)] {
        world.store.unbind(gateway, vec![(ids[0].clone(), number)]).await.unwrap();
        assert_eq!(epoch(world.device(&ids[0]).await.connection), Some((OTHER, 2)));
    }
    world.clock.advance(5);
    world.store.unbind(OTHER, vec![(ids[0].clone(), 2)]).await.unwrap();
    let device = world.device(&ids[0]).await;
    assert_eq!((device.connection, device.last_seen), (Connection::None, Some(world.now())));
}

pub(crate) async fn a_former_identity_is_not_bound(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let again = enrolment(&ids[0], 2, world.now());
    assert_eq!(world.store.enrol(again).await.unwrap(), Enrolled::Done);
    let hellos = vec![hello(&ids[0]), hello(&ids[1]), hello(&id("cpm-unknown"))];
    let bound = world.store.bind(GATEWAY, hellos).await.unwrap();
    assert_eq!(bound, [(ids[1].clone(), 2)]);
    assert_eq!(world.device(&ids[0]).await.connection, Connection::None);
}

pub(crate) async fn a_hello_that_came_late_does_not_take_a_connected_device_away(
    world: &mut World,
) {
    let ids = world.devices(&["cpm-1"]).await;
    let told = |boot: &str, made: Option<u64>| Bind {
        boot: boot.into(),
        since_boot: made.map(span),
        ..hello(&ids[0])
    };
    world.store.renew_lease(OTHER, span(10)).await.unwrap();
    world.store.bind(OTHER, vec![told("boot", Some(20))]).await.unwrap();
    let late = || world.store.bind(GATEWAY, vec![told("boot", Some(19))]);
    assert_eq!(late().await.unwrap(), []);
    let device = world.device(&ids[0]).await;
    assert_eq!(epoch(device.connection), Some((OTHER, 2)));
    // The same one again, a later one, one of another boot, and one that does not say when.
    for (number, (boot, made)) in
        [("boot", Some(20)), ("boot", Some(21)), ("again", Some(3)), ("again", None)]
            .into_iter()
            .enumerate()
    {
        let bound = world.store.bind(OTHER, vec![told(boot, made)]).await.unwrap();
        assert_eq!(bound, [(ids[0].clone(), 3 + number as u64)], "{boot} {made:?}");
    }
    // Whoever is not connected any more is not hidden: a machine that was set back is let in.
    let bound = world.store.bind(OTHER, vec![told("boot", Some(20))]).await.unwrap();
    world.store.unbind(OTHER, bound).await.unwrap();
    assert_eq!(late().await.unwrap().len(), 1);
    world.store.bind(OTHER, vec![told("boot", Some(20))]).await.unwrap();
    assert_eq!(late().await.unwrap(), []);
    world.store.end_lease(OTHER).await.unwrap();
    assert_eq!(late().await.unwrap().len(), 1);
}

pub(crate) async fn a_hello_never_lowers_what_is_known(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let mut told = hello(&ids[0]);
    told.highest_sequence = Sequence::new(500);
    told.sealing = sealing(5);
    world.store.bind(GATEWAY, vec![told.clone()]).await.unwrap();
    told.highest_sequence = Sequence::new(400);
    told.sealing = sealing(4);
    told.facts = vec![1];
    world.store.bind(GATEWAY, vec![told.clone()]).await.unwrap();
    let device = world.device(&ids[0]).await;
    assert_eq!(device.highest_sequence, Sequence::new(500));
    assert_eq!((device.sealing, device.facts), (Some(sealing(5)), Some(vec![1])));
    // A machine that lies about its sequence harms itself only.
    told.highest_sequence = Sequence::new(u64::MAX);
    assert_eq!(world.store.bind(GATEWAY, vec![told]).await.unwrap().len(), 1);
    assert!(world.device(&ids[0]).await.highest_sequence > Sequence::new(1 << 53));
}

pub(crate) async fn what_a_machine_says_is_kept_as_it_is(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let mut told = hello(&ids[0]);
    told.facts = (0..=255).collect();
    told.sealing = Sealing { certificate: vec![0, 255, 39, 34], ..sealing(2) };
    for text in ["", "'; DROP TABLE device; --", "\"}]\\u0000\n\u{7}\u{10ffff}", "a\0b"] {
        told.agent_version = text.into();
        assert_eq!(world.store.bind(GATEWAY, vec![told.clone()]).await.unwrap().len(), 1);
        let device = world.device(&ids[0]).await;
        // The facts have it as it is; a store of texts may not know the character U+0000.
        let kept = [text.to_owned(), text.replace('\0', "\u{fffd}")];
        assert!(kept.contains(&device.agent_version), "{text:?}: {:?}", device.agent_version);
        assert_eq!(
            (device.facts.as_ref(), device.sealing.as_ref()),
            (Some(&told.facts), Some(&told.sealing))
        );
    }
}

pub(crate) async fn leases_are_judged_by_the_stores_clock(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let candidates = world.store.reset_candidates(&ids).await.unwrap();
    assert_eq!((candidates.now, candidates.any_gateway_alive), (world.now(), true));
    let until = world.now() + span(10_000);
    let binding = Binding { gateway: GATEWAY, epoch: 1 };
    let bound = Connection::Bound { binding, lease: Lease { until } };
    assert_eq!(candidates.devices[0].connection, bound);
    world.clock.advance(10_000);
    let candidates = world.store.reset_candidates(&ids).await.unwrap();
    assert_eq!((candidates.now, candidates.any_gateway_alive), (until, false));
    assert_eq!(candidates.devices[0].connection, bound);
}

pub(crate) async fn sealing_keys_are_taken_in_order_and_acknowledged_again(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let put = async |device: usize, identity, sealing: Sealing| {
        let keys = vec![(ids[device].clone(), generation(identity), sealing)];
        world.store.put_sealing_keys(keys, GATEWAY).await.unwrap().len()
    };
    assert_eq!(put(0, 1, sealing(3)).await, 1);
    // The acknowledgement was lost.
    assert_eq!(put(0, 1, sealing(3)).await, 1);
    assert_eq!(put(0, 1, sealing(2)).await, 0);
    assert_eq!(put(0, 2, sealing(4)).await, 0);
    let forged = Sealing { certificate: vec![0], ..sealing(3) };
    assert_eq!(put(0, 1, forged).await, 0);
    assert_eq!(world.device(&ids[0]).await.sealing, Some(sealing(3)));
    assert_eq!(world.device(&ids[1]).await.sealing, Some(sealing(1)));
    let several = [2, 4, 3].map(|n| (ids[1].clone(), Generation::FIRST, sealing(n)));
    assert_eq!(
        world.store.put_sealing_keys(several.to_vec(), GATEWAY).await.unwrap(),
        [ids[1].clone()]
    );
    assert_eq!(world.device(&ids[1]).await.sealing, Some(sealing(4)));
    world.store.end_lease(GATEWAY).await.unwrap();
    let late = vec![(ids[1].clone(), Generation::FIRST, sealing(5))];
    let refused = world.store.put_sealing_keys(late, GATEWAY).await;
    assert!(matches!(refused, Err(StoreError::LeaseEnded)));
    assert_eq!(world.device(&ids[1]).await.sealing, Some(sealing(4)));
}

pub(crate) async fn gateways_of_long_ago_are_forgotten_unless_a_device_still_names_them(
    world: &mut World,
) {
    let ids = world.devices(&["cpm-1"]).await;
    for number in 10..15 {
        let process = GatewayId::from_bytes([number; 16]);
        assert!(world.store.renew_lease(process, span(10)).await.unwrap());
    }
    world.clock.advance(109);
    assert_eq!(world.store.prune_gateways(span(100), 10).await.unwrap(), 0);
    world.clock.advance(1);
    assert_eq!(world.store.prune_gateways(span(100), 2).await.unwrap(), 2);
    assert_eq!(world.store.prune_gateways(span(100), 10).await.unwrap(), 3);
    // The device's own: its lease ended long ago too, and it tells when.
    world.clock.advance(20_000);
    assert_eq!(world.store.prune_gateways(span(100), 10).await.unwrap(), 0);
    let connection = world.device(&ids[0]).await.connection;
    assert_eq!(epoch(connection), Some((GATEWAY, 1)));
    world.store.unbind(GATEWAY, vec![(ids[0].clone(), 1)]).await.unwrap();
    assert_eq!(world.store.prune_gateways(span(100), 10).await.unwrap(), 1);
}
