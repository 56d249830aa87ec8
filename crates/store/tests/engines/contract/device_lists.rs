//! The device list finds what is asked for, in order, a page at a time.

use opencpm_domain::{DeviceStatus, Timestamp};
use opencpm_operations::port::{Administered, Change};
use opencpm_operations::row::{
    AttributeChanges, Attributes, Device, DeviceOrder, DeviceQuery, DeviceScope, DeviceSort, Tag,
    TagFilter,
};

use super::administration::{ahead, unusual_attributes};
use super::device_filters;
use super::world::{World, account, app, id, tag_filter};

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

pub(crate) async fn a_scope_shows_what_it_lists_and_what_carries_one_of_its_tags(
    world: &mut World,
) {
    let tagged = |tags: &[(&str, &str)]| Attributes {
        tags: tags
            .iter()
            .map(|(k, v)| Tag { key: (*k).into(), value: (*v).into(), mac: None })
            .collect(),
        ..Attributes::default()
    };
    add(world, "cpm-1", tagged(&[])).await;
    add(world, "cpm-2", tagged(&[("role", "db"), ("site", "'a\"")])).await;
    add(world, "cpm-3", tagged(&[("role", "web")])).await;
    add(world, "cpm-4", tagged(&[("site", "b"), ("db", "role")])).await;
    let within = |instances: &[&str], tags: &[TagFilter]| DeviceQuery {
        within: Some(DeviceScope {
            instances: instances.iter().map(|text| id(text)).collect(),
            tags: tags.to_vec(),
        }),
        ..all()
    };
    let role = tag_filter("role", &["db"]);
    assert_eq!(found(world, within(&["cpm-1"], &[])).await, ids(&["cpm-1"]));
    let both = within(&["cpm-1", "cpm-9"], std::slice::from_ref(&role));
    assert_eq!(found(world, both.clone()).await, ids(&["cpm-1", "cpm-2"]));
    let any_role = within(&[], &[tag_filter("role", &[])]);
    assert_eq!(found(world, any_role).await, ids(&["cpm-2", "cpm-3"]));
    let several = within(&[], &[tag_filter("role", &["web", "x"]), tag_filter("site", &["'a\""])]);
    assert_eq!(found(world, several).await, ids(&["cpm-2", "cpm-3"]));
    assert_eq!(found(world, within(&[], &[])).await, ids(&[]));
    let asked = DeviceQuery { instances: vec![id("cpm-2"), id("cpm-3")], ..both };
    assert_eq!(found(world, asked).await, ids(&["cpm-2"]));
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

/// Every field, both ways.
fn orders() -> impl Iterator<Item = DeviceOrder> {
    use DeviceSort::{Alias, Deadline, DeliverTime, InstanceId, LanIp, SubnetId};
    let fields = [InstanceId, Alias, LanIp, SubnetId, DeliverTime, Deadline];
    let both = |by| [false, true].map(|descending| DeviceOrder { by, descending });
    fields.into_iter().flat_map(both)
}

/// The model of an order: ties by id, whichever way; unknown is smallest, texts by characters.
fn sorted(mut devices: Vec<Device>, order: DeviceOrder) -> Vec<Device> {
    use std::cmp::Ordering;
    let compare = |a: &Device, b: &Device| -> Ordering {
        let (x, y) = (&a.attributes, &b.attributes);
        match order.by {
            DeviceSort::InstanceId => a.authority.instance.cmp(&b.authority.instance),
            DeviceSort::Alias => x.alias.cmp(&y.alias),
            DeviceSort::LanIp => x.lan_ip.cmp(&y.lan_ip),
            DeviceSort::SubnetId => x.subnet_id.cmp(&y.subnet_id),
            DeviceSort::DeliverTime => x.deliver_time.cmp(&y.deliver_time),
            DeviceSort::Deadline => x.deadline.cmp(&y.deadline),
        }
    };
    devices.sort_by(|a, b| {
        let by_field = if order.descending { compare(b, a) } else { compare(a, b) };
        by_field.then_with(|| a.authority.instance.cmp(&b.authority.instance))
    });
    devices
}

/// Other values for everything that this order does not look at.
fn others(order: DeviceOrder) -> AttributeChanges {
    let mut changes = AttributeChanges::from(unusual_attributes());
    match order.by {
        DeviceSort::InstanceId => {}
        DeviceSort::Alias => changes.alias = None,
        DeviceSort::LanIp => changes.lan_ip = None,
        DeviceSort::SubnetId => changes.subnet_id = None,
        DeviceSort::DeliverTime => changes.deliver_time = None,
        DeviceSort::Deadline => changes.deadline = None,
    }
    changes
}

pub(crate) async fn every_order_is_total_and_pages_follow_each_other(world: &mut World) {
    let mut devices = Vec::new();
    for n in 0..23 {
        let mut device = ahead(&format!("cpm-{n}"));
        device.attributes = device_filters::attributes(n);
        add(world, &format!("cpm-{n}"), device.attributes.clone()).await;
        devices.push(device);
    }
    for order in orders() {
        let mut listed = Vec::new();
        while listed.len() < devices.len() {
            let offset = listed.len() as u64;
            let query = DeviceQuery { order, offset, limit: 5, ..DeviceQuery::default() };
            let (_, page) = world.store.devices(&query).await.unwrap();
            assert_eq!((page.total, page.items.is_empty()), (23, false));
            listed.extend(page.items);
        }
        assert_eq!(listed, sorted(devices.clone(), order), "{order:?}");
    }
}

pub(crate) async fn changes_of_what_is_not_sorted_by_move_no_device(world: &mut World) {
    for n in 0..8 {
        add(world, &format!("cpm-{n}"), Attributes::default()).await;
    }
    for order in orders() {
        // Ties as well as differences in every field.
        for n in 0..8 {
            let as_before = AttributeChanges::from(device_filters::attributes(n));
            let change = Change::ModifyAttributes(id(&format!("cpm-{n}")), Box::new(as_before));
            assert_eq!(world.administer(change).await, Administered::Done);
        }
        let page = |offset, limit| DeviceQuery { order, offset, limit, ..DeviceQuery::default() };
        let (_, whole) = found(world, page(0, 8)).await;
        for place in 0..8 {
            let changed = id(&whole[(place * 5 + 3) % 8]);
            let change = Change::ModifyAttributes(changed, Box::new(others(order)));
            assert_eq!(world.administer(change).await, Administered::Done);
            let (_, one) = found(world, page(place as u64, 1)).await;
            assert_eq!(one, whole[place..=place], "{order:?}");
        }
    }
}

pub(crate) async fn a_page_and_its_total_are_of_one_moment(world: &mut World) {
    let world = &*world;
    let adding = (0..40).map(|n| async move {
        let device = ahead(&format!("cpm-{n}"));
        world.administer(Change::CreateDevice(Box::new(device))).await;
    });
    let asking = (0..40).map(|_| async {
        let (total, listed) = found(world, all()).await;
        assert_eq!(total, listed.len() as u64);
    });
    let adding = futures_util::future::join_all(adding);
    futures_util::future::join(adding, futures_util::future::join_all(asking)).await;
    assert_eq!(found(world, all()).await.0, 40);
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
