//! Runs the cases: every client that is installed, in each of its ways.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use opencpm_tests::Lab;

use crate::case::{self, Case};
use crate::client::{self, Client, Reach};
use crate::proxy::Proxy;
use crate::session::{self, Session, Surroundings};
use crate::trial::{Trial, authority};

/// What came of a client.
pub(crate) struct Outcome {
    pub(crate) client: &'static Client,
    /// Nothing when it cannot run here.
    pub(crate) tried: Option<Tried>,
}

/// What came of a client that ran.
pub(crate) struct Tried {
    /// As the installed package says.
    pub(crate) version: String,
    pub(crate) results: Vec<CaseResult>,
}

/// What came of one case in one way.
pub(crate) struct CaseResult {
    /// Index into the client's ways.
    pub(crate) way: usize,
    pub(crate) case: &'static str,
    pub(crate) passed: bool,
}

/// Machines of a lab: enough for a batch, and one that is away.
const AGENTS: usize = 3;
const OFFLINE: &str = "1";
/// What a key may ask in a minute: little of one action that few cases need.
const QUOTA: &str = "DescribeDeviceOperationLog=1";

/// Tries every client, or the one that is wanted, side by side, each against a lab of its own.
pub(crate) fn all(wanted: Option<&str>) -> Vec<Outcome> {
    let clients = client::ALL.iter().filter(|client| wanted.is_none_or(|it| it == client.name));
    let start = |client: &'static Client| {
        let thread = std::thread::Builder::new().name(client.name.to_owned());
        let outcome =
            move || Outcome { client, tried: session::is_installed(client).then(|| tried(client)) };
        thread.spawn(outcome).expect("a thread")
    };
    let threads: Vec<_> = clients.map(start).collect();
    let outcome = |thread: JoinHandle<Outcome>| thread.join().expect("a client that starts");
    threads.into_iter().map(outcome).collect()
}

fn tried(client: &'static Client) -> Tried {
    let lab = Lab::start_with(AGENTS, |command| {
        command.args(["--offline", OFFLINE, "--quota", QUOTA]);
    });
    let mut tried = Tried { version: String::new(), results: Vec::new() };
    let mut passwords = 0;
    for (number, way) in client.ways.iter().enumerate() {
        let proxy = Proxy::start(authority(&lab.ready.https));
        let through = way.reach == Reach::FixedHost;
        let around = Surroundings {
            ca: &lab.ready.ca,
            proxy: through.then(|| proxy.url.clone()),
            scratch: lab.dir(),
        };
        let mut session = Session::start(client, &around);
        for case in cases(client) {
            let mut trial = Trial::new(&lab, (client, way), (&mut session, &mut passwords));
            let passed = catch_unwind(AssertUnwindSafe(|| (case.run)(&mut trial))).is_ok();
            let word = if passed { "passed" } else { "FAILED" };
            println!("{word}  {} {}, {}: {}", client.name, session.version, way.name(), case.name);
            tried.results.push(CaseResult { way: number, case: case.name, passed });
        }
        let expected: &[&str] = if through { &[client.fixed_host()] } else { &[] };
        assert_eq!(proxy.targets(), expected, "the way that the requests took");
        tried.version = session.version.clone();
    }
    tried
}

/// Those that the client can do.
pub(crate) fn cases(client: &Client) -> impl Iterator<Item = &'static Case> {
    let can = |case: &&Case| case.needs.iter().all(|&operation| client.can(operation));
    case::ALL.iter().filter(can).chain(client.own)
}
