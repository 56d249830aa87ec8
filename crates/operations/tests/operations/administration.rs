//! Accounts, keys and their secrets.

use opencpm_domain::{Condition, Uin};
use opencpm_operations::administer::{
    Administrator, NewApiKey, NewDevice, create_account, create_api_key, create_device,
    describe_accounts, describe_any_devices, disable_api_key, modify_account, modify_device,
};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::row::{AttributeChanges, Attributes, DeviceQuery, Scope};
use secrecy::ExposeSecret;

use crate::world::{World, account};

fn new_key(number: u64, scope: Scope) -> NewApiKey {
    NewApiKey { app_id: account(number), uin: Uin::parse("1").unwrap(), scope }
}

#[tokio::test]
async fn an_administrative_request_that_comes_again_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let by = world.administrator();
    create_account(&world.api, by.clone(), account(2), "second".to_owned()).await.unwrap();
    let again = create_account(&world.api, by, account(3), "third".to_owned()).await;
    assert_eq!(again.unwrap_err().condition, Condition::Replayed);
    assert_eq!(describe_accounts(&world.api).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refused_administrative_request_may_come_again() {
    let world = World::new().await;
    let by = world.administrator();
    let new = || new_key(2, Scope::default());
    let refused = create_api_key(&world.api, by.clone(), new()).await.unwrap_err();
    assert_eq!(refused.condition, Condition::NotFound);
    world.other_caller().await;
    create_api_key(&world.api, by, new()).await.unwrap();
}

#[tokio::test]
async fn of_two_edits_of_a_device_at_once_none_is_lost() {
    let world = World::new().await;
    let new = NewDevice {
        instance: None,
        account: world.caller.app_id,
        attributes: Attributes::default(),
    };
    let device = create_device(&world.api, world.administrator(), new).await.unwrap();
    let edit = |changes| modify_device(&world.api, world.administrator(), &device, changes);
    let alias = AttributeChanges { alias: Some("web-1".to_owned()), ..<_>::default() };
    let address = AttributeChanges { lan_ip: Some("10.0.0.1".to_owned()), ..<_>::default() };
    let (alias, address) = tokio::join!(edit(alias), edit(address));
    alias.and(address).unwrap();
    let query = DeviceQuery { instances: vec![device], limit: 1, ..DeviceQuery::default() };
    let listed = describe_any_devices(&world.api, &query).await.unwrap().page.items.remove(0);
    assert_eq!((&*listed.attributes.alias, &*listed.attributes.lan_ip), ("web-1", "10.0.0.1"));
}

#[tokio::test]
async fn a_key_is_known_with_its_secret_until_it_is_disabled() {
    let world = World::new().await;
    let made =
        create_api_key(&world.api, world.administrator(), new_key(1, Scope::default())).await;
    let made = made.unwrap();
    let known = known_key(&world.api, &made.secret_id).await.unwrap();
    assert_eq!(known.secret.expose_secret(), made.secret_key.expose_secret().as_bytes());
    let condition =
        async || known_key(&world.api, &made.secret_id).await.map(drop).unwrap_err().condition;
    disable_api_key(&world.api, world.administrator(), &made.secret_id, true).await.unwrap();
    assert_eq!(condition().await, Condition::SecretIdUnknown);
    disable_api_key(&world.api, world.administrator(), &made.secret_id, false).await.unwrap();
    modify_account(&world.api, world.administrator(), account(1), None, Some(true)).await.unwrap();
    assert_eq!(condition().await, Condition::AccountBlocked);
}

#[tokio::test]
async fn a_key_may_use_what_it_was_made_for_and_nothing_else() {
    let world = World::new().await;
    let caller = |admin, actions: Option<&[&str]>| {
        let actions = actions.map(|list| list.iter().map(|name| (*name).to_owned()).collect());
        Caller { scope: Scope { admin, actions, devices: None }, ..world.caller.clone() }
    };
    assert!(caller(false, None).check_allowed("ResetDevicePasswd", false).is_ok());
    assert!(caller(false, None).check_allowed("CreateAccount", true).is_err());
    assert!(caller(true, None).check_allowed("CreateAccount", true).is_ok());
    let reads = caller(true, Some(&["DescribeDevice"]));
    assert!(reads.check_allowed("DescribeDevice", false).is_ok());
    assert!(reads.check_allowed("ResetDevicePasswd", false).is_err());
    assert!(reads.check_allowed("CreateAccount", true).is_err());
}

#[tokio::test]
async fn a_new_keys_secret_is_printed_nowhere() {
    let world = World::new().await;
    let new = new_key(1, Scope::default());
    let made = create_api_key(&world.api, world.administrator(), new).await.unwrap();
    let known = known_key(&world.api, &made.secret_id).await.unwrap();
    let printed = format!("{made:?} {known:?}");
    assert!(!printed.contains(made.secret_key.expose_secret()));
    let by: Administrator = world.administrator();
    assert!(!format!("{by:?}").contains(made.secret_key.expose_secret()));
}
