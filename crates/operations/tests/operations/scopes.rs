//! Keys that are limited to some devices: what they see, what they may reset, and what they are
//! told about the rest.

use std::sync::Arc;

use opencpm_domain::{Condition, InstanceId, Timestamp};
use opencpm_operations::administer::{
    Administrator, NewApiKey, NewDevice, create_api_key, create_device, modify_device, new_api_key,
};
use opencpm_operations::agent_status::agent_status;
use opencpm_operations::authentic::check_tag;
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::describe_devices::describe_devices;
use opencpm_operations::operation_log::{LogRequest, operation_log};
use opencpm_operations::operation_result::{operation_result, verify_task};
use opencpm_operations::role::ApiRole;
use opencpm_operations::row::{
    AttributeChanges, Attributes, DeviceQuery, DeviceScope, Scope, Tag, TagFilter,
};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::machine::Machine;
use crate::world::World;

/// Limited to these devices and to those with the tag `team` = `db`.
fn limited(world: &World, machines: &[&Machine]) -> Caller {
    let devices = DeviceScope {
        instances: machines.iter().map(|machine| machine.instance.clone()).collect(),
        tags: vec![TagFilter { key: "team".to_owned(), values: vec!["db".to_owned()] }],
    };
    let scope = Scope { devices: Some(devices), ..Scope::default() };
    Caller { scope, ..world.caller.clone() }
}

async fn tag(api: &ApiRole, by: Administrator, instance: &InstanceId, values: &[&str]) {
    let tags =
        values.iter().map(|v| Tag { key: "team".to_owned(), value: (*v).to_owned(), mac: None });
    let changes = AttributeChanges { tags: Some(tags.collect()), ..<_>::default() };
    modify_device(api, by, instance, changes).await.unwrap();
}

async fn listed(world: &World, caller: &Caller) -> Vec<InstanceId> {
    let query = DeviceQuery { limit: 100, ..DeviceQuery::default() };
    let page = describe_devices(&world.api, caller, query).await.unwrap().page;
    assert_eq!(page.total, page.items.len() as u64);
    page.items.into_iter().map(|device| device.authority.instance).collect()
}

fn sorted(machines: &[&Machine]) -> Vec<InstanceId> {
    let mut ids: Vec<_> = machines.iter().map(|machine| machine.instance.clone()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_key_of_some_devices_sees_and_resets_these_and_no_others() {
    let world = World::new().await;
    let [own, tagged, other] = world.machines().await;
    let caller = limited(&world, &[&own]);
    assert_eq!(listed(&world, &caller).await, sorted(&[&own]));
    tag(&world.api, world.administrator(), &tagged.instance, &["web", "db"]).await;
    assert_eq!(listed(&world, &caller).await, sorted(&[&own, &tagged]));
    let agents = agent_status(&world.api, &caller, vec![other.instance.clone()], 0, 10).await;
    assert_eq!(agents.unwrap().total, 0, "as if unknown");

    let both = [&own.instance, &tagged.instance];
    world.reset_as(&caller, &both, world.unique()).await.unwrap();
    let refused = world.reset_as(&caller, &[&other.instance], world.unique()).await.unwrap_err();
    assert_eq!(refused.condition, Condition::DeviceNotAllowed);
    assert!(refused.message.contains(other.instance.as_str()), "{refused}");
}

/// Contract 7.1: unknown devices first, then those that are not the key's own, then their state.
#[tokio::test]
async fn of_several_bad_devices_one_outside_answers_after_an_unknown_and_before_a_busy_one() {
    let world = World::new().await;
    let [busy, outside] = world.machines().await;
    let caller = limited(&world, &[&busy]);
    world.reset(&[&busy.instance]).await.unwrap();
    let unknown = InstanceId::parse("cpm-unknown").unwrap();
    let all = [&busy.instance, &outside.instance, &unknown];
    for (asked, condition) in
        [(&all[..], Condition::NotFound), (&all[..2], Condition::DeviceNotAllowed)]
    {
        let refused = world.reset_as(&caller, asked, world.unique()).await.unwrap_err();
        assert_eq!(refused.condition, condition);
        assert!(asked.iter().all(|id| refused.message.contains(id.as_str())), "{refused}");
    }
}

#[tokio::test]
async fn the_log_of_a_device_outside_and_a_task_with_one_are_refused() {
    let world = World::new().await;
    let [own, other] = world.machines().await;
    let caller = limited(&world, &[&own]);
    let task = world.reset(&[&own.instance, &other.instance]).await.unwrap();
    let refused = |error: opencpm_domain::Refusal| error.condition == Condition::DeviceNotAllowed;
    assert!(refused(operation_result(&world.api, &caller, task).await.unwrap_err()));
    assert!(refused(verify_task(&world.api, &caller, task).await.unwrap_err()));
    let log = async |machine: &Machine| {
        let request = LogRequest {
            instance: machine.instance.clone(),
            from: Timestamp::from_secs(0),
            before: Timestamp::from_secs(2_000_000_000),
            offset: 0,
            limit: 10,
        };
        operation_log(&world.api, &caller, request).await
    };
    assert_eq!(log(&own).await.unwrap().total, 1);
    assert!(refused(log(&other).await.unwrap_err()));

    tag(&world.api, world.administrator(), &other.instance, &["db"]).await;
    assert_eq!(operation_result(&world.api, &caller, task).await.unwrap().jobs.len(), 2);
    assert_eq!(log(&other).await.unwrap().total, 1);
}

/// Between the reading of the devices and the writing of the task.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_loses_its_tag_while_its_password_is_sealed_is_not_reset() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    tag(&world.api, world.administrator(), &machine.instance, &["db"]).await;
    let (api, instance) = (Arc::clone(&world.api), machine.instance.clone());
    let mut by = Some(world.administrator());
    world.dice.before_each(move || {
        if let Some(by) = by.take() {
            let untag = tag(&api, by, &instance, &[]);
            block_in_place(|| Handle::current().block_on(untag));
        }
    });
    let caller = limited(&world, &[]);
    let refused = world.reset_as(&caller, &[&machine.instance], world.unique()).await.unwrap_err();
    assert_eq!(refused.condition, Condition::DeviceNotAllowed);
    world.reset(&[&machine.instance]).await.unwrap();
}

/// Whoever writes the database, with a key that is limited by the tag `team` = `db`. Another device
/// was given the tag, and this one has others.
#[tokio::test]
async fn a_tag_that_was_not_given_to_this_device_opens_it_to_no_limited_key() {
    for forgery in [
        "INSERT INTO device_tag (account, instance, key, value) SELECT account, instance, 'team',
             'db' FROM device WHERE alias = 'victim'",
        "INSERT INTO device_tag SELECT account, instance, 'team', 'db', randomblob(32)
         FROM device WHERE alias = 'victim'",
        "INSERT INTO device_tag SELECT device.account, device.instance, 'team', 'db', mac
         FROM device, device_tag AS other WHERE alias = 'victim'
             AND other.key = 'team' AND other.value = 'db'",
        "INSERT INTO device_tag SELECT account, instance, 'team', 'db', zeroblob(31)
         FROM device WHERE alias = 'victim'",
        "UPDATE device_tag SET instance = (SELECT instance FROM device WHERE alias = 'victim')
         WHERE key = 'team' AND value = 'db'",
        "UPDATE device_tag SET value = 'db' WHERE value = 'web'",
        "UPDATE device_tag SET key = 'team', value = 'db' WHERE key = 'former'",
    ] {
        let world = World::new().await;
        let [victim, tagged] = world.machines().await;
        let by = || world.administrator();
        let former = Tag { key: "former".to_owned(), value: "db".to_owned(), mac: None };
        let web = Tag { key: "team".to_owned(), value: "web".to_owned(), mac: None };
        let changes = AttributeChanges {
            alias: Some("victim".to_owned()),
            tags: Some(vec![former, web]),
            ..<_>::default()
        };
        modify_device(&world.api, by(), &victim.instance, changes).await.unwrap();
        tag(&world.api, by(), &tagged.instance, &["db"]).await;
        let caller = limited(&world, &[]);
        world.reset_as(&caller, &[&tagged.instance], world.unique()).await.unwrap();

        world.forge(forgery).await;
        let reset = async || world.reset_as(&caller, &[&victim.instance], world.unique()).await;
        assert_eq!(reset().await.unwrap_err().condition, Condition::DeviceNotAllowed, "{forgery}");
        // Nor does an edit of something else bless it; who gives the tag does.
        let alias = AttributeChanges { alias: Some("renamed".to_owned()), ..<_>::default() };
        modify_device(&world.api, by(), &victim.instance, alias).await.unwrap();
        assert_eq!(reset().await.unwrap_err().condition, Condition::DeviceNotAllowed, "{forgery}");
        tag(&world.api, by(), &victim.instance, &["db"]).await;
        reset().await.unwrap();
    }
}

#[tokio::test]
async fn a_device_that_is_made_with_a_tag_carries_it_genuinely_and_only_in_its_account() {
    let world = World::new().await;
    let other = world.other_caller().await;
    let db = Tag { key: "team".to_owned(), value: "db".to_owned(), mac: None };
    for account in [world.caller.app_id, other.app_id] {
        let attributes = Attributes { tags: vec![db.clone()], ..<_>::default() };
        let new = NewDevice { instance: None, account, attributes };
        let made = create_device(&world.api, world.administrator(), new).await.unwrap();
        let found = world.api.store.reset_candidates(std::slice::from_ref(&made)).await.unwrap();
        let keys = &*world.api.keys;
        let kept = &found.devices[0].tags[0];
        check_tag(keys, account, &made, kept).unwrap();
        let wrong = if account == other.app_id { world.caller.app_id } else { other.app_id };
        assert!(check_tag(keys, wrong, &made, kept).is_err());
        assert!(check_tag(keys, account, &made, &db).is_err());
    }
}

/// A row that was changed is none whose tags an administrator gives.
#[tokio::test]
async fn a_device_whose_account_was_changed_in_the_database_is_given_no_tag() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    world.other_caller().await;
    world.forge("UPDATE device SET account = 2").await;
    let changes = AttributeChanges { tags: Some(vec![]), ..<_>::default() };
    let given = modify_device(&world.api, world.administrator(), &machine.instance, changes).await;
    assert!(given.unwrap_err().message.contains("not authentic"));
}

#[tokio::test]
async fn a_scope_is_kept_with_its_key_and_cannot_be_widened_in_the_database() {
    for forgery in [
        "UPDATE api_key SET devices = NULL WHERE devices IS NOT NULL",
        "UPDATE api_key SET devices = '{\"instances\":[],\"tags\":[[\"team\",[]]]}'
             WHERE devices IS NOT NULL",
        "UPDATE api_key SET actions = NULL WHERE devices IS NOT NULL",
        "UPDATE api_key SET maker = 'AKIDother' WHERE devices IS NOT NULL",
    ] {
        let world = World::new().await;
        let [machine] = world.machines().await;
        let mut scope = limited(&world, &[&machine]).scope;
        scope.actions = Some(vec!["ResetDevicePasswd".to_owned()]);
        let new = NewApiKey { scope: scope.clone(), ..new_key(&world) };
        let made = create_api_key(&world.api, world.administrator(), new).await.unwrap();
        assert_eq!(known_key(&world.api, &made.secret_id).await.unwrap().caller.scope, scope);
        world.forge(forgery).await;
        let refused = known_key(&world.api, &made.secret_id).await.unwrap_err();
        assert_eq!(refused.condition, Condition::SecretIdUnknown, "{forgery}");
        assert!(refused.message.contains("not authentic"), "{refused}");
    }
}

#[tokio::test]
async fn a_scope_that_means_nothing_or_is_too_large_makes_no_key() {
    let world = World::new().await;
    let refused = async |scope| {
        let new = NewApiKey { scope, ..new_key(&world) };
        create_api_key(&world.api, world.administrator(), new).await.unwrap_err().condition
    };
    let mut scope = limited(&world, &[]).scope;
    scope.admin = true;
    assert_eq!(refused(scope.clone()).await, Condition::ParameterInvalid);
    scope.admin = false;
    let many = 0..=DeviceScope::MOST_INSTANCES;
    let many = many.map(|n| InstanceId::parse(&format!("cpm-{n}")).unwrap());
    scope.devices.as_mut().unwrap().instances = many.collect();
    assert_eq!(refused(scope).await, Condition::ParameterOutOfBounds);
}

/// As the first version wrote it: without a limit to devices and without a maker.
#[tokio::test]
async fn a_key_of_the_first_version_is_still_known_and_gains_nothing() {
    let world = World::new().await;
    let material = opencpm_operations::administer::KeyMaterial {
        keys: &*world.api.keys,
        random: &*world.api.random,
        now: world.now(),
    };
    let (mut key, _) = new_api_key(&material, new_key(&world)).unwrap();
    let mut old = minicbor::Encoder::new(Vec::new());
    old.array(10).unwrap().bytes(world.api.keys.deployment().as_bytes()).unwrap();
    old.str(key.secret_id.as_str()).unwrap().bytes(&key.encrypted_secret).unwrap();
    old.u64(1).unwrap().str("1").unwrap().bool(false).unwrap();
    old.null().unwrap().null().unwrap().null().unwrap().bool(false).unwrap();
    key.mac = world.api.keys.mac("api key v1", old.writer());
    let change = opencpm_operations::port::Change::CreateApiKey(key.clone());
    world.write(change).await;
    known_key(&world.api, &key.secret_id).await.unwrap();
    world
        .forge("UPDATE api_key SET devices = '{\"instances\":[],\"tags\":[]}' WHERE admin = 0")
        .await;
    assert!(known_key(&world.api, &key.secret_id).await.is_err());
}

fn new_key(world: &World) -> NewApiKey {
    let Caller { app_id, uin, .. } = world.caller.clone();
    NewApiKey { app_id, uin, scope: Scope::default() }
}
