//! The device list finds what is asked for, in order, a page at a time.

use opencpm_domain::{DeviceStatus, Timestamp};
use opencpm_operations::port::{Administered, Change};
use opencpm_operations::row::{Attributes, DeviceOrder, DeviceQuery, DeviceSort};

use super::administration::ahead;
use super::world::{World, account, app, id};

async fn add(world: &World, instance: &str, attributes: Attributes) {
    let mut device = ahead(instance);
    device.attributes = attributes;
    let change = Change::CreateDevice(Box::new(device));
    assert_eq!(world.administer(change).await, Administered::Done);
}

async fn found(world: &World, query: DeviceQuery) -> (u64, Vec<String>) {
    let (_, page) = world.store.devices(&query).await.unwrap();
    (page.total, page.items.iter().map(|d| d.authority.instance.to_string()).collect())
}

fn all() -> DeviceQuery {
    DeviceQuery { limit: 100, ..DeviceQuery::default() }
}

fn ids(ids: &[&str]) -> (u64, Vec<String>) {
    (ids.len() as u64, ids.iter().map(|id| id.to_string()).collect())
}

pub(crate) async fn filters_are_joined_and_pages_follow_each_other(world: &mut World) {
    for n in 0u8..6 {
        let attributes = Attributes {
            lan_ip: format!("10.0.0.{n}"),
            subnet_id: u64::from(n % 2),
            un_vpc_id: format!("vpc-{}", n % 3),
            auto_renew: n >= 3,
            deadline: (n > 0).then(|| Timestamp::from_secs(u64::from(n))),
            device_status: if n == 5 { DeviceStatus::Offline } else { DeviceStatus::InOperation },
            ..Attributes::default()
        };
        add(world, &format!("cpm-{n}"), attributes).await;
    }
    let second = DeviceQuery { offset: 2, limit: 2, ..DeviceQuery::default() };
    assert_eq!(found(world, second).await, (6, vec!["cpm-2".into(), "cpm-3".into()]));
    let query = DeviceQuery { subnet_ids: vec![1], auto_renew: Some(true), ..all() };
    assert_eq!(found(world, query).await, ids(&["cpm-3", "cpm-5"]));
    let query = DeviceQuery {
        instances: vec![id("cpm-1"), id("cpm-4"), id("cpm-9")],
        lan_ips: vec!["10.0.0.4".into(), "10.0.0.5".into()],
        ..all()
    };
    assert_eq!(found(world, query).await, ids(&["cpm-4"]));
    let (from, to) = (Some(Timestamp::from_secs(2)), Some(Timestamp::from_secs(4)));
    let query = DeviceQuery { deadline_from: from, deadline_to: to, ..all() };
    assert_eq!(found(world, query).await, ids(&["cpm-2", "cpm-3", "cpm-4"]));
    let query = DeviceQuery {
        un_vpc_ids: vec!["vpc-2".into()],
        statuses: vec![DeviceStatus::Offline, DeviceStatus::Expired],
        ..all()
    };
    assert_eq!(found(world, query).await, ids(&["cpm-5"]));
}

pub(crate) async fn names_and_addresses_are_found_by_a_part(world: &mut World) {
    let named = |alias: &str, wan_ip: &str| Attributes {
        alias: alias.into(),
        wan_ip: wan_ip.into(),
        lan_ip: "10.0.0.1".into(),
        ..Attributes::default()
    };
    add(world, "cpm-1", named("Web Server", "203.0.113.5")).await;
    add(world, "cpm-2", named("BÜRO_1", "203.0.113.77")).await;
    let alias = |text: &str| DeviceQuery { alias: Some(text.into()), ..all() };
    assert_eq!(found(world, alias("b server")).await, ids(&["cpm-1"]));
    assert_eq!(found(world, alias("büro_")).await, ids(&["cpm-2"]));
    // Not wildcards.
    assert_eq!(found(world, alias("b%s")).await, ids(&[]));
    let ip = |text: &str| DeviceQuery { vague_ip: Some(text.into()), ..all() };
    assert_eq!(found(world, ip("113.7")).await, ids(&["cpm-2"]));
    assert_eq!(found(world, ip("10.0")).await, ids(&["cpm-1", "cpm-2"]));
    assert_eq!(found(world, ip("1203")).await, ids(&[]));
}

pub(crate) async fn ties_are_broken_by_id(world: &mut World) {
    for (instance, alias) in [("cpm-2", "a"), ("cpm-1", "a"), ("cpm-3", "b")] {
        let attributes = Attributes { alias: alias.into(), ..Attributes::default() };
        add(world, instance, attributes).await;
    }
    let order = |descending| DeviceQuery {
        order: DeviceOrder { by: DeviceSort::Alias, descending },
        ..all()
    };
    assert_eq!(found(world, order(false)).await, ids(&["cpm-1", "cpm-2", "cpm-3"]));
    assert_eq!(found(world, order(true)).await, ids(&["cpm-3", "cpm-1", "cpm-2"]));
}

pub(crate) async fn accounts_and_retired_devices_stay_apart(world: &mut World) {
    world.administer(Change::CreateAccount(account(2))).await;
    add(world, "cpm-1", Attributes::default()).await;
    for (instance, owner, retired) in [("cpm-2", 2, false), ("cpm-3", 1, true)] {
        let mut device = ahead(instance);
        device.authority.account = app(owner);
        device.authority.retired = retired;
        world.administer(Change::CreateDevice(Box::new(device))).await;
    }
    let of = |account| DeviceQuery { account, ..all() };
    assert_eq!(found(world, of(Some(app(1)))).await, ids(&["cpm-1"]));
    assert_eq!(found(world, of(None)).await, ids(&["cpm-1", "cpm-2"]));
    let query = DeviceQuery { retired: true, ..of(Some(app(1))) };
    assert_eq!(found(world, query).await, ids(&["cpm-1", "cpm-3"]));
}
