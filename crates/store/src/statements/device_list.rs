//! The device list: filters, order, total and one page.

use opencpm_domain::{MaintainStatus, Timestamp};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Device, DeviceOrder, DeviceQuery, DeviceSort, Page, TagFilter};

use super::device::{load_device, select_device};
use super::scope::push_within;
use crate::column::{number, read, time};
use crate::engine::When;
use crate::session::Session;
use crate::statement::{Builder, Dialect, Sql, Value, each, json};

pub(crate) async fn devices(
    session: &mut Session,
    query: &DeviceQuery,
    when: When,
) -> Result<(Timestamp, Page<Device>), StoreError> {
    let now = when.now(session).await?;
    let total = session.row(count(session.dialect(), "", query)?.build()).await?;
    let total = total.ok_or(StoreError::Corrupt("an aggregate without a row"))?;
    let rows = session.rows(page(session.dialect(), "", query)?.build()).await?;
    let page = Page {
        total: read(&total, "total")?,
        items: rows.iter().map(load_device).collect::<Result<_, _>>()?,
    };
    Ok((now, page))
}

/// How SQLite goes about both statements of a query.
pub(crate) async fn plan(
    session: &mut Session,
    query: &DeviceQuery,
) -> Result<Vec<String>, StoreError> {
    let mut steps = session.rows(count(Dialect::Sqlite, EXPLAIN, query)?.build()).await?;
    steps.extend(session.rows(page(Dialect::Sqlite, EXPLAIN, query)?.build()).await?);
    steps.iter().map(|step| read(step, "detail")).collect()
}

/// The elements of a list of texts, and of numbers.
const TEXT: Sql = each("value", "value #>> '{}'");
const NUMBER: Sql = each("value", "(value #>> '{}')::bigint");

const EXPLAIN: &str = "EXPLAIN QUERY PLAN ";

fn count(
    dialect: Dialect,
    before: &'static str,
    query: &DeviceQuery,
) -> Result<Builder, StoreError> {
    let mut sql = Builder::new(dialect);
    sql.push(before).push("SELECT count(*) AS total FROM device ");
    push_filters(&mut sql, query)?;
    Ok(sql)
}

fn page(
    dialect: Dialect,
    before: &'static str,
    query: &DeviceQuery,
) -> Result<Builder, StoreError> {
    let mut sql = Builder::new(dialect);
    sql.push(before).push(select_device!(device, ""));
    push_filters(&mut sql, query)?;
    push_order(&mut sql, query.order);
    sql.push(" LIMIT ").push_bind(number(query.limit));
    sql.push(" OFFSET ").push_bind(number(query.offset));
    Ok(sql)
}

/// Only filters that are asked for become text, so that an index can serve them. The text is
/// fixed; what the caller sent is bound.
fn push_filters(sql: &mut Builder, query: &DeviceQuery) -> Result<(), StoreError> {
    // 0 asks for devices in service only, 1 for all.
    sql.push("WHERE device.retired <= ").push_bind(query.retired);
    push_account(sql, query)?;
    if let Some(scope) = &query.within {
        push_within(sql, scope)?;
    }

    let numbers = |list: &[u64]| list.iter().map(|n| number(*n)).collect::<Vec<_>>();
    one_of(
        sql,
        ("instance", TEXT),
        &query.instances.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
    )?;
    one_of(sql, ("lan_ip", TEXT), &query.lan_ips)?;
    one_of(sql, ("wan_ip", TEXT), &query.wan_ips)?;
    one_of(sql, ("mgt_ip", TEXT), &query.mgt_ips)?;
    one_of(sql, ("vpc_id", NUMBER), &numbers(&query.vpc_ids))?;
    one_of(sql, ("subnet_id", NUMBER), &numbers(&query.subnet_ids))?;
    one_of(sql, ("un_vpc_id", TEXT), &query.un_vpc_ids)?;
    one_of(sql, ("un_subnet_id", TEXT), &query.un_subnet_ids)?;
    one_of(
        sql,
        ("device_status", NUMBER),
        &query.statuses.iter().map(|s| s.number()).collect::<Vec<_>>(),
    )?;

    equal(sql, "auto_renew", query.auto_renew);
    equal(sql, "device_class", query.device_class.clone());
    equal(sql, "device_class_code", query.device_class_code.clone());
    equal(sql, "project_id", query.project_id.map(number));
    equal(sql, "device_type", query.device_type.clone());
    equal(sql, "is_lucky", query.is_lucky);
    equal(sql, "maintain_status", query.maintain_status.map(MaintainStatus::name));
    push_tags(sql, &query.tags)?;

    if let Some(from) = query.deadline_from {
        sql.push(" AND device.deadline >= ").push_bind(time(from));
    }
    if let Some(to) = query.deadline_to {
        sql.push(" AND device.deadline <= ").push_bind(time(to));
    }
    if let Some(alias) = &query.alias {
        push_part(sql, "device.alias_lower", &alias.to_lowercase());
    }
    if let Some(prefix) = &query.alias_prefix {
        push_prefix(sql, &prefix.to_lowercase());
    }
    if let Some(part) = &query.vague_ip {
        // A separator that no address has.
        push_part(sql, "device.lan_ip || ' ' || device.wan_ip || ' ' || device.mgt_ip", part);
    }
    Ok(())
}

/// Those in which the text contains this part.
fn push_part(sql: &mut Builder, text: &'static str, part: &str) {
    sql.push(each(" AND instr(", " AND strpos(")).push(text).push(", ").push_bind(part);
    sql.push(") > 0");
}

/// The account's devices. Where ids, addresses or a tag are given, their index is the better way
/// to them; the sign hides the account's from SQLite, which keeps no statistics.
fn push_account(sql: &mut Builder, query: &DeviceQuery) -> Result<(), StoreError> {
    let Some(account) = query.account.map(|account| number(account.get())) else { return Ok(()) };
    let addresses = [&query.lan_ips, &query.wan_ips, &query.mgt_ips];
    let is_narrow = !query.instances.is_empty() || addresses.iter().any(|list| !list.is_empty());
    let tag = query.tags.iter().max_by_key(|tag| !tag.values.is_empty());
    let hide = if is_narrow || tag.is_some() { each("+", "") } else { "".into() };
    sql.push(" AND ").push(hide).push("device.account = ").push_bind(account);
    if let Some(tag) = tag.filter(|_| !is_narrow) {
        push_tagged(sql, account, tag)?;
    }
    Ok(())
}

/// Those that have one of the tags asked for, found by it.
fn push_tagged(sql: &mut Builder, account: i64, tag: &TagFilter) -> Result<(), StoreError> {
    sql.push(" AND device.instance IN (SELECT instance FROM device_tag WHERE account = ");
    sql.push_bind(account).push(" AND key = ").push_bind(tag.key.clone());
    if !tag.values.is_empty() {
        sql.push(" AND value IN (SELECT ").push(TEXT).push(" FROM ");
        sql.push_list(json(&tag.values)?).push(")");
    }
    sql.push(")");
    Ok(())
}

/// None of the tags asked for is missing. One text for any number of them.
fn push_tags(sql: &mut Builder, tags: &[TagFilter]) -> Result<(), StoreError> {
    if tags.is_empty() {
        return Ok(());
    }
    let asked: Vec<_> = tags.iter().map(|tag| (&tag.key, &tag.values)).collect();
    sql.push(" AND NOT EXISTS (SELECT 1 FROM ");
    sql.push(each("json_each(", "jsonb_array_elements(")).push_bind(json(&asked)?);
    sql.push(each(
        ") AS asked WHERE NOT EXISTS (SELECT 1 FROM device_tag AS tag
             WHERE tag.account = device.account AND tag.instance = device.instance
               AND tag.key = asked.value ->> 0
               AND (asked.value -> 1 = '[]'
                   OR tag.value IN (SELECT value FROM json_each(asked.value, '$[1]')))))",
        "::jsonb) AS asked (value) WHERE NOT EXISTS (SELECT 1 FROM device_tag AS tag
             WHERE tag.account = device.account AND tag.instance = device.instance
               AND tag.key = asked.value ->> 0
               AND (asked.value -> 1 = '[]' OR asked.value -> 1 ? tag.value)))",
    ));
    Ok(())
}

/// Texts that begin so are those from the prefix to the first text that no longer does. SQLite
/// compares the bytes of UTF-8, whose order is that of the characters.
fn push_prefix(sql: &mut Builder, prefix: &str) {
    sql.push(" AND device.alias_lower >= ").push_bind(prefix);
    if let Some(end) = after_all_with(prefix) {
        sql.push(" AND device.alias_lower < ").push_bind(end);
    }
}

/// The first text after all that begin so: the last character that has a next one becomes that.
/// `None` when there is no such text.
fn after_all_with(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn equal<T: Into<Value>>(sql: &mut Builder, column: &'static str, value: Option<T>) {
    if let Some(value) = value {
        sql.push(" AND device.").push(column).push(" = ").push_bind(value);
    }
}

fn one_of<T: serde::Serialize>(
    sql: &mut Builder,
    (column, value): (&'static str, Sql),
    values: &[T],
) -> Result<(), StoreError> {
    if !values.is_empty() {
        sql.push(" AND device.").push(column).push(" IN (SELECT ").push(value).push(" FROM ");
        sql.push_list(json(values)?).push(")");
    }
    Ok(())
}

fn push_order(sql: &mut Builder, order: DeviceOrder) {
    let (field, may_be_unknown) = match order.by {
        DeviceSort::InstanceId => ("instance", false),
        DeviceSort::Alias => ("alias", false),
        DeviceSort::LanIp => ("lan_ip", false),
        DeviceSort::SubnetId => ("subnet_id", false),
        DeviceSort::DeliverTime => ("deliver_time", true),
        DeviceSort::Deadline => ("deadline", true),
    };
    // What is not known counts as smallest. Where all is known, that must not be said: PostgreSQL
    // would not read an index in its own order.
    let direction = match (order.descending, may_be_unknown) {
        (true, true) => " DESC NULLS LAST",
        (true, false) => " DESC",
        (false, true) => " ASC NULLS FIRST",
        (false, false) => " ASC",
    };
    sql.push(" ORDER BY device.").push(field).push(direction);
    if order.by != DeviceSort::InstanceId {
        sql.push(", device.instance ASC");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_first_text_that_does_not_begin_so() {
        let end = |prefix| after_all_with(prefix);
        assert_eq!(end("web-"), Some("web.".into()));
        assert_eq!(end("a\u{d7ff}"), Some("a\u{e000}".into()));
        assert_eq!(end("a\u{10ffff}\u{10ffff}"), Some("b".into()));
        assert_eq!((end("\u{10ffff}"), end("")), (None, None));
    }
}
