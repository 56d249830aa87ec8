//! Nodes without the API role join once for each use of a token, and renew until they are revoked.

use std::sync::Arc;

use opencpm_domain::Timestamp;
use opencpm_operations::port::{Administered, Change, NodeJoin, NodeJoined};
use opencpm_operations::row::{Node, NodeToken};
use opencpm_protocol::key::VerifyingKey;

use super::world::{World, audit, span};

const HASH: [u8; 32] = [7; 32];

async fn token(world: &World, uses: u32) -> NodeToken {
    let names = ["gw.example", "fd00::1"].map(str::to_owned).into();
    let expires = world.now() + span(60);
    let token = NodeToken { hash: HASH, names, uses_left: uses, expires, mac: [3; 32] };
    let change = Change::CreateNodeToken(token.clone());
    assert_eq!(world.administer(change).await, Administered::Done);
    token
}

fn node(number: u8, now: Timestamp) -> Node {
    let key = VerifyingKey::from_bytes([number; 32]);
    Node {
        id: key.key_id(),
        key,
        names: vec!["gw.example".to_owned(), "ü \"".to_owned()],
        hostname: format!("gw{number}"),
        joined: now,
        renewed: now,
        revoked: None,
        mac: [number; 32],
    }
}

fn join(number: u8, now: Timestamp) -> NodeJoin {
    NodeJoin { token: HASH, now, node: node(number, now), audit: audit(now, "JoinNode") }
}

pub(crate) async fn a_token_for_one_node_lets_one_of_many_join(world: &mut World) {
    let token = token(world, 1).await;
    let now = world.now();
    let mut nodes = Vec::new();
    for number in 0..20 {
        let store = Arc::clone(&world.store);
        nodes.push(tokio::spawn(async move { store.join_node(join(number, now)).await.unwrap() }));
    }
    let mut joined = 0;
    for node in nodes {
        match node.await.unwrap() {
            NodeJoined::Done => joined += 1,
            refused => assert_eq!(refused, NodeJoined::TokenRefused),
        }
    }
    assert_eq!(joined, 1);
    let kept = world.store.node_token(&HASH).await.unwrap();
    assert_eq!(kept, Some(NodeToken { uses_left: 0, ..token }));
    assert_eq!(world.store.nodes(None).await.unwrap().len(), 1);
}

pub(crate) async fn a_node_that_joins_twice_at_once_is_one_node_and_uses_its_token_once(
    world: &mut World,
) {
    token(world, 9).await;
    let now = world.now();
    let (a, b) =
        tokio::join!(world.store.join_node(join(1, now)), world.store.join_node(join(1, now)));
    let mut answers = [a.unwrap(), b.unwrap()];
    answers.sort_by_key(|answer| *answer == NodeJoined::Known);
    assert_eq!(answers, [NodeJoined::Done, NodeJoined::Known]);
    assert_eq!(world.store.node_token(&HASH).await.unwrap().unwrap().uses_left, 8);
    assert_eq!(world.store.nodes(None).await.unwrap(), [node(1, now)]);
}

pub(crate) async fn an_expired_or_unknown_token_lets_no_node_join(world: &mut World) {
    let token = token(world, 9).await;
    let late = join(1, token.expires);
    assert_eq!(world.store.join_node(late).await.unwrap(), NodeJoined::TokenRefused);
    let foreign = NodeJoin { token: [8; 32], ..join(1, world.now()) };
    assert_eq!(world.store.join_node(foreign).await.unwrap(), NodeJoined::TokenRefused);
    assert_eq!(world.store.node_token(&[8; 32]).await.unwrap(), None);
    assert!(world.store.nodes(None).await.unwrap().is_empty());
    assert_eq!(world.store.node_token(&HASH).await.unwrap(), Some(token));
}

pub(crate) async fn a_node_renews_until_it_is_revoked(world: &mut World) {
    token(world, 2).await;
    let now = world.now();
    for number in [1, 2] {
        assert_eq!(world.store.join_node(join(number, now)).await.unwrap(), NodeJoined::Done);
    }
    let id = node(1, now).id;
    assert!(world.store.renew_node(id, now + span(5), "other").await.unwrap());
    let renewed = Node { renewed: now + span(5), hostname: "other".to_owned(), ..node(1, now) };
    assert_eq!(world.store.nodes(Some(id)).await.unwrap(), std::slice::from_ref(&renewed));
    let revoked = Node { revoked: Some(now + span(6)), mac: [9; 32], ..renewed };
    let change = Change::ModifyNode(revoked.clone());
    assert_eq!(world.administer(change).await, Administered::Done);
    assert!(!world.store.renew_node(id, now + span(7), "again").await.unwrap());
    assert_eq!(world.store.nodes(Some(id)).await.unwrap(), [revoked]);
    let unknown = node(3, now);
    assert!(!world.store.renew_node(unknown.id, now, "").await.unwrap());
    assert!(world.store.nodes(Some(unknown.id)).await.unwrap().is_empty());
    assert_eq!(world.administer(Change::ModifyNode(unknown)).await, Administered::Missing);
    assert!(world.store.renew_node(node(2, now).id, now + span(7), "gw2").await.unwrap());
}
