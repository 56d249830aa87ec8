//! Keys that end by themselves, and never have more rights than the keys that made them.

use opencpm_domain::{Condition, InstanceId, Refusal, Span, Uin};
use opencpm_operations::administer::{
    Administrator, MadeTemporaryKey, NewApiKey, NewTemporaryKey, create_api_key,
    create_temporary_key, describe_api_keys, disable_api_key,
};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::row::{DeviceScope, Scope, TagFilter};
use opencpm_operations::sweep::forget_keys;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::world::{World, account};

const HOUR: Span = Span::from_secs(3_600);

fn new() -> NewTemporaryKey {
    NewTemporaryKey { app_id: None, uin: None, scope: Scope::default(), lifetime: HOUR }
}

async fn make(
    world: &World,
    maker: &Caller,
    new: NewTemporaryKey,
) -> Result<MadeTemporaryKey, Refusal> {
    let by = Administrator { caller: maker.clone(), unique: world.unique() };
    create_temporary_key(&world.api, by, new).await
}

/// The caller behind a permanent key with this scope.
async fn key(world: &World, scope: Scope) -> Caller {
    let new = NewApiKey { app_id: account(1), uin: Uin::parse("7").unwrap(), scope };
    let made = create_api_key(&world.api, world.administrator(), new).await.unwrap();
    known_key(&world.api, &made.secret_id).await.unwrap().caller
}

fn actions(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn devices(instances: &[&str], teams: &[&str]) -> Option<DeviceScope> {
    let instances = instances.iter().map(|id| InstanceId::parse(id).unwrap()).collect();
    let values = teams.iter().map(|team| (*team).to_owned()).collect();
    Some(DeviceScope { instances, tags: vec![TagFilter { key: "team".to_owned(), values }] })
}

#[tokio::test]
async fn a_temporary_key_is_as_its_maker_until_its_time_is_over() {
    let world = World::new().await;
    let scope = Scope {
        admin: false,
        actions: actions(&["DescribeDevice", "CreateTemporaryKey"]),
        devices: devices(&["cpm-1"], &["db"]),
    };
    let maker = key(&world, scope).await;
    let made = make(&world, &maker, new()).await.unwrap();
    assert_eq!(made.expires, world.now() + HOUR);
    let known = known_key(&world.api, &made.key.secret_id).await.unwrap();
    assert_eq!(known.token_hash.unwrap(), *Sha256::digest(made.token.expose_secret()));
    let expected = Caller {
        secret_id: made.key.secret_id.clone(),
        maker: Some(maker.secret_id.clone()),
        ..maker
    };
    assert_eq!(known.caller, expected);

    world.clock.advance(3_599);
    known_key(&world.api, &made.key.secret_id).await.unwrap();
    world.clock.advance(1);
    let gone = known_key(&world.api, &made.key.secret_id).await.unwrap_err();
    assert_eq!(gone.condition, Condition::SecretIdUnknown);

    let forgotten = async || forget_keys(&*world.api.store).await.unwrap();
    world.clock.advance(86_399);
    assert_eq!(forgotten().await, 0, "the list still shows it");
    world.clock.advance(1);
    assert_eq!(forgotten().await, 1);
    assert_eq!(describe_api_keys(&world.api, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_gives_away_less_than_it_has_and_never_more() {
    let world = World::new().await;
    let maker = Scope {
        admin: false,
        actions: actions(&["DescribeDevice", "CreateTemporaryKey"]),
        devices: devices(&["cpm-1", "cpm-2"], &["db", "web"]),
    };
    let maker = key(&world, maker).await;
    let asked = |change: fn(&mut NewTemporaryKey)| {
        let mut new = new();
        change(&mut new);
        make(&world, &maker, new)
    };
    let less = asked(|new| {
        new.scope.actions = actions(&["DescribeDevice"]);
        new.scope.devices = devices(&["cpm-2"], &["web"]);
    });
    let less = less.await.unwrap();
    let scope = known_key(&world.api, &less.key.secret_id).await.unwrap().caller.scope;
    assert_eq!(scope.actions, actions(&["DescribeDevice"]));
    assert_eq!(scope.devices, devices(&["cpm-2"], &["web"]));

    type Change = fn(&mut NewTemporaryKey);
    let more: [(Change, Condition); 6] = [
        (|new| new.scope.admin = true, Condition::ActionNotAllowed),
        (|new| new.app_id = Some(account(2)), Condition::ActionNotAllowed),
        (|new| new.uin = Some(Uin::parse("8").unwrap()), Condition::ActionNotAllowed),
        (
            |new| new.scope.actions = actions(&["DescribeDevice", "ResetDevicePasswd"]),
            Condition::ActionNotAllowed,
        ),
        (|new| new.scope.devices = devices(&["cpm-3"], &["web"]), Condition::DeviceNotAllowed),
        (|new| new.scope.devices = devices(&[], &[]), Condition::DeviceNotAllowed),
    ];
    world.other_caller().await;
    for (change, condition) in more {
        assert_eq!(asked(change).await.unwrap_err().condition, condition);
    }
}

#[tokio::test]
async fn an_administrator_makes_temporary_keys_for_anybody() {
    let world = World::new().await;
    let absent = NewTemporaryKey { app_id: Some(account(2)), ..new() };
    let refused = make(&world, &world.caller, absent.clone()).await.unwrap_err();
    assert_eq!(refused.condition, Condition::NotFound);
    world.other_caller().await;
    let scope = Scope { devices: devices(&["cpm-1"], &[]), ..Scope::default() };
    let uin = Some(Uin::parse("9").unwrap());
    let other = NewTemporaryKey { uin, scope, ..absent };
    let made = make(&world, &world.caller, other).await.unwrap();
    let caller = known_key(&world.api, &made.key.secret_id).await.unwrap().caller;
    assert_eq!((caller.app_id, caller.uin.as_str()), (account(2), "9"));
    assert!(!caller.scope.admin);

    let made =
        make(&world, &world.caller, NewTemporaryKey { scope: Scope::ADMINISTRATOR, ..new() });
    let made = made.await.unwrap();
    let temporary = known_key(&world.api, &made.key.secret_id).await.unwrap().caller;
    assert!(temporary.scope.admin);
    // What it would make could outlive it.
    let refused = make(&world, &temporary, new()).await.unwrap_err();
    assert_eq!(refused.condition, Condition::ActionNotAllowed);
    let by = Administrator { caller: temporary, unique: world.unique() };
    let lasting =
        NewApiKey { app_id: account(1), uin: world.caller.uin.clone(), scope: Scope::default() };
    let refused = create_api_key(&world.api, by, lasting).await.unwrap_err();
    assert_eq!(refused.condition, Condition::ActionNotAllowed);
}

#[tokio::test]
async fn a_temporary_key_ends_with_the_key_that_made_it() {
    let world = World::new().await;
    let maker = key(&world, Scope::default()).await;
    let made = make(&world, &maker, new()).await.unwrap();
    disable_api_key(&world.api, world.administrator(), &maker.secret_id, true).await.unwrap();
    let gone = known_key(&world.api, &made.key.secret_id).await.unwrap_err();
    assert_eq!(gone.condition, Condition::SecretIdUnknown);
    // A request that was under way when its key was disabled.
    make(&world, &maker, new()).await.unwrap_err();
    disable_api_key(&world.api, world.administrator(), &maker.secret_id, false).await.unwrap();
    known_key(&world.api, &made.key.secret_id).await.unwrap_err();
    make(&world, &maker, new()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_temporary_key_cannot_be_moved_in_the_database() {
    for forgery in [
        "UPDATE api_key SET expires = expires + 1 WHERE expires IS NOT NULL",
        "UPDATE api_key SET expires = NULL WHERE expires IS NOT NULL",
        "UPDATE api_key SET token_hash = NULL WHERE token_hash IS NOT NULL",
        "UPDATE api_key SET maker = NULL WHERE maker IS NOT NULL",
    ] {
        let world = World::new().await;
        let made = make(&world, &world.caller, new()).await.unwrap();
        world.forge(forgery).await;
        let refused = known_key(&world.api, &made.key.secret_id).await.unwrap_err();
        assert!(refused.message.contains("not authentic"), "{forgery}: {refused}");
    }
}

#[tokio::test]
async fn a_temporary_keys_secrets_are_printed_nowhere() {
    let world = World::new().await;
    let made = make(&world, &world.caller, new()).await.unwrap();
    let printed = format!("{made:?}");
    for secret in [&made.token, &made.key.secret_key] {
        assert!(!printed.contains(secret.expose_secret()));
    }
}

/// Somebody changed the maker's row in the database: it is worth nothing any more, but what it
/// made still is, until the maker is disabled.
#[tokio::test]
async fn a_key_that_was_tampered_with_can_be_disabled_and_takes_what_it_made_along() {
    let world = World::new().await;
    let maker = key(&world, Scope::default()).await;
    let made = make(&world, &maker, new()).await.unwrap();
    world.forge("UPDATE api_key SET uin = '8' WHERE uin = '7' AND maker IS NULL").await;
    known_key(&world.api, &made.key.secret_id).await.unwrap();
    let enabled = disable_api_key(&world.api, world.administrator(), &maker.secret_id, false).await;
    assert_eq!(enabled.unwrap_err().condition, Condition::ParameterInvalid);
    disable_api_key(&world.api, world.administrator(), &maker.secret_id, true).await.unwrap();
    for gone in [&made.key.secret_id, &maker.secret_id] {
        let refused = known_key(&world.api, gone).await.unwrap_err();
        assert_eq!(refused.condition, Condition::SecretIdUnknown);
    }
}

#[tokio::test]
async fn a_temporary_key_enables_no_key_that_would_outlive_it() {
    let world = World::new().await;
    let leaked = key(&world, Scope::default()).await;
    disable_api_key(&world.api, world.administrator(), &leaked.secret_id, true).await.unwrap();
    let admin = Scope { admin: true, ..Scope::default() };
    let made = make(&world, &world.caller, NewTemporaryKey { scope: admin, ..new() }).await;
    let temporary = known_key(&world.api, &made.unwrap().key.secret_id).await.unwrap().caller;
    let by = || Administrator { caller: temporary.clone(), unique: world.unique() };
    let enabled = disable_api_key(&world.api, by(), &leaked.secret_id, false).await;
    assert_eq!(enabled.unwrap_err().condition, Condition::ActionNotAllowed);
    disable_api_key(&world.api, by(), &leaked.secret_id, true).await.unwrap();
}
