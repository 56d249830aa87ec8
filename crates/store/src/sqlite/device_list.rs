//! The device list: filters, order, total and one page.

use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Device, DeviceOrder, DeviceQuery, DeviceSort, Page};
use sqlx::{QueryBuilder, Sqlite};

use super::column::{json, number, read, time};
use super::device::{load_device, select_device};
use super::session::Session;

pub(super) async fn devices(
    session: &mut Session,
    query: &DeviceQuery,
) -> Result<Page<Device>, StoreError> {
    let mut count = QueryBuilder::new("SELECT count(*) AS total FROM device ");
    push_filters(&mut count, query)?;
    let total = session.row(count.build()).await?;
    let total = total.ok_or(StoreError::Corrupt("an aggregate without a row"))?;

    let mut page = QueryBuilder::new(select_device!(""));
    push_filters(&mut page, query)?;
    push_order(&mut page, query.order);
    page.push(" LIMIT ").push_bind(number(query.limit));
    page.push(" OFFSET ").push_bind(number(query.offset));
    let rows = session.rows(page.build()).await?;
    Ok(Page {
        total: read(&total, "total")?,
        items: rows.iter().map(load_device).collect::<Result<_, _>>()?,
    })
}

type Sql = QueryBuilder<Sqlite>;

/// Only filters that are asked for become text, so that an index can serve them. The text is
/// fixed; what the caller sent is bound.
fn push_filters(sql: &mut Sql, query: &DeviceQuery) -> Result<(), StoreError> {
    // 0 asks for devices in service only, 1 for all.
    sql.push("WHERE device.retired <= ").push_bind(query.retired);
    if let Some(account) = query.account {
        // Where ids or addresses are given, their index is the better one; the sign hides this.
        let column =
            if is_narrow(query) { " AND +device.account = " } else { " AND device.account = " };
        sql.push(column).push_bind(number(account.get()));
    }

    let numbers = |list: &[u64]| list.iter().map(|n| number(*n)).collect::<Vec<_>>();
    one_of(sql, "instance", &query.instances.iter().map(|id| id.as_str()).collect::<Vec<_>>())?;
    one_of(sql, "lan_ip", &query.lan_ips)?;
    one_of(sql, "wan_ip", &query.wan_ips)?;
    one_of(sql, "mgt_ip", &query.mgt_ips)?;
    one_of(sql, "vpc_id", &numbers(&query.vpc_ids))?;
    one_of(sql, "subnet_id", &numbers(&query.subnet_ids))?;
    one_of(sql, "un_vpc_id", &query.un_vpc_ids)?;
    one_of(sql, "un_subnet_id", &query.un_subnet_ids)?;
    one_of(sql, "device_status", &query.statuses.iter().map(|s| s.number()).collect::<Vec<_>>())?;

    equal(sql, "auto_renew", query.auto_renew);
    equal(sql, "device_class", query.device_class.clone());
    equal(sql, "device_class_code", query.device_class_code.clone());
    equal(sql, "project_id", query.project_id.map(number));

    if let Some(from) = query.deadline_from {
        sql.push(" AND device.deadline >= ").push_bind(time(from));
    }
    if let Some(to) = query.deadline_to {
        sql.push(" AND device.deadline <= ").push_bind(time(to));
    }
    if let Some(alias) = &query.alias {
        sql.push(" AND instr(device.alias_lower, ").push_bind(alias.to_lowercase()).push(") > 0");
    }
    if let Some(part) = &query.vague_ip {
        // A separator that no address has.
        sql.push(" AND instr(device.lan_ip || ' ' || device.wan_ip || ' ' || device.mgt_ip, ");
        sql.push_bind(part.clone()).push(") > 0");
    }
    Ok(())
}

fn is_narrow(query: &DeviceQuery) -> bool {
    let addresses = [&query.lan_ips, &query.wan_ips, &query.mgt_ips];
    !query.instances.is_empty() || addresses.iter().any(|list| !list.is_empty())
}

fn equal<T>(sql: &mut Sql, column: &'static str, value: Option<T>)
where
    T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite>,
{
    if let Some(value) = value {
        sql.push(" AND device.").push(column).push(" = ").push_bind(value);
    }
}

fn one_of<T: serde::Serialize>(
    sql: &mut Sql,
    column: &'static str,
    values: &[T],
) -> Result<(), StoreError> {
    if !values.is_empty() {
        sql.push(" AND device.").push(column).push(" IN (SELECT value FROM json_each(");
        sql.push_bind(json(values)?).push("))");
    }
    Ok(())
}

fn push_order(sql: &mut Sql, order: DeviceOrder) {
    let field = match order.by {
        DeviceSort::InstanceId => "instance",
        DeviceSort::Alias => "alias",
        DeviceSort::LanIp => "lan_ip",
        DeviceSort::SubnetId => "subnet_id",
        DeviceSort::DeliverTime => "deliver_time",
        DeviceSort::Deadline => "deadline",
    };
    let direction = if order.descending { " DESC" } else { " ASC" };
    sql.push(" ORDER BY device.").push(field).push(direction);
    if order.by != DeviceSort::InstanceId {
        sql.push(", device.instance ASC");
    }
}
