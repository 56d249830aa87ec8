//! A search among a hundred thousand devices reads what it must, and not the whole table.

use std::path::Path;

use opencpm_operations::port::Store;
use opencpm_operations::row::{DeviceOrder, DeviceQuery, DeviceSort, TagFilter};
use opencpm_store::SqliteStore;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::contract::device_filters::FILTERS;
use crate::contract::{HandClock, app, id, prepare};
use crate::sqlite::world::open;

/// Half of them are account 2's. Every fourth has a role; each has its own number as a tag.
const DEVICES: &str = "
    WITH RECURSIVE counted (n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < 100000)
    INSERT INTO device (instance, account, retired, quarantined, signature, alias, alias_lower,
        lan_ip, wan_ip, mgt_ip, device_status, operate_status, os_type_id, raid_id, zone_id, zone,
        project_id, vpc_id, subnet_id, un_vpc_id, un_subnet_id, is_vpc_gateway, auto_renew,
        device_class, device_class_code, highest_sequence, agent_version, epoch)
    SELECT 'cpm-' || n, 1 + n % 2, 0, 0, zeroblob(64), 'Web-' || n, 'web-' || n,
        '10.0.' || (n / 256) || '.' || (n % 256), '203.0.' || n, '192.0.' || n, 4, 1, 0, 0, 0, '',
        n % 10, 0, 0, '', '', 0, 0, '', '', 0, '', 0
    FROM counted";
const TAGS: &str = "
    INSERT INTO device_tag (account, instance, key, value)
    SELECT account, instance, 'number', substr(instance, 5) FROM device UNION ALL
    SELECT account, instance, 'role', 'web' FROM device WHERE substr(instance, 5) % 4 = 0";

async fn store(home: &Path) -> std::sync::Arc<SqliteStore> {
    let path = home.join("opencpm.db");
    let clock = HandClock::new();
    let store = open(&path, &clock).await;
    let port: std::sync::Arc<dyn Store> = store.clone();
    prepare(&port, opencpm_domain::Timestamp::from_secs(1)).await;
    store.close().await.unwrap();
    behind_its_back(&path, &["INSERT INTO account VALUES (2, '', 0)", DEVICES, TAGS]).await;
    open(&path, &clock).await
}

async fn behind_its_back(path: &Path, statements: &[&'static str]) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut connection).await.unwrap();
    }
}

fn of_account_1() -> DeviceQuery {
    DeviceQuery { account: Some(app(1)), limit: 20, ..DeviceQuery::default() }
}

/// How the table is entered, in each of the two statements.
async fn ways(store: &SqliteStore, query: &DeviceQuery) -> Vec<String> {
    let plan = store.device_list_plan(query).await.unwrap();
    let of_devices = |step: &&String| step.split(' ').nth(1) == Some("device");
    let ways: Vec<_> = plan.iter().filter(of_devices).cloned().collect();
    assert_eq!(ways.len(), 2, "{plan:?}");
    for table in ["device", "tag", "device_tag"] {
        let scan = format!("SCAN {table}");
        assert!(!plan.iter().any(|step| step.starts_with(&scan)), "{query:?} {plan:?}");
    }
    ways
}

/// A filter and the columns by which an index finds what it asks for.
type Lookup = (fn(&mut DeviceQuery), &'static str, &'static [&'static str]);

const LOOKUPS: &[Lookup] = &[
    (|q| q.instances = vec![id("cpm-8")], "(instance=?)", &["cpm-8"]),
    (|q| q.lan_ips = vec!["10.0.0.8".into()], "(lan_ip=?)", &["cpm-8"]),
    (|q| q.wan_ips = vec!["203.0.8".into()], "(wan_ip=?)", &["cpm-8"]),
    (|q| q.mgt_ips = vec!["192.0.8".into()], "(mgt_ip=?)", &["cpm-8"]),
    (|q| q.tags = vec![tag("number", &["8", "9", "10"])], "(instance=?)", &["cpm-10", "cpm-8"]),
    (|q| q.tags = vec![tag("role", &[]), tag("number", &["8", "10"])], "(instance=?)", &["cpm-8"]),
    (
        |q| q.alias_prefix = Some("WEB-9999".into()),
        "(account=? AND alias_lower>? AND alias_lower<?)",
        &["cpm-99990", "cpm-99992", "cpm-99994", "cpm-99996", "cpm-99998"],
    ),
];

fn tag(key: &str, values: &[&str]) -> TagFilter {
    let values = values.iter().map(ToString::to_string).collect();
    TagFilter { key: key.into(), values }
}

fn orders() -> impl Iterator<Item = DeviceOrder> {
    use DeviceSort::{Alias, Deadline, DeliverTime, InstanceId, LanIp, SubnetId};
    let fields = [InstanceId, Alias, LanIp, SubnetId, DeliverTime, Deadline];
    fields.into_iter().flat_map(|by| [false, true].map(|descending| DeviceOrder { by, descending }))
}

/// Ids, addresses, tags and the beginning of an alias are looked up, in any order and with any
/// other filter beside. All else reads the account's own devices and no others.
async fn check(store: &SqliteStore) {
    for (ask, columns, expected) in LOOKUPS {
        for order in orders() {
            let mut query = DeviceQuery { order, ..of_account_1() };
            ask(&mut query);
            for way in ways(store, &query).await {
                assert!(way.ends_with(columns), "{query:?}: {way}");
            }
        }
        let mut query = of_account_1();
        ask(&mut query);
        let (_, page) = store.devices(&query).await.unwrap();
        let found = page.items.iter().map(|device| device.authority.instance.as_str());
        assert!(found.eq(expected.iter().copied()), "{query:?}");
        for other in FILTERS {
            let mut query = query.clone();
            (other.ask)(&mut query);
            for way in ways(store, &query).await {
                assert!(!way.ends_with("(account=?)"), "with {}: {way}", other.name);
            }
        }
    }
    for order in orders() {
        for filter in FILTERS {
            let mut query = DeviceQuery { order, ..of_account_1() };
            (filter.ask)(&mut query);
            ways(store, &query).await;
        }
        ways(store, &DeviceQuery { order, ..of_account_1() }).await;
    }
}

#[tokio::test]
async fn no_filter_reads_the_whole_table_and_ids_addresses_tags_and_prefixes_are_looked_up() {
    let home = TempDir::new().unwrap();
    let first = store(home.path()).await;
    check(&first).await;
    first.close().await.unwrap();
    // Also when SQLite knows how its values are spread.
    let path = home.path().join("opencpm.db");
    behind_its_back(&path, &["ANALYZE"]).await;
    check(&*open(&path, &HandClock::new()).await).await;
}
