//! What is asked often reads what it must, however many devices, jobs and requests there are.
//!
//! PostgreSQL itself counts what it reads. Each question is asked so often that a plan for any
//! parameters has taken the place of the first ones. Work is done before the server knows how its
//! values are spread, and after.

use std::sync::Arc;

use opencpm_domain::{GatewayId, Generation, InstanceId, JobState, TaskId, Timestamp};
use opencpm_operations::port::{Clock, Deliverable, Enrolled, Store};
use opencpm_operations::row::{Acceptance, DeviceQuery, DeviceScope, LogQuery, NewTask};
use opencpm_store::{PostgresOptions, PostgresStore};
use sqlx::PgConnection;
use tokio::task::spawn_blocking;

use super::world::{Database, Server, counts};
use crate::contract::world::{
    GATEWAY, enrolment, fingerprint, hello, identity, nonce, sealing, secret_id, span, tag_filter,
};
use crate::contract::{
    Backend, HandClock, app, id, new_task, next, prepare, statements, succeeded,
};

/// A hundred thousand devices, most of them account 2's, all of them connected. Each had a job
/// that has ended, in tasks of ten; half of them have one that is under way. Each has its own number as a tag, every fourth a role.
const CONTENT: &str = "
    INSERT INTO account VALUES (2, '', false);
    INSERT INTO device (instance, account, identity_generation, identity_key, retired, quarantined,
        signature, alias, alias_lower, lan_ip, wan_ip, mgt_ip, device_status, operate_status,
        os_type_id, raid_id, zone_id, zone, project_id, vpc_id, subnet_id, un_vpc_id,
        un_subnet_id, is_vpc_gateway, auto_renew, device_class, device_class_code,
        sealing_generation, sealing_certificate, highest_sequence, agent_version, gateway, epoch)
    SELECT 'cpm-' || n, CASE WHEN n % 10 IN (0, 8) THEN 1 ELSE 2 END, 1, sha256(n::text::bytea), false, false,
        decode(repeat('00', 64), 'hex'), 'Web-' || n, 'web-' || n,
        '10.0.' || (n / 256) || '.' || (n % 256), '203.0.' || n, '192.0.' || n, 4, 1, 0, 0, 0, '',
        n % 10, 0, 0, '', '', false, false, '', '', 1, decode(repeat('01', 40), 'hex'), 0, '',
        decode(repeat('07', 16), 'hex'), 1
    FROM generate_series(0, 99999) AS n;
    INSERT INTO device_key SELECT instance, 1, identity_key, 0, NULL, signature FROM device;
    INSERT INTO device_tag SELECT account, instance, 'number', substr(instance, 5) FROM device;
    INSERT INTO device_tag SELECT account, instance, 'role', 'web' FROM device
        WHERE substr(instance, 5)::int % 4 = 0;
    INSERT INTO task SELECT 1 + n, 1, 'resetPasswd', '100000000001', n, n
    FROM generate_series(0, 9999) AS n;
    INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
        identity_generation, sealing_generation, verb, issued_at, not_after, deadline, authority,
        mac, status, attempts, reason, ended, applied, advice, corrected, version)
    SELECT substr(sha256(n::text::bytea), 1, 16), 1 + n / 10, n % 10, 10, 'cpm-' || n, 1, n / 10,
        1, 1, 1, 1, 0, 0, n / 10, '\\x0102030405060708', decode(repeat('05', 32), 'hex'), 1, 1,
        NULL, 1, 1, '[]', false, 2
    FROM generate_series(0, 99999) AS n;
    INSERT INTO task VALUES (10001, 2, 'resetPasswd', '100000000001', 0, 9000000000000000);
    INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
        identity_generation, sealing_generation, verb, issued_at, not_after, deadline, authority,
        mac, status, attempts, corrected, last_attempt, version)
    SELECT substr(sha256(('open' || n)::bytea), 1, 16), 10001, n, 50000, 'cpm-' || 1 + n * 2, 2, 0,
        2, 1, 1, 1, 0, 0, 9000000000000000, '\\x0102030405060708', decode(repeat('05', 32), 'hex'),
        4, 1, false, 9000000000000000, 2
    FROM generate_series(0, 49999) AS n;
    INSERT INTO sealed SELECT number, decode(repeat('03', 32), 'hex'),
        decode(repeat('04', 80), 'hex') FROM job WHERE status = 4;
    INSERT INTO nonce (secret_id, timestamp, nonce, expires)
    SELECT 'AKID1', 0, n, 9000000000000000 FROM generate_series(0, 99999) AS n;
    INSERT INTO fingerprint (hash, expires)
    SELECT sha256(n::text::bytea), 9000000000000000 FROM generate_series(0, 99999) AS n;";

/// How many rows and entries of indexes were read, of tables that grow.
const READ: &str = "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
        WHERE relname = ANY ($1))::bigint
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = ANY ($1))::bigint";
const LARGE: [&str; 8] =
    ["device", "device_key", "device_tag", "task", "job", "sealed", "nonce", "fingerprint"];

/// How often each is asked.
const TIMES: u64 = 7;
/// Of what, at most.
const BATCH: u64 = 50;
/// Read for each of them at most. The smallest of the large sets, the devices of account 1, has
/// ten times as many as all of this.
const EACH: u64 = 40;

struct Scene {
    clock: Arc<HandClock>,
    options: PostgresOptions,
    line: PgConnection,
}

impl Scene {
    async fn new() -> Self {
        let mut database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
        let clock = HandClock::new();
        let store = database.open(&clock).await;
        prepare(&store, clock.now()).await;
        database.close().await;
        let mut line = database.behind_its_back().await;
        sqlx::raw_sql(CONTENT).execute(&mut line).await.unwrap();
        let mut options = database.options();
        options.connections = 1;
        Self { clock, options, line }
    }

    /// How much of the large tables is read by what is asked.
    async fn reads(&mut self, ask: impl AsyncFnOnce(Arc<PostgresStore>)) -> u64 {
        let store = Arc::new(PostgresStore::connect(&self.options).await.unwrap());
        sqlx::query("SELECT pg_stat_reset()").execute(&mut self.line).await.unwrap();
        ask(Arc::clone(&store)).await;
        store.close().await.unwrap();
        drop(store);
        // A process of the server tells its numbers when it ends.
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'opencpm'";
        counts(&mut self.line, others, |others| others == 0).await;
        let read = sqlx::query_scalar::<_, i64>(READ).bind(LARGE.as_slice());
        read.fetch_one(&mut self.line).await.unwrap().unsigned_abs()
    }
}

fn of_account_1() -> DeviceQuery {
    DeviceQuery { account: Some(app(1)), limit: 20, ..DeviceQuery::default() }
}

type Lookup = (&'static str, fn(&mut DeviceQuery));

const LOOKUPS: &[Lookup] = &[
    ("ids", |q| q.instances = vec![id("cpm-8"), id("cpm-10")]),
    ("lan_ip", |q| q.lan_ips = vec!["10.0.0.8".into()]),
    ("wan_ip", |q| q.wan_ips = vec!["203.0.8".into()]),
    ("mgt_ip", |q| q.mgt_ips = vec!["192.0.8".into()]),
    ("tag", |q| q.tags = vec![tag_filter("number", &["8", "10"])]),
    ("alias", |q| q.alias_prefix = Some("WEB-9999".into())),
    ("scope", |q| {
        q.within = Some(DeviceScope { instances: [id("cpm-8")].into(), tags: vec![] });
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_often_reads_what_it_must() {
    let mut scene = Scene::new().await;
    // The count counts.
    let all = DeviceQuery { vague_ip: Some("8.8".into()), limit: 1, ..DeviceQuery::default() };
    let read = scene.reads(async |store| drop(store.devices(&all).await.unwrap())).await;
    assert!(read >= 100_000, "{read}");
    work(&mut scene, 0).await;
    sqlx::query("ANALYZE").execute(&mut scene.line).await.unwrap();
    questions(&mut scene).await;
    work(&mut scene, 1).await;
}

/// Asks, and looks at what was read.
macro_rules! check {
    ($scene:ident, $name:expr, |$store:ident, $number:ident| $ask:expr) => {{
        let read = $scene.reads(async |$store| {
            for $number in 0..TIMES {
                $ask.await.unwrap();
            }
        });
        let read = read.await;
        assert!(read <= TIMES * BATCH * EACH, "{}: {read}", $name);
    }};
}

async fn questions(scene: &mut Scene) {
    let now = scene.clock.now();
    let some: Vec<InstanceId> = (0..BATCH).map(|n| id(&format!("cpm-{}", n * 997))).collect();
    for (name, ask) in LOOKUPS {
        let mut query = of_account_1();
        ask(&mut query);
        check!(scene, name, |store, _n| store.devices(&query));
    }
    let pairs: Vec<_> = some.iter().map(|id| (id.clone(), Generation::FIRST)).collect();
    check!(scene, "device_keys", |store, _n| store.device_keys(&pairs));
    check!(scene, "reset_candidates", |store, _n| store.reset_candidates(&some));
    check!(scene, "identity", |store, _n| store.device_of_identity(&identity(&some[0], 1).key));
    check!(scene, "api_key", |store, _n| store.api_key(&secret_id("AKID1")));
    check!(scene, "nonce", |store, n| store.first_use(&nonce(n, now)));
    check!(scene, "fingerprint", |store, n| store.first_use(&fingerprint(n as u8, now)));
    check!(scene, "task", |store, n| store.task(TaskId::new(n + 1).unwrap()));
    let log = LogQuery {
        account: app(1),
        instance: some[0].clone(),
        from: Timestamp::default(),
        before: now,
        offset: 0,
        limit: 10,
    };
    check!(scene, "log", |store, _n| store.log(&log));
}

/// A life of tasks; another one each time.
async fn work(scene: &mut Scene, time: u64) {
    let now = scene.clock.now();
    let first = time * TIMES;
    let tasks = Arc::new(std::sync::Mutex::new(Vec::<NewTask>::new()));
    check!(scene, "accept", |store, n| async {
        let port: Arc<dyn Store> = store.clone();
        let number = first + n;
        let place = |place| id(&format!("cpm-{}", number * 1000 + place * 10));
        let ids: Vec<_> = (0..BATCH).map(place).collect();
        let mut task = new_task(&port, 20_000 + number, &ids, now).await;
        task.unique = Some(nonce(1_000_000 + number, now + span(600)));
        tasks.lock().unwrap().push(task.clone());
        match store.accept(task.into()).await {
            Ok(Acceptance::Accepted) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let tasks = tasks.lock().unwrap().clone();
    let jobs: Vec<Vec<_>> =
        tasks.iter().map(|task| task.jobs.iter().map(|job| job.job).collect()).collect();
    let devices: Vec<Vec<_>> = tasks
        .iter()
        .map(|task| task.jobs.iter().map(|job| job.instance.clone()).collect())
        .collect();
    check!(scene, "jobs", |store, n| store.jobs(&jobs[n as usize]));
    check!(scene, "later_jobs", |store, n| store.later_jobs(&jobs[n as usize]));
    check!(scene, "open_jobs", |store, n| store.open_jobs(&devices[n as usize]));
    check!(scene, "overdue_jobs", |store, _n| store.overdue_jobs(100));
    for filter in [
        Deliverable::Jobs(jobs[0].clone()),
        Deliverable::Devices(devices[0].clone()),
        Deliverable::NotAttemptedFor(span(0)),
    ] {
        check!(scene, "deliverable", |store, _n| store.deliverable_jobs(
            GATEWAY,
            filter.clone(),
            100
        ));
    }
    for state in [JobState::Attempted { attempts: 1 }, succeeded(now)] {
        check!(scene, "change_jobs", |store, n| async {
            let (_, rows) = store.jobs(&jobs[n as usize]).await?;
            let changes = rows.iter().map(|job| next(job, state.clone())).collect();
            store.change_jobs(changes, Some(GATEWAY)).await
        });
    }
    check!(scene, "bind", |store, n| store
        .bind(GATEWAY, devices[n as usize].iter().map(hello).collect()));
    let keys = |ids: &[InstanceId]| {
        ids.iter().map(|id| (id.clone(), Generation::FIRST, sealing(9))).collect::<Vec<_>>()
    };
    check!(scene, "sealing", |store, n| store
        .put_sealing_keys(keys(&devices[n as usize]), GATEWAY));
    check!(scene, "unbind", |store, n| {
        store.unbind(GATEWAY, devices[n as usize].iter().map(|id| (id.clone(), 2)).collect())
    });
    check!(scene, "enrol", |store, n| async {
        match store.enrol(enrolment(&id(&format!("cpm-new-{}", first + n)), 1, now)).await {
            Ok(Enrolled::Done) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    check!(scene, "renew_lease", |store, _n| store
        .renew_lease(GatewayId::from_bytes([1; 16]), span(1)));
    check!(scene, "prune_replay", |store, _n| store.prune_replay(10));
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_devices() {
    assert_eq!(statements_for(2).await, statements_for(2_000).await);
}

async fn statements_for(number: usize) -> Vec<(&'static str, u64)> {
    let mut database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let clock = HandClock::new();
    let port = database.open(&clock).await;
    let store = database.store();
    statements::counted(&port, || store.statements(), &clock, number).await
}
