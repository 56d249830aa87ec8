//! A machine enrols once for each use of a token, and again only as the device it is.

use std::sync::Arc;

use opencpm_domain::{Ending, Generation};
use opencpm_operations::port::{Administered, Change, Enrolled};
use opencpm_operations::row::{Attributes, Connection};

use super::administration::ahead;
use super::world::{World, enrolment, id, identity, next, sealing, span, succeeded, token};

/// A token besides the one that the devices of these tests come with.
async fn other_token(world: &World, uses: u32) -> [u8; 32] {
    let mut other = token(uses, world.now() + span(60));
    other.hash = [1; 32];
    assert_eq!(world.administer(Change::CreateEnrolmentToken(other)).await, Administered::Done);
    [1; 32]
}

pub(crate) async fn a_token_for_one_machine_enrols_one_of_many(world: &mut World) {
    let token = other_token(world, 1).await;
    let mut machines = Vec::new();
    for n in 0..20 {
        let mut enrolment = enrolment(&id(&format!("cpm-{n}")), 1, world.now());
        enrolment.token = token;
        let store = Arc::clone(&world.store);
        machines.push(tokio::spawn(async move { store.enrol(enrolment).await.unwrap() }));
    }
    let mut enrolled = 0;
    for machine in machines {
        match machine.await.unwrap() {
            Enrolled::Done => enrolled += 1,
            refused => assert_eq!(refused, Enrolled::TokenRefused),
        }
    }
    assert_eq!(enrolled, 1);
    assert_eq!(world.store.enrolment_token(&token).await.unwrap().unwrap().uses_left, 0);
}

pub(crate) async fn a_new_device_comes_with_its_key(world: &mut World) {
    let instance = id("cpm-1");
    let enrolment = enrolment(&instance, 1, world.now());
    assert_eq!(world.store.enrol(enrolment.clone()).await.unwrap(), Enrolled::Done);
    let device = world.device(&instance).await;
    assert_eq!((&device.authority, device.signature), (&enrolment.authority, enrolment.signature));
    assert_eq!(
        (&device.attributes, &device.facts),
        (&enrolment.attributes, &Some(enrolment.facts))
    );
    assert_eq!(device.sealing, Some(enrolment.sealing));
    let keys =
        [(instance.clone(), Generation::FIRST), (instance.clone(), Generation::FIRST.next())];
    assert_eq!(world.store.device_keys(&keys).await.unwrap(), std::slice::from_ref(&enrolment.key));
    let found = world.store.device_of_identity(&enrolment.key.identity.key).await.unwrap();
    assert_eq!(found, Some(device));
}

pub(crate) async fn enrolling_again_ends_the_former_key_and_the_open_job(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    world.clock.advance(50);
    let mut again = enrolment(&ids[0], 2, world.now());
    assert_eq!(world.store.enrol(again.clone()).await.unwrap(), Enrolled::Changed);
    let ended = jobs[0].state.clone().end_unreported(Ending::ReEnrolled, world.now()).unwrap();
    again.jobs = vec![next(&jobs[0], ended.clone())];
    assert_eq!(world.store.enrol(again.clone()).await.unwrap(), Enrolled::Done);
    assert_eq!(world.jobs(100).await[0].state, ended);

    let pairs = [(ids[0].clone(), Generation::FIRST), (ids[0].clone(), Generation::FIRST.next())];
    let mut keys = world.store.device_keys(&pairs).await.unwrap();
    keys.sort_by_key(|key| key.identity.generation);
    assert_eq!(keys[0].until, Some(world.now()));
    assert_eq!(keys[1], again.key);
    let former = identity(&ids[0], 1).key;
    assert_eq!(world.store.device_of_identity(&former).await.unwrap(), None);
}

pub(crate) async fn enrolling_again_cuts_the_connection_and_keeps_attributes(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let before = world.device(&ids[0]).await;
    let mut again = enrolment(&ids[0], 2, world.now());
    again.attributes = Attributes::default();
    again.sealing = sealing(7);
    assert_eq!(world.store.enrol(again).await.unwrap(), Enrolled::Done);
    let after = world.device(&ids[0]).await;
    assert_eq!(after.connection, Connection::None);
    assert_eq!(after.attributes, before.attributes);
    assert_eq!(
        (after.sealing, after.highest_sequence),
        (Some(sealing(7)), before.highest_sequence)
    );
}

pub(crate) async fn an_expired_token_enrols_nobody(world: &mut World) {
    let token = other_token(world, 5).await;
    world.clock.advance(60);
    let mut late = enrolment(&id("cpm-1"), 1, world.now());
    late.token = token;
    assert_eq!(world.store.enrol(late.clone()).await.unwrap(), Enrolled::TokenRefused);
    late.token = [0; 32];
    assert_eq!(world.store.enrol(late).await.unwrap(), Enrolled::TokenRefused);
    let unused = world.store.enrolment_token(&token).await.unwrap().unwrap();
    assert_eq!(unused.uses_left, 5);
    assert_eq!(world.store.enrolment_token(&[0; 32]).await.unwrap(), None);
}

pub(crate) async fn a_job_that_moved_on_stops_an_enrolment(world: &mut World) {
    let token = other_token(world, 1).await;
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    world.succeed(&jobs[0]).await;
    let mut again = enrolment(&ids[0], 2, world.now());
    again.token = token;
    again.jobs = vec![next(&jobs[0], succeeded(world.now()))];
    assert_eq!(world.store.enrol(again).await.unwrap(), Enrolled::Changed);
    assert_eq!(world.device(&ids[0]).await.authority.identity, Some(identity(&ids[0], 1)));
    // Not even the token lost a use.
    assert_eq!(world.store.enrolment_token(&token).await.unwrap().unwrap().uses_left, 1);
}

pub(crate) async fn one_key_is_one_device(world: &mut World) {
    let first = enrolment(&id("cpm-1"), 1, world.now());
    let mut second = enrolment(&id("cpm-2"), 1, world.now());
    second.key.identity = first.key.identity.clone();
    second.authority.identity = first.authority.identity.clone();
    let both =
        futures_util::future::join(world.store.enrol(first), world.store.enrol(second)).await;
    // Whichever came first.
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(both.contains(&Enrolled::Done) && both.contains(&Enrolled::Changed), "{both:?}");
}

pub(crate) async fn a_device_known_ahead_keeps_what_was_written_of_it(world: &mut World) {
    let mut device = ahead("cpm-1");
    device.attributes.alias = "rack 7".into();
    world.administer(Change::CreateDevice(Box::new(device.clone()))).await;
    let skipped = enrolment(&id("cpm-1"), 2, world.now());
    assert_eq!(world.store.enrol(skipped).await.unwrap(), Enrolled::Changed);
    let first = enrolment(&id("cpm-1"), 1, world.now());
    assert_eq!(world.store.enrol(first).await.unwrap(), Enrolled::Done);
    assert_eq!(world.device(&id("cpm-1")).await.attributes, device.attributes);
}
