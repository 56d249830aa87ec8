//! Signed requests that changed something, so that none changes anything twice (contract 2.6).

use opencpm_domain::TaskId;
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Fingerprint, FirstUse, Unique, UsedNonce};

use crate::column::{number, read_optional, time};
use crate::engine::{Outcome, When};
use crate::session::Session;
use crate::statement::query;

/// Writes down what makes a request unique, unless it is there already: then what it has done.
/// `task` is what the request is about to become.
pub(crate) async fn remember(
    session: &mut Session,
    unique: Option<&Unique>,
    task: Option<TaskId>,
) -> Result<Option<FirstUse>, StoreError> {
    let Some(unique) = unique else { return Ok(None) };
    let is_new = match unique {
        Unique::Nonce(nonce) => insert_nonce(session, nonce).await?,
        Unique::Fingerprint(fingerprint) => insert_fingerprint(session, fingerprint, task).await?,
    };
    if is_new { Ok(None) } else { first_use(session, unique).await }
}

/// What the request has done already.
pub(crate) async fn first_use(
    session: &mut Session,
    unique: &Unique,
) -> Result<Option<FirstUse>, StoreError> {
    let row = match unique {
        Unique::Nonce(nonce) => {
            let select = query(
                "SELECT CAST(NULL AS BIGINT) AS task FROM nonce
                 WHERE secret_id = $1 AND timestamp = $2 AND nonce = $3",
            );
            let select = select.bind(nonce.secret_id.as_str());
            let numbers = [nonce.timestamp, nonce.nonce].map(u64::cast_signed);
            session.row(select.bind(numbers[0]).bind(numbers[1])).await?
        }
        Unique::Fingerprint(fingerprint) => {
            let select = query("SELECT task FROM fingerprint WHERE hash = $1");
            session.row(select.bind(fingerprint.hash.as_slice())).await?
        }
    };
    let Some(row) = row else { return Ok(None) };
    let task: Option<TaskId> = read_optional(&row, "task")?;
    Ok(Some(task.map_or(FirstUse::Change, FirstUse::Task)))
}

/// Forgets at most so many that expired.
pub(crate) async fn prune(
    session: &mut Session,
    when: When,
    limit: u32,
) -> Result<Outcome<u64>, StoreError> {
    let now = when.now(session).await?;
    let nonces = query(
        "DELETE FROM nonce WHERE id IN
         (SELECT id FROM nonce WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    );
    let nonces = session.run(nonces.bind(time(now)).bind(limit)).await?;
    let fingerprints = query(
        "DELETE FROM fingerprint WHERE id IN
         (SELECT id FROM fingerprint WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    );
    let left = u64::from(limit).saturating_sub(nonces);
    let fingerprints = session.run(fingerprints.bind(time(now)).bind(number(left))).await?;
    Ok(Outcome::Keep(nonces + fingerprints))
}

async fn insert_nonce(session: &mut Session, nonce: &UsedNonce) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO nonce (secret_id, timestamp, nonce, expires) VALUES ($1, $2, $3, $4)
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
) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO fingerprint (hash, task, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(fingerprint.hash.as_slice())
        .bind(task.map(|task| number(task.get())))
        .bind(time(fingerprint.expires));
    Ok(session.run(insert).await? == 1)
}
