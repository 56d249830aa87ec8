//! What keys used of their quotas, shared by all nodes.

use async_trait::async_trait;
use opencpm_domain::{QuotaUsed, SecretId, Timestamp};
use opencpm_operations::port::{QuotaLedger, QuotaLine, StoreError};

use super::PostgresStore;
use crate::column::{number, read, time};
use crate::engine::{Engine, Outcome, Way, When};
use crate::session::Session;
use crate::statement::{json, query};

#[async_trait]
impl QuotaLedger for PostgresStore {
    async fn take(&self, lines: &[QuotaLine], _: Timestamp) -> Result<Option<usize>, StoreError> {
        let lines = std::sync::Arc::new(lines.to_vec());
        self.write(Way::Ordinary, move |session| {
            let lines = std::sync::Arc::clone(&lines);
            Box::pin(async move { take(session, &lines).await })
        })
        .await
    }
}

async fn take(
    session: &mut Session,
    lines: &[QuotaLine],
) -> Result<Outcome<Option<usize>>, StoreError> {
    let now = When::Server.now(session).await?;
    let names: Vec<_> =
        lines.iter().map(|line| (line.key.as_str(), line.action.unwrap_or_default())).collect();
    // Makes each line where it is absent, and holds it until the end of the transaction.
    let hold = query(
        "INSERT INTO quota_used (secret_id, action, paid_until)
         SELECT value ->> 0, value ->> 1, 0
         FROM json_array_elements($1::json) AS line (value) ORDER BY 1, 2
         ON CONFLICT (secret_id, action) DO UPDATE SET paid_until = quota_used.paid_until
         RETURNING secret_id, action, paid_until",
    );
    let held = session.rows(hold.bind(json(&names)?)).await?;
    let mut next = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let mut used = QuotaUsed::default();
        for row in &held {
            let name: (SecretId, String) = (read(row, "secret_id")?, read(row, "action")?);
            if name.0 == line.key && name.1 == line.action.unwrap_or_default() {
                used = QuotaUsed::until(read(row, "paid_until")?);
            }
        }
        match line.quota.one_more(used, now) {
            Some(used) => next.push((names[index], time(used.paid_until()))),
            None => return Ok(Outcome::Undo(Some(index))),
        }
    }
    let update = query(
        "UPDATE quota_used SET paid_until = (line.value ->> 1)::bigint
         FROM json_array_elements($1::json) AS line (value)
         WHERE secret_id = line.value -> 0 ->> 0 AND action = line.value -> 0 ->> 1",
    );
    session.run(update.bind(json(&next)?)).await?;
    forget(session, now).await?;
    Ok(Outcome::Keep(None))
}

/// What has come back in full is forgotten, a few lines at a time.
async fn forget(session: &mut Session, now: Timestamp) -> Result<(), StoreError> {
    let delete = query(
        "DELETE FROM quota_used WHERE (secret_id, action) IN (
             SELECT secret_id, action FROM quota_used WHERE paid_until <= $1
             LIMIT $2 FOR UPDATE SKIP LOCKED)",
    );
    session.run(delete.bind(time(now)).bind(number(FEW))).await?;
    Ok(())
}

/// Each request makes at most two lines, so that there are never many old ones.
const FEW: u64 = 4;
