//! Nodes without the API role, and the tokens with which they join.

use opencpm_domain::Timestamp;
use opencpm_operations::port::{NodeJoin, NodeJoined, StoreError};
use opencpm_operations::row::{Node, NodeId, NodeToken};

use super::account::insert_audit;
use crate::column::{read, read_optional, time};
use crate::engine::Outcome;
use crate::row::Row;
use crate::session::Session;
use crate::statement::{Statement, json, query};

pub(crate) async fn node_token(
    session: &mut Session,
    hash: &[u8; 32],
) -> Result<Option<NodeToken>, StoreError> {
    let select =
        query("SELECT hash, names, uses_left, expires, mac FROM node_token WHERE hash = $1");
    let row = session.row(select.bind(hash.as_slice())).await?;
    row.as_ref().map(load_token).transpose()
}

pub(crate) async fn nodes(
    session: &mut Session,
    id: Option<NodeId>,
) -> Result<Vec<Node>, StoreError> {
    let select = query(
        "SELECT id, key, names, hostname, joined, renewed, revoked, mac FROM node
         WHERE $1 IS NULL OR id = $1 ORDER BY id",
    );
    let select = select.bind(id.map(|id| id.as_bytes().to_vec()));
    session.rows(select).await?.iter().map(load_node).collect()
}

/// False when the hash is taken.
pub(crate) async fn insert_token(
    session: &mut Session,
    token: &NodeToken,
) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO node_token (hash, names, uses_left, expires, mac)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(token.hash.as_slice())
        .bind(json(&token.names)?)
        .bind(token.uses_left)
        .bind(time(token.expires))
        .bind(token.mac.as_slice());
    Ok(session.run(insert).await? == 1)
}

pub(crate) async fn join(
    session: &mut Session,
    join: &NodeJoin,
) -> Result<Outcome<NodeJoined>, StoreError> {
    let take = query(
        "UPDATE node_token SET uses_left = uses_left - 1
         WHERE hash = $1 AND uses_left > 0 AND expires > $2",
    );
    let take = take.bind(join.token.as_slice()).bind(time(join.now));
    if session.run(take).await? == 0 {
        return Ok(Outcome::Undo(NodeJoined::TokenRefused));
    }
    let insert = "INSERT INTO node (id, key, names, hostname, joined, renewed, revoked, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    if session.run(node_values(insert, &join.node)?).await? == 0 {
        return Ok(Outcome::Undo(NodeJoined::Known));
    }
    insert_audit(session, &join.audit).await?;
    Ok(Outcome::Keep(NodeJoined::Done))
}

pub(crate) async fn renew(
    session: &mut Session,
    id: NodeId,
    at: Timestamp,
    hostname: &str,
) -> Result<Outcome<bool>, StoreError> {
    let update =
        query("UPDATE node SET renewed = $2, hostname = $3 WHERE id = $1 AND revoked IS NULL");
    let update = update.bind(id.as_bytes().as_slice()).bind(time(at)).bind(hostname);
    Ok(Outcome::Keep(session.run(update).await? == 1))
}

/// False when there is no such node.
pub(crate) async fn update(session: &mut Session, node: &Node) -> Result<bool, StoreError> {
    let update = "UPDATE node SET key = $2, names = $3, hostname = $4, joined = $5, renewed = $6,
             revoked = $7, mac = $8
         WHERE id = $1";
    Ok(session.run(node_values(update, node)?).await? == 1)
}

fn node_values(sql: &'static str, node: &Node) -> Result<Statement, StoreError> {
    let values = query(sql)
        .bind(node.id.as_bytes().as_slice())
        .bind(node.key.as_bytes().as_slice())
        .bind(json(&node.names)?)
        .bind(&node.hostname)
        .bind(time(node.joined))
        .bind(time(node.renewed))
        .bind(node.revoked.map(time))
        .bind(node.mac.as_slice());
    Ok(values)
}

fn load_token(row: &Row) -> Result<NodeToken, StoreError> {
    Ok(NodeToken {
        hash: read(row, "hash")?,
        names: load_names(row)?,
        uses_left: read(row, "uses_left")?,
        expires: read(row, "expires")?,
        mac: read(row, "mac")?,
    })
}

fn load_node(row: &Row) -> Result<Node, StoreError> {
    Ok(Node {
        id: read(row, "id")?,
        key: read(row, "key")?,
        names: load_names(row)?,
        hostname: read(row, "hostname")?,
        joined: read(row, "joined")?,
        renewed: read(row, "renewed")?,
        revoked: read_optional(row, "revoked")?,
        mac: read(row, "mac")?,
    })
}

fn load_names(row: &Row) -> Result<Vec<String>, StoreError> {
    let names: String = read(row, "names")?;
    serde_json::from_str(&names).map_err(|_| StoreError::Corrupt("names"))
}
