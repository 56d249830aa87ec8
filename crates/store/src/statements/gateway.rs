//! Gateways: leases, and which device is connected where.
//!
//! A lease is judged by when the store was asked where the store has one writer, not by when the
//! writer came to it: a large task keeps it busy for seconds, and that is no gateway's fault. A
//! gateway that is not answered for as long as its lease lasts gives it up by itself all the same.
//!
//! Where several write at once, a lease is judged when the devices that it is about are held. So
//! whoever binds one of them after the lease has ended also does so after this change: a gateway
//! that stood still does not take a device from its next one.

use std::collections::BTreeMap;

use opencpm_domain::{GatewayId, InstanceId, Span, Timestamp, to_hex};
use opencpm_operations::port::{Bind, StoreError};
use serde::Serialize;

use super::device::lock;
use crate::column::{number, read, time};
use crate::engine::{Outcome, When};
use crate::session::Session;
use crate::statement::{Sql, each, json, query};

pub(crate) async fn renew(
    session: &mut Session,
    gateway: GatewayId,
    length: Span,
    when: When,
) -> Result<Outcome<bool>, StoreError> {
    let asked = when.now(session).await?;
    let upsert = query(
        "INSERT INTO gateway (id, until) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE gateway.until > $3",
    );
    let upsert = upsert.bind(gateway.as_bytes().as_slice()).bind(time(asked + length));
    Ok(Outcome::Keep(session.run(upsert.bind(time(asked))).await? == 1))
}

pub(crate) async fn end(
    session: &mut Session,
    gateway: GatewayId,
    when: When,
) -> Result<Outcome<()>, StoreError> {
    let asked = when.now(session).await?;
    let update = query(each(
        "UPDATE gateway SET until = min(until, $2) WHERE id = $1",
        "UPDATE gateway SET until = least(until, $2) WHERE id = $1",
    ));
    let update = update.bind(gateway.as_bytes().as_slice()).bind(time(asked));
    session.run(update).await?;
    Ok(Outcome::Keep(()))
}

/// Ends every lease that is valid at this time.
pub(crate) const END_ALL: &str = "UPDATE gateway SET until = $1 WHERE until > $1";

/// Ends every lease.
pub(crate) async fn end_all(
    session: &mut Session,
    now: Timestamp,
) -> Result<Outcome<()>, StoreError> {
    session.run(query(END_ALL).bind(time(now))).await?;
    Ok(Outcome::Keep(()))
}

/// Deletes gateways that nobody asks about any more.
pub(crate) async fn prune(
    session: &mut Session,
    ago: Span,
    limit: u32,
    when: When,
) -> Result<Outcome<u64>, StoreError> {
    let asked = when.now(session).await?;
    let delete = query(
        "DELETE FROM gateway WHERE id IN (
             SELECT id FROM gateway WHERE until <= $1
                AND NOT EXISTS (SELECT 1 FROM device WHERE device.gateway = gateway.id)
             ORDER BY until LIMIT $2)",
    );
    let pruned = session.run(delete.bind(time(asked - ago)).bind(limit)).await?;
    Ok(Outcome::Keep(pruned))
}

/// Fails unless the gateway's lease is valid; returns the time by which it was judged. Comes after
/// the locks: see above.
pub(crate) async fn fence(
    session: &mut Session,
    gateway: GatewayId,
    when: When,
) -> Result<Timestamp, StoreError> {
    let now = when.now(session).await?;
    let select = query("SELECT 1 FROM gateway WHERE id = $1 AND until > $2");
    let select = select.bind(gateway.as_bytes().as_slice()).bind(time(now));
    session.row(select).await?.map(|_| now).ok_or(StoreError::LeaseEnded)
}

/// Of several connections of one device, the last one counts. A hello that waited is told from a new
/// one by the machine's own clock; the boot to which its time belongs is kept beside it, because a
/// version that does not know of it writes the other column only.
pub(crate) async fn bind(
    session: &mut Session,
    gateway: GatewayId,
    hellos: &[Bind],
    when: When,
) -> Result<Outcome<Vec<(InstanceId, u64)>>, StoreError> {
    let latest: BTreeMap<_, _> = hellos.iter().map(|hello| (&hello.instance, hello)).collect();
    let lines: Vec<_> = latest.into_values().map(HelloLine::new).collect();
    lock(session, lines.iter().map(|line| line.instance)).await?;
    let asked = fence(session, gateway, when).await?;
    let update = query(each(
        "UPDATE device SET gateway = $2, epoch = epoch + 1, last_seen = $3,
             highest_sequence = max(highest_sequence, hello.value ->> 'sequence'),
             sealing_certificate = iif(
                 coalesce(sealing_generation, 0) < hello.value ->> 'sealing',
                 unhex(hello.value ->> 'certificate'), sealing_certificate),
             sealing_generation = max(
                 coalesce(sealing_generation, 0), hello.value ->> 'sealing'),
             facts = unhex(hello.value ->> 'facts'),
             agent_version = hello.value ->> 'agent_version',
             boot = hello.value ->> 'boot', hello_boot = hello.value ->> 'boot',
             hello_since_boot = hello.value ->> 'since_boot'
         FROM json_each($1) AS hello
         WHERE device.instance = hello.value ->> 'instance'
           AND device.identity_generation = hello.value ->> 'identity'
           AND NOT device.retired
           AND (device.hello_boot = hello.value ->> 'boot'
                AND device.hello_since_boot > hello.value ->> 'since_boot'
                AND EXISTS (SELECT 1 FROM gateway AS held
                            WHERE held.id = device.gateway AND held.until > $3)) IS NOT TRUE
         RETURNING device.instance, device.epoch",
        "UPDATE device SET gateway = $2, epoch = epoch + 1, last_seen = $3,
             highest_sequence = greatest(highest_sequence, hello.sequence),
             sealing_certificate = CASE
                 WHEN coalesce(sealing_generation, 0) < hello.sealing
                 THEN decode(hello.certificate, 'hex') ELSE sealing_certificate END,
             sealing_generation = greatest(coalesce(sealing_generation, 0), hello.sealing),
             facts = decode(hello.facts, 'hex'), agent_version = hello.agent_version,
             boot = hello.boot, hello_boot = hello.boot, hello_since_boot = hello.since_boot
         FROM json_to_recordset($1::json) AS hello (
             instance text, identity bigint, sequence bigint, sealing bigint, certificate text,
             facts text, agent_version text, boot text, since_boot bigint)
         WHERE device.instance = hello.instance
           AND device.identity_generation = hello.identity
           AND NOT device.retired
           AND (device.hello_boot = hello.boot AND device.hello_since_boot > hello.since_boot
                AND EXISTS (SELECT 1 FROM gateway AS held
                            WHERE held.id = device.gateway AND held.until > $3)) IS NOT TRUE
         RETURNING device.instance, device.epoch",
    ));
    let update = update.bind(json(&lines)?).bind(gateway.as_bytes().as_slice()).bind(time(asked));
    let rows = session.rows(update).await?;
    let bound = rows.iter().map(|row| Ok((read(row, "instance")?, read(row, "epoch")?)));
    Ok(Outcome::Keep(bound.collect::<Result<_, StoreError>>()?))
}

/// The sign hides the index of gateways, and so does the other way to compare: by it, either engine
/// would look at every device of the gateway and walk through the whole list for each.
const UNBIND: Sql = each(
    "UPDATE device SET gateway = NULL, last_seen = $3
     FROM json_each($1) AS ended
     WHERE device.instance = ended.value ->> 0
       AND device.epoch = ended.value ->> 1 AND +device.gateway = $2",
    "UPDATE device SET gateway = NULL, last_seen = $3
     FROM json_array_elements($1::json) AS ended (value)
     WHERE device.instance = ended.value ->> 0
       AND device.epoch = (ended.value ->> 1)::bigint
       AND device.gateway IS NOT DISTINCT FROM $2",
);

pub(crate) async fn unbind(
    session: &mut Session,
    gateway: GatewayId,
    connections: &[(InstanceId, u64)],
    when: When,
) -> Result<Outcome<()>, StoreError> {
    let asked = when.now(session).await?;
    lock(session, connections.iter().map(|(instance, _)| instance.as_str())).await?;
    let lines: Vec<_> =
        connections.iter().map(|(id, epoch)| (id.as_str(), number(*epoch))).collect();
    let update = query(UNBIND).bind(json(&lines)?).bind(gateway.as_bytes().as_slice());
    session.run(update.bind(time(asked))).await?;
    Ok(Outcome::Keep(()))
}

#[derive(Serialize)]
struct HelloLine<'a> {
    instance: &'a str,
    identity: u32,
    sequence: i64,
    sealing: u32,
    certificate: String,
    facts: String,
    agent_version: &'a str,
    boot: &'a str,
    since_boot: Option<i64>,
}

impl<'a> HelloLine<'a> {
    fn new(hello: &'a Bind) -> Self {
        Self {
            instance: hello.instance.as_str(),
            identity: hello.identity_generation.get(),
            sequence: number(hello.highest_sequence.get()),
            sealing: hello.sealing.generation.get(),
            certificate: to_hex(&hello.sealing.certificate),
            facts: to_hex(&hello.facts),
            agent_version: &hello.agent_version,
            boot: &hello.boot,
            since_boot: hello.since_boot.map(|span| number(span.as_micros())),
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;
    use sqlx::{Row as _, query};

    use super::UNBIND;
    use crate::sqlite::MIGRATIONS;
    use crate::statement::Dialect;

    #[tokio::test]
    async fn each_device_that_leaves_is_found_by_its_id_however_many_its_gateway_has() {
        let database =
            SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        MIGRATIONS.run(&database).await.unwrap();
        let explain =
            sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", UNBIND.of(Dialect::Sqlite)));
        let plan = query(explain).fetch_all(&database).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        assert!(plan[0].starts_with("SCAN ended"), "{plan:?}");
        assert!(plan[1].contains("(instance=?)"), "{plan:?}");
    }
}
