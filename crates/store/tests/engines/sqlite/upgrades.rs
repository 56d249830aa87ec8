//! A store that an earlier version made keeps what it holds.

use std::fs;
use std::path::Path;

use opencpm_operations::port::Store;
use opencpm_operations::row::{Attributes, DeviceQuery, Tag, TagFilter};
use sqlx::ConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::contract::{HandClock, app};
use crate::sqlite::world::open;

/// A store as it was after these migrations, with this in it.
async fn made_by(path: &Path, migrations: &[&str], content: &'static str) {
    let folder = TempDir::new().unwrap();
    for name in migrations {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        fs::copy(all.join(name), folder.path().join(name)).unwrap();
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let migrator = Migrator::new(folder.path()).await.unwrap();
    migrator.run(&mut connection).await.unwrap();
    sqlx::raw_sql(content).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn tags_that_were_written_into_the_devices_row_are_kept_and_found() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let content = r#"
        INSERT INTO account VALUES (1, '', 0);
        INSERT INTO device (instance, account, retired, quarantined, signature, alias,
            alias_lower, lan_ip, wan_ip, mgt_ip, device_status, operate_status, os_type_id,
            raid_id, zone_id, zone, project_id, vpc_id, subnet_id, un_vpc_id, un_subnet_id,
            is_vpc_gateway, auto_renew, device_class, device_class_code, tags, highest_sequence,
            agent_version, epoch)
        SELECT 'cpm-' || (value ->> 0), 1, 0, 0, zeroblob(64), 'a', 'a', '', '', '', 4, 1, 0, 0, 0,
            '', 0, 0, 0, '', '', 0, 0, '', '', value ->> 1, 0, '', 0
        FROM json_each('[["1", [["role", "db"], ["env", "1"], ["role", "db"]]], ["2", []]]');
    "#;
    made_by(&path, &["0001_first.sql"], content).await;
    let store = open(&path, &HandClock::new()).await;
    let role = TagFilter { key: "role".into(), values: vec!["db".into()] };
    let query = DeviceQuery {
        account: Some(app(1)),
        tags: vec![role],
        limit: 10,
        ..DeviceQuery::default()
    };
    let (_, page) = store.devices(&query).await.unwrap();
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into(), mac: None };
    let expected = Attributes {
        alias: "a".into(),
        tags: vec![tag("env", "1"), tag("role", "db")],
        ..Attributes::default()
    };
    assert_eq!(page.items.iter().map(|d| &d.attributes).collect::<Vec<_>>(), [&expected]);
    let query = DeviceQuery { limit: 10, ..DeviceQuery::default() };
    assert_eq!(store.devices(&query).await.unwrap().1.total, 2);
}
