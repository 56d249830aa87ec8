//! Signed requests that changed something, so that none changes anything twice (contract 2.6).

use opencpm_domain::{TaskId, Timestamp};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Fingerprint, UsedNonce};
use sqlx::query;

use super::column::{number, read_optional, time};
use super::session::Session;
use super::writer::Outcome;

/// What is known of a request.
pub(super) enum Seen {
    /// It is new, and written down now.
    New,
    /// Its nonce was used before, or it was an administrative request.
    Before,
    /// It was accepted as this task.
    AsTask(TaskId),
}

/// Writes down what makes a request unique. `task` is what the request is about to become.
pub(super) async fn remember(
    session: &mut Session,
    nonce: Option<&UsedNonce>,
    fingerprint: Option<&Fingerprint>,
    task: Option<TaskId>,
) -> Result<Seen, StoreError> {
    if let Some(nonce) = nonce
        && !insert_nonce(session, nonce).await?
    {
        return Ok(Seen::Before);
    }
    match fingerprint {
        Some(fingerprint) => insert_fingerprint(session, fingerprint, task).await,
        None => Ok(Seen::New),
    }
}

/// Whether the nonce was recorded.
pub(super) async fn nonce_used(
    session: &mut Session,
    nonce: &UsedNonce,
) -> Result<bool, StoreError> {
    let select =
        query("SELECT 1 FROM nonce WHERE secret_id = ?1 AND timestamp = ?2 AND nonce = ?3");
    let select = select
        .bind(nonce.secret_id.as_str())
        .bind(nonce.timestamp.cast_signed())
        .bind(nonce.nonce.cast_signed());
    Ok(session.row(select).await?.is_some())
}

/// Forgets at most so many that expired.
pub(super) async fn prune(
    session: &mut Session,
    now: Timestamp,
    limit: u32,
) -> Result<Outcome<u64>, StoreError> {
    let nonces = query(
        "DELETE FROM nonce WHERE id IN
         (SELECT id FROM nonce WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    );
    let nonces = session.run(nonces.bind(time(now)).bind(limit)).await?;
    let fingerprints = query(
        "DELETE FROM fingerprint WHERE id IN
         (SELECT id FROM fingerprint WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    );
    let left = u64::from(limit).saturating_sub(nonces);
    let fingerprints = session.run(fingerprints.bind(time(now)).bind(number(left))).await?;
    Ok(Outcome::Keep(nonces + fingerprints))
}

async fn insert_nonce(session: &mut Session, nonce: &UsedNonce) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO nonce (secret_id, timestamp, nonce, expires) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    );
    // Compared for equality only, so the sign does not matter, and no two become one.
    let insert = insert
        .bind(nonce.secret_id.as_str())
        .bind(nonce.timestamp.cast_signed())
        .bind(nonce.nonce.cast_signed())
        .bind(time(nonce.expires));
    Ok(session.run(insert).await? == 1)
}

async fn insert_fingerprint(
    session: &mut Session,
    fingerprint: &Fingerprint,
    task: Option<TaskId>,
) -> Result<Seen, StoreError> {
    let insert = query(
        "INSERT INTO fingerprint (hash, task, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(fingerprint.hash.as_slice())
        .bind(task.map(|task| number(task.get())))
        .bind(time(fingerprint.expires));
    if session.run(insert).await? == 1 {
        return Ok(Seen::New);
    }
    let select = query("SELECT task FROM fingerprint WHERE hash = ?1");
    let row = session.row(select.bind(fingerprint.hash.as_slice())).await?;
    let task = row.map(|row| read_optional(&row, "task")).transpose()?.flatten();
    Ok(task.map_or(Seen::Before, Seen::AsTask))
}
