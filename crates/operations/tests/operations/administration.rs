//! Accounts, keys and their secrets.

use opencpm_domain::{Condition, Uin};
use opencpm_operations::administer::{
    Administrator, NewApiKey, create_account, create_api_key, describe_accounts, disable_api_key,
    modify_account,
};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::row::Scope;
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
        Caller { scope: Scope { admin, actions }, ..world.caller.clone() }
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
