//! Processes without the API role join as nodes, renew their certificates, and are revoked.

use opencpm_domain::{Condition, Generation, Refusal, Span};
use opencpm_operations::administer::{
    NewNodeToken, create_node_token, describe_nodes, revoke_node,
};
use opencpm_operations::certify_node::{CertifyRefusal, certify_node};
use opencpm_operations::first_start::{STATEMENT_VALIDITY, new_root_key, renew_statement};
use opencpm_operations::reload_trust::{ReloadError, reload_trust};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::PROTOCOL_VERSION;
use opencpm_protocol::node::{CertificateRequest, Certified, NodeToken, TlsPublic};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use secrecy::ExposeSecret;

use crate::world::{DEPLOYMENT, World};

async fn token(world: &World, names: &[&str], uses: u32) -> Result<NodeToken, Refusal> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let new = NewNodeToken { names, uses, lifetime: Span::from_secs(3_600) };
    let made = create_node_token(&world.api, world.administrator(), new).await?;
    Ok(NodeToken::parse(made.token.expose_secret()).unwrap())
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

async fn ask(
    world: &World,
    token: Option<&NodeToken>,
    seed: u8,
) -> Result<Certified, CertifyRefusal> {
    let request = CertificateRequest {
        nonce: [0; 32],
        deployment: DEPLOYMENT,
        node: key(seed).public(),
        tls: TlsPublic([seed; 65]),
        hostname: format!("gw{seed}\n"),
        version: PROTOCOL_VERSION,
    };
    certify_node(&world.api, token.map(NodeToken::secret), &request).await
}

fn text(certified: &Certified) -> String {
    String::from_utf8(certified.chain[0].0.clone()).unwrap()
}

#[tokio::test]
async fn a_node_gets_the_names_of_its_token_for_its_own_key_and_uses_the_token_once() {
    let world = World::new().await;
    let token = token(&world, &["gw.example", "10.0.0.1"], 2).await.unwrap();
    assert_eq!(token.addresses(), ["localhost:1"]);
    let first = ask(&world, Some(&token), 1).await.unwrap();
    assert_eq!(text(&first), r#"1 ["gw.example", "10.0.0.1"]"#);
    assert_eq!(first.addresses, ["localhost:1"]);
    // One that did not hear the answer asks again, and takes no further use.
    ask(&world, Some(&token), 1).await.unwrap();
    ask(&world, Some(&token), 2).await.unwrap();
    let refused = ask(&world, Some(&token), 3).await;
    assert!(matches!(refused, Err(CertifyRefusal::Token)), "{refused:?}");
    let nodes = describe_nodes(&world.api).await.unwrap();
    let mut names: Vec<_> = nodes.iter().map(|node| node.hostname.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["gw1", "gw2"]);
}

#[tokio::test]
async fn of_two_nodes_that_race_for_the_last_use_one_joins() {
    let world = World::new().await;
    let token = token(&world, &[], 1).await.unwrap();
    let (a, b) = tokio::join!(ask(&world, Some(&token), 1), ask(&world, Some(&token), 2));
    assert!(a.is_ok() != b.is_ok());
}

#[tokio::test]
async fn a_node_token_that_is_unknown_expired_or_was_changed_is_refused() {
    let world = World::new().await;
    let token = token(&world, &["gw.example"], 9).await.unwrap();
    let more = r#"UPDATE node_token SET names = '["gw.example","other.example"]'"#;
    world.forge(more).await;
    let refused = ask(&world, Some(&token), 1).await;
    assert!(matches!(refused, Err(CertifyRefusal::NotAuthentic(_))), "{refused:?}");
    world.forge(r#"UPDATE node_token SET names = '["gw.example"]'"#).await;
    world.clock.advance(3_600);
    assert!(matches!(ask(&world, Some(&token), 1).await, Err(CertifyRefusal::Token)));
    world.forge("DELETE FROM node_token").await;
    assert!(matches!(ask(&world, Some(&token), 1).await, Err(CertifyRefusal::Token)));
    assert!(matches!(ask(&world, None, 1).await, Err(CertifyRefusal::Unknown)));
}

#[tokio::test]
async fn no_token_gives_a_node_a_name_of_the_api() {
    let world = World::new().await;
    let refused = token(&world, &["gw.example", "api.example"], 1).await.unwrap_err();
    assert_eq!(refused.condition, Condition::ParameterInvalid);
    assert!(refused.message.contains("api.example"), "{refused}");
}

#[tokio::test]
async fn a_known_node_renews_without_a_token_until_it_is_revoked() {
    let world = World::new().await;
    let token = token(&world, &["gw.example"], 1).await.unwrap();
    ask(&world, Some(&token), 1).await.unwrap();
    world.clock.advance(40 * 86_400);
    ask(&world, None, 1).await.unwrap();
    let id = key(1).public().key_id();
    assert_eq!(describe_nodes(&world.api).await.unwrap()[0].renewed, world.now());
    for _ in 0..2 {
        revoke_node(&world.api, world.administrator(), id).await.unwrap();
    }
    for secret in [None, Some(&token)] {
        let refused = ask(&world, secret, 1).await;
        assert!(matches!(refused, Err(CertifyRefusal::Revoked)), "{refused:?}");
    }
    // Whoever writes the database does not bring it back.
    world.forge("UPDATE node SET revoked = NULL").await;
    let refused = ask(&world, None, 1).await;
    assert!(matches!(refused, Err(CertifyRefusal::NotAuthentic(_))), "{refused:?}");
    let unknown = key(9).public().key_id();
    let refused = revoke_node(&world.api, world.administrator(), unknown).await.unwrap_err();
    assert_eq!(refused.condition, Condition::NotFound);
}

#[tokio::test]
async fn a_node_that_was_written_into_the_database_gets_no_certificate() {
    let world = World::new().await;
    let token = token(&world, &["gw.example"], 1).await.unwrap();
    ask(&world, Some(&token), 1).await.unwrap();
    for forged in [
        r#"UPDATE node SET names = '["other.example"]'"#,
        r#"UPDATE node SET names = '["gw.example"]', key = zeroblob(32)"#,
    ] {
        world.forge(forged).await;
        let refused = ask(&world, None, 1).await;
        assert!(matches!(refused, Err(CertifyRefusal::NotAuthentic(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_renewed_trust_statement_is_taken_while_the_process_runs_and_a_forged_one_is_not() {
    let world = World::new().await;
    let (store, trust) = (&*world.api.store, &world.api.trust);
    assert!(!reload_trust(store, trust).await.unwrap());
    let later = world.now() + STATEMENT_VALIDITY;
    let held = trust.now().statement.clone();
    let (generation, forged) =
        renew_statement(&held, &new_root_key(&*world.api.random), later).unwrap();
    store.put_statement(generation, forged.to_bytes()).await.unwrap();
    let refused = reload_trust(store, trust).await;
    assert!(matches!(refused, Err(ReloadError::Trust(_))), "{refused:?}");
    assert_eq!(trust.now().statement, held);
    let newer = TrustStatement { generation: Generation::new(9).unwrap(), ..held };
    let signed = Signed::sign(&newer, &world.root);
    store.put_statement(newer.generation, signed.to_bytes()).await.unwrap();
    assert!(reload_trust(store, trust).await.unwrap());
    assert_eq!(trust.now().statement, newer);
}
