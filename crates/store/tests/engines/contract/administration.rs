//! Accounts, keys, tokens and devices are changed with an audit entry, or not at all.

use std::sync::Arc;

use opencpm_domain::{
    DeviceStatus, Ending, Generation, MaintainStatus, OperateStatus, PayMode, Timestamp,
};
use opencpm_operations::port::{AdminChange, Administered, Change, FoundKey, Store};
use opencpm_operations::row::{
    Account, AttributeChanges, Attributes, Connection, Device, DeviceAuthority, FirstUse,
    JobChange, Maintenance, Tag, Unique,
};

use super::world::{
    World, account, api_key, app, audit, fingerprint, first_start, id, next, nonce, secret_id,
    span, token,
};

pub(crate) async fn a_store_is_initialised_once(world: &mut World) {
    let first = first_start(world.now());
    assert_eq!(world.store.deployment().await.unwrap().as_ref(), Some(&first.deployment));
    let mut second = first.clone();
    second.deployment.statement = vec![9];
    second.account = account(2);
    assert!(!world.store.create_deployment(second).await.unwrap());
    assert_eq!(world.store.deployment().await.unwrap(), Some(first.deployment));
    assert_eq!(world.store.accounts().await.unwrap(), [account(1)]);
}

pub(crate) async fn a_statement_is_replaced_by_a_newer_one_only(world: &mut World) {
    for (generation, statement) in [(3, 3), (2, 2), (3, 4)] {
        let generation = Generation::new(generation).unwrap();
        world.store.put_statement(generation, vec![statement]).await.unwrap();
    }
    let row = world.store.deployment().await.unwrap().unwrap();
    assert_eq!((row.generation.get(), row.statement), (3, vec![3]));
}

pub(crate) async fn keys_are_read_with_their_account(world: &mut World) {
    let mut blocked = account(1);
    blocked.blocked = true;
    world.administer(modified(&blocked)).await;
    let found = world.store.api_key(&secret_id("AKID1")).await.unwrap();
    let key = api_key("AKID1", 1);
    assert_eq!(found, Some(FoundKey { key, account: blocked, maintenance: None }));
    assert_eq!(world.store.api_key(&secret_id("AKID2")).await.unwrap(), None);
}

pub(crate) async fn what_exists_is_not_created_again(world: &mut World) {
    let device = Change::CreateDevice(Box::new(ahead("cpm-1")));
    assert_eq!(world.administer(device.clone()).await, Administered::Done);
    let mut renamed = account(1);
    renamed.name = "other".into();
    let existing = [
        Change::CreateAccount(renamed),
        Change::CreateApiKey(api_key("AKID1", 1)),
        Change::CreateEnrolmentToken(token(1, world.now())),
        device,
    ];
    for change in existing {
        assert_eq!(world.administer(change).await, Administered::Exists);
    }
    assert_eq!(world.store.accounts().await.unwrap(), [account(1)]);
}

pub(crate) async fn what_is_missing_is_not_changed(world: &mut World) {
    let mut orphan = ahead("cpm-1");
    orphan.authority.account = app(9);
    let mut other_token = token(1, world.now());
    other_token.hash = [1; 32];
    other_token.device = Some(id("cpm-unknown"));
    let authority = ahead("cpm-unknown").authority;
    let missing = [
        modified(&account(9)),
        Change::CreateApiKey(api_key("AKID9", 9)),
        Change::ModifyApiKey(api_key("AKID9", 1)),
        Change::ModifyApiKey(api_key("AKID1", 9)),
        Change::CreateDevice(Box::new(orphan)),
        Change::ModifyAttributes(id("cpm-unknown"), Box::default()),
        Change::ModifyAuthority { authority, signature: [0; 64], jobs: vec![] },
        Change::CreateEnrolmentToken(other_token),
    ];
    for change in missing {
        assert_eq!(world.administer(change.clone()).await, Administered::Missing, "{change:?}");
    }
}

pub(crate) async fn a_replayed_request_changes_nothing(world: &mut World) {
    let expires = world.now() + span(600);
    let change = |number, unique: &Unique| AdminChange {
        what: Change::CreateAccount(account(number)),
        audit: audit(expires, "CreateAccount"),
        unique: Some(unique.clone()),
    };
    let store = &world.store;
    for (number, unique) in [(2, nonce(1, expires)), (3, fingerprint(1, expires))] {
        let refused = change(1, &unique);
        assert_eq!(store.administer(refused).await.unwrap(), Administered::Exists);
        let first = change(number, &unique);
        assert_eq!(store.administer(first).await.unwrap(), Administered::Done);
        assert_eq!(store.first_use(&unique).await.unwrap(), Some(FirstUse::Change));
        let again = change(4, &unique);
        assert_eq!(store.administer(again).await.unwrap(), Administered::Replayed);
    }
    assert_eq!(store.accounts().await.unwrap(), [1, 2, 3].map(account));
}

pub(crate) async fn keys_are_listed_of_one_account_or_of_all(world: &mut World) {
    world.administer(Change::CreateAccount(account(2))).await;
    let mut changed = api_key("AKID2", 2);
    world.administer(Change::CreateApiKey(changed.clone())).await;
    changed.disabled = true;
    changed.scope.actions = None;
    changed.token_hash = None;
    changed.expires = None;
    assert_eq!(world.administer(Change::ModifyApiKey(changed.clone())).await, Administered::Done);
    let all = world.store.api_keys(None).await.unwrap();
    assert_eq!(all, [api_key("AKID1", 1), changed.clone()]);
    assert_eq!(world.store.api_keys(Some(app(2))).await.unwrap(), [changed]);
    assert_eq!(world.store.api_keys(Some(app(3))).await.unwrap(), []);
}

pub(crate) async fn a_temporary_key_ends_with_its_maker(world: &mut World) {
    let mut maker = api_key("AKID1", 1);
    let made = |name: &str, by: &str| {
        let mut key = api_key(name, 1);
        key.maker = Some(secret_id(by));
        key
    };
    let orphan = Change::CreateApiKey(made("AKID2", "AKID9"));
    assert_eq!(world.administer(orphan).await, Administered::Missing);
    let other = api_key("AKID2", 1);
    let new = [other.clone(), made("AKID3", "AKID1"), made("AKID4", "AKID2")];
    for key in new {
        assert_eq!(world.administer(Change::CreateApiKey(key)).await, Administered::Done);
    }
    let found = world.store.api_key(&secret_id("AKID3")).await.unwrap();
    assert_eq!(found.unwrap().key, made("AKID3", "AKID1"));
    maker.disabled = true;
    assert_eq!(world.administer(Change::ModifyApiKey(maker.clone())).await, Administered::Done);
    let left = [maker, other, made("AKID4", "AKID2")];
    assert_eq!(world.store.api_keys(None).await.unwrap(), left);
    let late = Change::CreateApiKey(made("AKID5", "AKID1"));
    assert_eq!(world.administer(late).await, Administered::Missing);
}

pub(crate) async fn keys_that_expired_are_forgotten_a_few_at_a_time(world: &mut World) {
    let start = world.now();
    for (name, expires) in [("AKID2", 30), ("AKID3", 10), ("AKID4", 20)] {
        let mut key = api_key(name, 1);
        key.expires = Some(start + span(expires));
        world.administer(Change::CreateApiKey(key)).await;
    }
    let mut lasting = api_key("AKID5", 1);
    lasting.expires = None;
    world.administer(Change::CreateApiKey(lasting)).await;
    world.clock.advance(120);
    for forgotten in [1, 1, 0] {
        assert_eq!(world.store.prune_api_keys(span(100), 1).await.unwrap(), forgotten);
    }
    let left = world.store.api_keys(None).await.unwrap();
    let left: Vec<_> = left.iter().map(|key| key.secret_id.as_str()).collect();
    assert_eq!(left, ["AKID1", "AKID2", "AKID5"]);
}

pub(crate) async fn maintenance_is_told_with_each_key_until_it_ends(world: &mut World) {
    let told = async |store: &Arc<dyn Store>| {
        let found = store.api_key(&secret_id("AKID1")).await.unwrap().unwrap();
        assert_eq!(store.maintenance().await.unwrap(), found.maintenance);
        found.maintenance
    };
    assert_eq!(told(&world.store).await, None);
    let begun = |secs, message: &str| Maintenance {
        since: Timestamp::from_secs(secs),
        message: message.into(),
    };
    for (again, message) in [(10, "until noon"), (20, "")] {
        let change = Change::BeginMaintenance(begun(again, message));
        assert_eq!(world.administer(change).await, Administered::Done);
        assert_eq!(told(&world.store).await, Some(begun(10, message)));
        world.reopen().await;
    }
    assert_eq!(told(&world.store).await, Some(begun(10, "")));
    for _ in 0..2 {
        assert_eq!(world.administer(Change::EndMaintenance).await, Administered::Done);
        assert_eq!(told(&world.store).await, None);
    }
}

pub(crate) async fn attributes_are_read_as_they_were_written(world: &mut World) {
    let device = ahead("cpm-1");
    world.administer(Change::CreateDevice(Box::new(device.clone()))).await;
    assert_eq!(world.device(&id("cpm-1")).await, device);
    let attributes = unusual_attributes();
    let change = Change::ModifyAttributes(id("cpm-1"), Box::new(attributes.clone().into()));
    assert_eq!(world.administer(change).await, Administered::Done);
    assert_eq!(world.device(&id("cpm-1")).await, Device { attributes, ..device });
}

pub(crate) async fn of_two_changes_at_once_neither_undoes_the_other(world: &mut World) {
    world.administer(Change::CreateDevice(Box::new(ahead("cpm-1")))).await;
    let change =
        |changes| world.administer(Change::ModifyAttributes(id("cpm-1"), Box::new(changes)));
    let alias = AttributeChanges { alias: Some("web-1".into()), ..<_>::default() };
    let address = AttributeChanges { lan_ip: Some("10.0.0.1".into()), ..<_>::default() };
    let done = futures_util::future::join(change(alias), change(address)).await;
    assert_eq!(done, (Administered::Done, Administered::Done));
    let expected =
        Attributes { alias: "web-1".into(), lan_ip: "10.0.0.1".into(), ..Attributes::default() };
    assert_eq!(world.device(&id("cpm-1")).await.attributes, expected);
}

pub(crate) async fn a_retired_device_keeps_no_open_job(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    let mut authority = world.device(&ids[0]).await.authority;
    authority.retired = true;
    let retire = |jobs: Vec<JobChange>| Change::ModifyAuthority {
        authority: authority.clone(),
        signature: [9; 64],
        jobs,
    };
    assert_eq!(world.administer(retire(vec![])).await, Administered::Missing);
    let state = jobs[0].state.clone().end_unreported(Ending::Retired, world.now()).unwrap();
    let mut stale = next(&jobs[0], state.clone());
    stale.version += 1;
    assert_eq!(world.administer(retire(vec![stale])).await, Administered::Missing);
    assert!(!world.device(&ids[0]).await.authority.retired);

    let end = next(&jobs[0], state.clone());
    assert_eq!(world.administer(retire(vec![end])).await, Administered::Done);
    let device = world.device(&ids[0]).await;
    assert_eq!((device.authority, device.signature), (authority, [9; 64]));
    assert_eq!((device.connection, device.has_open_job), (Connection::None, false));
    assert_eq!(world.jobs(100).await[0].state, state);
}

pub(crate) async fn an_outdated_signature_is_not_written(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let mut authority = world.device(&ids[0]).await.authority;
    authority.identity = Some(super::world::identity(&ids[0], 2));
    let change = Change::ModifyAuthority { authority, signature: [9; 64], jobs: vec![] };
    assert_eq!(world.administer(change).await, Administered::Missing);
    assert_eq!(world.device(&ids[0]).await.signature, [2; 64]);
}

/// A device that was never enrolled.
pub(crate) fn ahead(instance: &str) -> Device {
    Device {
        authority: DeviceAuthority {
            instance: id(instance),
            account: app(1),
            identity: None,
            retired: false,
            quarantined: false,
        },
        signature: [1; 64],
        attributes: Attributes::default(),
        sealing: None,
        highest_sequence: opencpm_domain::Sequence::default(),
        facts: None,
        agent_version: String::new(),
        last_seen: None,
        connection: Connection::None,
        has_open_job: false,
    }
}

pub(crate) fn unusual_attributes() -> Attributes {
    Attributes {
        alias: "Büro '; DROP TABLE device; -- %_".into(),
        lan_ip: "10.0.0.1".into(),
        wan_ip: "2001:db8::1".into(),
        mgt_ip: "192.0.2.1".into(),
        device_status: DeviceStatus::Isolated,
        operate_status: OperateStatus::Rebooting,
        os_type_id: 1,
        raid_id: 2,
        zone_id: 3,
        zone: "zone-1".into(),
        project_id: 4,
        vpc_id: 5,
        subnet_id: 6,
        un_vpc_id: "vpc-7".into(),
        un_subnet_id: "subnet-8".into(),
        deliver_time: Some(Timestamp::from_secs(1)),
        deadline: Some(Timestamp::from_micros(2)),
        is_vpc_gateway: true,
        auto_renew: true,
        device_class: "S1".into(),
        device_class_code: "code".into(),
        dhcp_ip: "10.0.0.2".into(),
        vpc_name: "office".into(),
        vpc_cidr: "10.0.0.0/16".into(),
        subnet_name: "second floor".into(),
        subnet_cidr: "10.0.2.0/24".into(),
        pay_mode: PayMode::Changing,
        is_lucky: true,
        device_type: "storage".into(),
        maintain_status: Some(MaintainStatus::Expire),
        maintain_message: Some(String::new()),
        tags: vec![Tag { key: "\"quoted\"".into(), value: "数据".into(), mac: Some([0xa5; 32]) }],
    }
}

/// Only one of the two is said, and the other stays: two administrators at once both count.
pub(crate) async fn a_rename_and_a_block_of_an_account_do_not_undo_each_other(world: &mut World) {
    let change = |name: Option<&str>, blocked| Change::ModifyAccount {
        app_id: app(1),
        name: name.map(str::to_owned),
        blocked,
    };
    world.administer(change(None, Some(true))).await;
    world.administer(change(Some("lab"), None)).await;
    let accounts = world.store.accounts().await.unwrap();
    assert_eq!((accounts[0].name.as_str(), accounts[0].blocked), ("lab", true));
}

fn modified(account: &Account) -> Change {
    let Account { app_id, name, blocked } = account.clone();
    Change::ModifyAccount { app_id, name: Some(name), blocked: Some(blocked) }
}
