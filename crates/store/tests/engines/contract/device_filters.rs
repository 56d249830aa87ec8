//! Every filter of the device list finds what a model of it finds, alone and with any other.

use opencpm_domain::{DeviceStatus, MaintainStatus, Timestamp};
use opencpm_operations::port::{Administered, Change};
use opencpm_operations::row::{AttributeChanges, Attributes, Device, DeviceQuery, Tag, TagFilter};

use super::administration::ahead;
use super::world::{World, account, app, id};

/// A filter as it is asked for, and what it means.
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) ask: fn(&mut DeviceQuery),
    holds: fn(&Device) -> bool,
}

const fn filter(
    name: &'static str,
    ask: fn(&mut DeviceQuery),
    holds: fn(&Device) -> bool,
) -> Filter {
    Filter { name, ask, holds }
}

/// All filters. Those of a tag come in each of their forms; texts that are not known are empty,
/// and can be asked for so.
pub(crate) const FILTERS: &[Filter] = &[
    filter(
        "instances",
        |q| q.instances.extend(["cpm-1", "cpm-2", "cpm-3", "cpm-30", "cpm-none"].map(id)),
        |d| ["cpm-1", "cpm-2", "cpm-3", "cpm-30"].contains(&d.authority.instance.as_str()),
    ),
    filter(
        "lan_ips",
        |q| q.lan_ips.extend(["10.0.1.1".into(), "10.0.0.2".into(), String::new()]),
        |d| ["10.0.1.1", "10.0.0.2", ""].contains(&&*d.attributes.lan_ip),
    ),
    filter(
        "wan_ips",
        |q| q.wan_ips.extend(["203.0.113.3".into(), "203.0.113.4".into()]),
        |d| ["203.0.113.3", "203.0.113.4"].contains(&&*d.attributes.wan_ip),
    ),
    filter(
        "mgt_ips",
        |q| q.mgt_ips.extend(["192.0.2.1".into(), "192.0.2.2".into()]),
        |d| ["192.0.2.1", "192.0.2.2"].contains(&&*d.attributes.mgt_ip),
    ),
    filter(
        "alias",
        |q| q.alias = Some("B Ser".into()),
        |d| d.attributes.alias.to_lowercase().contains("b ser"),
    ),
    filter(
        "alias_prefix",
        |q| q.alias_prefix = Some("BÜ".into()),
        |d| d.attributes.alias.to_lowercase().starts_with("bü"),
    ),
    filter(
        "vague_ip",
        |q| q.vague_ip = Some("0.1.1".into()),
        |d| {
            let known = &d.attributes;
            [&known.lan_ip, &known.wan_ip, &known.mgt_ip].iter().any(|ip| ip.contains("0.1.1"))
        },
    ),
    filter(
        "deadline_from",
        |q| q.deadline_from = Some(Timestamp::from_secs(9)),
        |d| d.attributes.deadline.is_some_and(|t| t >= Timestamp::from_secs(9)),
    ),
    filter(
        "deadline_to",
        |q| q.deadline_to = Some(Timestamp::from_secs(21)),
        |d| d.attributes.deadline.is_some_and(|t| t <= Timestamp::from_secs(21)),
    ),
    filter("auto_renew", |q| q.auto_renew = Some(true), |d| d.attributes.auto_renew),
    filter("vpc_ids", |q| q.vpc_ids = vec![0, 2], |d| d.attributes.vpc_id != 1),
    filter("subnet_ids", |q| q.subnet_ids = vec![1], |d| d.attributes.subnet_id == 1),
    filter(
        "un_vpc_ids",
        |q| q.un_vpc_ids.extend(["vpc-1".into(), "vpc-2".into()]),
        |d| ["vpc-1", "vpc-2"].contains(&&*d.attributes.un_vpc_id),
    ),
    filter(
        "un_subnet_ids",
        |q| q.un_subnet_ids.push("subnet-1".into()),
        |d| d.attributes.un_subnet_id == "subnet-1",
    ),
    filter(
        "device_class",
        |q| q.device_class = Some("M10".into()),
        |d| d.attributes.device_class == "M10",
    ),
    filter(
        "device_class_code",
        |q| q.device_class_code = Some(String::new()),
        |d| d.attributes.device_class_code.is_empty(),
    ),
    filter("project_id", |q| q.project_id = Some(0), |d| d.attributes.project_id == 0),
    filter(
        "statuses",
        |q| q.statuses.extend([DeviceStatus::Offline, DeviceStatus::Expired]),
        |d| d.attributes.device_status == DeviceStatus::Offline,
    ),
    filter(
        "device_type",
        |q| q.device_type = Some("compute".into()),
        |d| d.attributes.device_type == "compute",
    ),
    filter("is_lucky", |q| q.is_lucky = Some(false), |d| !d.attributes.is_lucky),
    filter(
        "maintain_status",
        |q| q.maintain_status = Some(MaintainStatus::WillExpire),
        |d| d.attributes.maintain_status == Some(MaintainStatus::WillExpire),
    ),
    filter("tag", |q| ask_tag(q, "env", &[]), |d| has_tag(d, |t| t.key == "env")),
    filter(
        "tag and values",
        |q| ask_tag(q, "role", &["web", "", "gone"]),
        |d| has_tag(d, |t| t.key == "role" && ["web", ""].contains(&&*t.value)),
    ),
    filter(
        "two values of one tag",
        |q| {
            ask_tag(q, "env", &["prod"]);
            ask_tag(q, "env", &["test"]);
        },
        |d| has_tag(d, |t| t.value == "prod") && has_tag(d, |t| t.value == "test"),
    ),
];

fn ask_tag(query: &mut DeviceQuery, key: &str, values: &[&str]) {
    let values = values.iter().map(ToString::to_string).collect();
    query.tags.push(TagFilter { key: key.into(), values });
}

fn has_tag(device: &Device, wanted: fn(&Tag) -> bool) -> bool {
    device.attributes.tags.iter().any(wanted)
}

/// Something of everything, in mixtures that repeat late; much of it not known.
pub(crate) fn attributes(n: usize) -> Attributes {
    let pick = |salt: usize, many: usize| (n * (2 * salt + 1) + n / (salt + 2)) % many;
    let number = |salt, many| pick(salt, many) as u64;
    let tag = |key: &str, value: &str, is_there: bool| {
        is_there.then(|| Tag { key: key.into(), value: value.into(), mac: Some([7; 32]) })
    };
    let tags = [
        tag("env", "prod", pick(1, 2) == 0),
        tag("env", "test", pick(2, 3) == 0),
        tag("role", "", pick(3, 7) == 0),
        tag("role", "db", pick(4, 4) == 0),
        tag("role", "web", pick(5, 5) == 0),
    ];
    let or_none = |text: String, is_known: bool| if is_known { text } else { String::new() };
    Attributes {
        alias: ["Web Server", "web-1", "BÜRO_1", "db", ""][pick(6, 5)].into(),
        lan_ip: or_none(format!("10.0.{}.{}", n % 2, pick(7, 6)), pick(8, 4) > 0),
        wan_ip: or_none(format!("203.0.113.{}", pick(9, 8)), pick(10, 3) > 0),
        mgt_ip: or_none(format!("192.0.2.{}", pick(11, 5)), pick(12, 3) > 0),
        device_status: [DeviceStatus::InOperation, DeviceStatus::Offline][pick(13, 2)],
        project_id: number(14, 3),
        vpc_id: number(15, 3),
        subnet_id: number(16, 2),
        un_vpc_id: or_none(format!("vpc-{}", pick(17, 4)), pick(18, 3) > 0),
        un_subnet_id: or_none(format!("subnet-{}", pick(19, 3)), pick(20, 3) > 0),
        deliver_time: (pick(21, 3) > 0).then(|| Timestamp::from_secs(number(22, 5))),
        deadline: (pick(23, 3) > 0).then(|| Timestamp::from_secs(number(24, 30))),
        auto_renew: pick(25, 2) == 0,
        is_lucky: pick(26, 3) == 0,
        device_class: ["", "M10"][pick(27, 2)].into(),
        device_class_code: ["", "PS100v1"][pick(28, 2)].into(),
        device_type: ["", "compute", "storage"][pick(29, 3)].into(),
        maintain_status: [None, Some(MaintainStatus::Maintain), Some(MaintainStatus::WillExpire)]
            [pick(30, 3)],
        tags: tags.into_iter().flatten().collect(),
        ..Attributes::default()
    }
}

/// Forty devices of account 1, then copies of account 2 and retired ones.
async fn population(world: &World) -> Vec<Device> {
    assert_eq!(world.administer(Change::CreateAccount(account(2))).await, Administered::Done);
    let mut devices = Vec::new();
    for n in 0..60 {
        let mut device = ahead(&format!("cpm-{n}"));
        device.attributes = attributes(n % 40);
        device.authority.account = app(if (40..50).contains(&n) { 2 } else { 1 });
        device.authority.retired = n >= 50;
        let change = Change::CreateDevice(Box::new(device.clone()));
        assert_eq!(world.administer(change).await, Administered::Done);
        devices.push(device);
    }
    devices.sort_by(|a, b| a.authority.instance.cmp(&b.authority.instance));
    devices
}

/// Asks with these filters; the model is asked the same.
async fn compare(world: &World, devices: &[Device], mut query: DeviceQuery, with: &[&Filter]) {
    query.limit = 1000;
    let names: Vec<_> = with.iter().map(|filter| filter.name).collect();
    with.iter().for_each(|filter| (filter.ask)(&mut query));
    let is_seen = |d: &&Device| {
        let authority = &d.authority;
        (query.retired || !authority.retired)
            && query.account.is_none_or(|account| account == authority.account)
            && with.iter().all(|filter| (filter.holds)(d))
    };
    let expected: Vec<_> = devices.iter().filter(is_seen).collect();
    let (_, page) = world.store.devices(&query).await.unwrap();
    assert_eq!(page.items.iter().collect::<Vec<_>>(), expected, "{names:?} {query:?}");
    assert_eq!(page.total, expected.len() as u64, "{names:?}");
}

pub(crate) async fn every_filter_finds_what_it_says_alone_and_with_any_other(world: &mut World) {
    let devices = population(world).await;
    let of_one = || DeviceQuery { account: Some(app(1)), ..DeviceQuery::default() };
    compare(world, &devices, of_one(), &[]).await;
    for (place, first) in FILTERS.iter().enumerate() {
        let held = devices.iter().filter(|device| (first.holds)(device)).count();
        assert!((1..devices.len()).contains(&held), "{} tells nothing apart", first.name);
        compare(world, &devices, of_one(), &[first]).await;
        for second in &FILTERS[place + 1..] {
            compare(world, &devices, of_one(), &[first, second]).await;
        }
    }
    compare(world, &devices, of_one(), &FILTERS.iter().collect::<Vec<_>>()).await;
}

pub(crate) async fn a_filter_means_the_same_in_all_accounts_and_of_retired_devices(
    world: &mut World,
) {
    let devices = population(world).await;
    for filter in FILTERS {
        compare(world, &devices, DeviceQuery::default(), &[filter]).await;
        let retired = || DeviceQuery { retired: true, ..DeviceQuery::default() };
        compare(world, &devices, retired(), &[filter]).await;
        let of_two = DeviceQuery { account: Some(app(2)), ..retired() };
        compare(world, &devices, of_two, &[filter]).await;
    }
}

pub(crate) async fn tags_are_a_set_that_is_replaced_as_a_whole(world: &mut World) {
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into(), mac: None };
    let mut device = ahead("cpm-1");
    device.attributes.tags = vec![tag("b", "2"), tag("a", "2"), tag("b", "10"), tag("b", "2")];
    world.administer(Change::CreateDevice(Box::new(device))).await;
    let known = world.device(&id("cpm-1")).await.attributes.tags;
    assert_eq!(known, [tag("a", "2"), tag("b", "10"), tag("b", "2")]);
    for tags in [vec![tag("c", "\" ,]")], vec![]] {
        let changes = AttributeChanges { tags: Some(tags.clone()), ..AttributeChanges::default() };
        let change = Change::ModifyAttributes(id("cpm-1"), Box::new(changes));
        assert_eq!(world.administer(change).await, Administered::Done);
        assert_eq!(world.device(&id("cpm-1")).await.attributes.tags, tags);
    }
}

/// Also those that have none keep it so: nothing but giving a tag makes it one that was given.
pub(crate) async fn tags_keep_their_macs_while_other_attributes_change(world: &mut World) {
    let tag = |value: &str, mac| Tag { key: "role".into(), value: value.into(), mac };
    let tags = vec![tag("a", None), tag("b", Some([0; 32])), tag("c", Some([0xff; 32]))];
    let mut device = ahead("cpm-1");
    device.attributes.tags = tags.clone();
    world.administer(Change::CreateDevice(Box::new(device))).await;
    let changes = AttributeChanges { alias: Some("b".into()), ..AttributeChanges::default() };
    world.administer(Change::ModifyAttributes(id("cpm-1"), Box::new(changes))).await;
    assert_eq!(world.device(&id("cpm-1")).await.attributes.tags, tags);
    let candidates = world.store.reset_candidates(&[id("cpm-1")]).await.unwrap();
    assert_eq!(candidates.devices[0].tags, tags);
}

pub(crate) async fn tags_go_with_a_device_to_another_account(world: &mut World) {
    let devices = population(world).await;
    let moved = devices.iter().find(|d| has_tag(d, |t| t.key == "env")).unwrap();
    let mut authority = moved.authority.clone();
    authority.account = app(2);
    let change = Change::ModifyAuthority { authority, signature: [9; 64], jobs: vec![] };
    assert_eq!(world.administer(change).await, Administered::Done);
    for (owner, is_found) in [(1, false), (2, true)] {
        let mut query =
            DeviceQuery { account: Some(app(owner)), limit: 100, ..DeviceQuery::default() };
        ask_tag(&mut query, "env", &[]);
        let (_, page) = world.store.devices(&query).await.unwrap();
        let found = page.items.iter().find(|d| d.authority.instance == moved.authority.instance);
        assert_eq!(found.map(|d| &d.attributes), is_found.then_some(&moved.attributes));
    }
}
