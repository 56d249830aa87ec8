//! The codes that say what is away, told by published clients: each part of a deployment of
//! several nodes is taken away, the resets of that time are refused with the contract's code and
//! write nothing, and all is well again when the part is back. Nobody is started again for it but
//! the part itself.

use std::time::{Duration, Instant};

use opencpm_tests::cluster::{Disk, Node};
use opencpm_tests::{Nodes, NodesOptions, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{self, Client, Reach};
use crate::dialect::Ability;
use crate::session::{Refusal, Session, Surroundings, is_installed};

/// One of each dialect.
const CLIENTS: [&str; 2] = ["qcloudapi-sdk-python", "tencentcloud-sdk-python"];

/// Enough for a database, with little to fill.
const DISK: u32 = 256;

/// For everything that comes back by itself. A gateway that died is forgotten after a minute.
const LIMIT: Duration = Duration::from_secs(90);

/// What a part that is away is called (contract 7.3), in both dialects.
type Code = (u64, &'static str);

const DATABASE: Code = (9001, "InternalError");
const BROKER: Code = (9005, "InternalError");
const GATEWAY: Code = (9008, "InternalError");
const AGENT: Code = (12006, "FailedOperation.TscAgentOffline");

/// A deployment, and the clients that ask it.
struct Truth {
    nodes: Nodes,
    users: Vec<User>,
    passwords: u32,
    /// The database is on it, where we may mount one.
    disk: Option<Disk>,
    _scratch: TempDir,
}

/// A client at one of the API nodes.
struct User {
    client: &'static Client,
    node: usize,
    session: Session,
}

/// Takes one part after the other away. Panics when a client is told something else.
pub(crate) fn shown() {
    let installed = |client: &&Client| CLIENTS.contains(&client.name) && is_installed(client);
    let clients: Vec<_> = client::ALL.iter().filter(installed).collect();
    if clients.is_empty() {
        println!("not run here: none of {CLIENTS:?} is installed");
        return;
    }
    let mut truth = Truth::start(&clients);
    truth.heals("at first");
    truth.without_database();
    truth.without_broker();
    truth.without_gateway();
    truth.without_agent();
    truth.nobody_was_started_again();
}

impl Truth {
    fn start(clients: &[&'static Client]) -> Self {
        // PostgreSQL, which is another user, has its disk below.
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        let scratch = tempfile::Builder::new().permissions(passable).tempdir();
        let scratch = scratch.expect("a scratch directory");
        let disk = Disk::mount(&scratch.path().join("disk"), DISK);
        let options = NodesOptions { disk: disk.as_ref(), ..NodesOptions::default() };
        let nodes = Nodes::start_with(1, options);
        let ca = nodes.api[0].folder.join("ca.pem");
        let around = Surroundings { ca: &ca, proxy: None, scratch: scratch.path() };
        let at = |node| clients.iter().map(move |client| (node, *client));
        let user = |(node, client)| User { client, node, session: Session::start(client, &around) };
        let users = (0..nodes.api.len()).flat_map(at).map(user).collect();
        Self { nodes, users, passwords: 0, disk, _scratch: scratch }
    }

    fn without_database(&mut self) {
        self.while_away(
            ["PostgreSQL is stopped", "PostgreSQL is back"],
            DATABASE,
            |nodes| nodes.postgres.stop(),
            |nodes| nodes.postgres.start_again(),
        );
        self.while_away(
            ["PostgreSQL takes no changes", "PostgreSQL takes changes"],
            DATABASE,
            |nodes| read_only(nodes, "on"),
            |nodes| read_only(nodes, "off"),
        );
        let Some(disk) = self.disk.take() else {
            println!("not run here: a full disk needs root");
            return;
        };
        // An empty table has no page that a row would still fit into.
        self.nodes.postgres.sql("opencpm", "VACUUM FULL sealed");
        self.while_away(
            ["PostgreSQL's disk is full", "PostgreSQL's disk has room"],
            DATABASE,
            |_| disk.fill(),
            |_| disk.free(),
        );
        self.disk = Some(disk);
    }

    fn without_broker(&mut self) {
        self.while_away(
            ["RabbitMQ is stopped", "RabbitMQ is back"],
            BROKER,
            |nodes| nodes.rabbit.kill(),
            |nodes| nodes.rabbit.start_again(),
        );

        self.nodes.rabbit.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
        // The alarm is raised when the broker looks the next time.
        eventually("the alarm is heard", LIMIT, || {
            let refused = self.tried(0).err()?;
            self.users[0].is(&refused, BROKER).then_some(())
        });
        let before = self.written();
        self.refused("RabbitMQ is short of memory", BROKER);
        self.wrote_nothing(&before);
        self.nodes.rabbit.control(&["set_vm_memory_high_watermark", "0.4"]);
        self.heals("RabbitMQ has memory");
    }

    fn without_gateway(&mut self) {
        // An agent that could would go to the other gateway at once.
        self.nodes.machines[0].agent.signal(Signal::STOP);
        let holds = "SELECT encode(gateway, 'hex') FROM device WHERE gateway IS NOT NULL";
        let holder = self.nodes.postgres.sql("opencpm", holds);
        let of_node = |node: &Node| node.process.said().contains(&holder);
        let number = self.nodes.gateways.iter().position(of_node).expect("the log names it");
        self.nodes.gateways[number].process.kill();
        self.lease_ends(&format!("id = decode('{holder}', 'hex')"));
        let before = self.written();
        self.refused("the gateway that holds the device is gone", GATEWAY);
        self.wrote_nothing(&before);
        self.nodes.machines[0].agent.signal(Signal::CONT);
        self.heals("the agent went to the other gateway");

        self.nodes.gateways.iter_mut().for_each(|gateway| gateway.process.kill());
        self.lease_ends("TRUE");
        let before = self.written();
        self.refused("no gateway is there", GATEWAY);
        self.wrote_nothing(&before);
        self.nodes.gateways.iter_mut().for_each(|gateway| gateway.process.tend());
        self.heals("the gateways are back");
    }

    fn without_agent(&mut self) {
        self.nodes.machines[0].agent.kill();
        self.nodes.wait_for_agent(&self.nodes.machines[0].instance, false);
        let before = self.written();
        self.refused("the agent is stopped", AGENT);
        self.wrote_nothing(&before);
        self.nodes.machines[0].agent.tend();
        self.heals("the agent is back");
    }

    /// Takes something away and gives it back: meanwhile every client is told so, nothing is
    /// written, and then it heals.
    fn while_away(
        &mut self,
        [away, back]: [&str; 2],
        code: Code,
        take: impl FnOnce(&mut Nodes),
        give: impl FnOnce(&mut Nodes),
    ) {
        let before = self.written();
        take(&mut self.nodes);
        self.refused(away, code);
        give(&mut self.nodes);
        self.wrote_nothing(&before);
        self.heals(back);
    }

    /// Every client is told this at every node.
    fn refused(&mut self, what: &str, code: Code) {
        for number in 0..self.users.len() {
            let begin = Instant::now();
            let told = self.tried(number).expect_err(what);
            let took = begin.elapsed();
            let user = &self.users[number];
            assert!(user.is(&told, code), "{what}: {told:?}\n{}", self.nodes.said());
            let (name, node) = (user.client.name, user.node + 1);
            let Refusal { code, message, .. } = &told;
            println!("{what}: {name} at API node {node} heard {code} after {took:.1?}: {message}");
        }
    }

    /// Every client has a reset done at every node, sooner or later.
    fn heals(&mut self, what: &str) {
        for number in 0..self.users.len() {
            let begin = Instant::now();
            let task = eventually(what, LIMIT, || self.tried(number).ok());
            let client = self.nodes.client(self.users[number].node);
            let data = client.wait(task, Duration::from_secs(40));
            assert_eq!(data["status"], 1, "{what}: {data}\n{}", self.nodes.said());
            assert!(self.nodes.machines[0].has(&self.password()), "{what}");
            if number == 0 {
                println!("{what}: a reset was done after {:.1?}", begin.elapsed());
            }
        }
    }

    /// A reset by one of the clients: its task, or what the client was told.
    fn tried(&mut self, number: usize) -> Result<u64, Refusal> {
        self.passwords += 1;
        let (password, key) = (self.password(), self.nodes.key());
        let device = self.nodes.machines[0].instance.as_str();
        let User { client, node, session } = &mut self.users[number];
        let posts = |way: &&client::Way| way.method == "POST" && way.reach == Reach::Https;
        let way = client.ways.iter().find(posts).expect("each can POST");
        let node = &self.nodes.api[*node];
        let ca = self.nodes.api[0].folder.join("ca.pem");
        let order = json!({
            "call": client.dialect.action(Ability::Reset),
            "with": client.dialect.reset(&[device], &password),
            "way": way.told(&node.url(), &node.https(), &ca),
            "key": { "id": key.0, "secret": key.1, "token": Value::Null },
        });
        session.order(&order).map(|answer| client.dialect.task_id(&answer))
    }

    /// Of the latest try.
    fn password(&self) -> String {
        format!("Truth#{}", self.passwords)
    }

    /// How many tasks and jobs there are.
    fn written(&self) -> String {
        let count = "SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM job)";
        self.nodes.postgres.sql("opencpm", count)
    }

    fn wrote_nothing(&self, before: &str) {
        assert_eq!(self.written(), before);
    }

    fn lease_ends(&self, which: &str) {
        let valid = format!("SELECT count(*) FROM gateway WHERE until > store_now() AND {which}");
        eventually("the end of the lease", LIMIT, || {
            (self.nodes.postgres.sql("opencpm", &valid) == "0").then_some(())
        });
    }

    fn nobody_was_started_again(&mut self) {
        for node in &mut self.nodes.api {
            assert!(node.process.is_running(), "{}", node.process.said());
            assert_eq!(node.process.said().matches("serving").count(), 1);
        }
    }
}

impl User {
    /// Whether the client was told this code, in its own form.
    fn is(&self, told: &Refusal, (v2, v3): Code) -> bool {
        told.code == json!(v2) || told.code == json!(v3)
    }
}

fn read_only(nodes: &Nodes, value: &str) {
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    nodes.postgres.sql("postgres", &set);
    nodes.postgres.sql("postgres", "SELECT pg_reload_conf()");
    // Each connection hears of it by itself.
    eventually("the setting", LIMIT, || {
        let shown = nodes.postgres.sql("opencpm", "SHOW default_transaction_read_only");
        (shown == value).then_some(())
    });
}
