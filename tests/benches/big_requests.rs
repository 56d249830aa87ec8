//! One request for very many devices, in each dialect: time, memory of the server, and what small
//! reads notice meanwhile, against the same devices in requests of a thousand and against an idle
//! server, all in one run. `cargo xtask bench` runs it with release builds.
//!
//! The devices are simulated, and live in the server's process: what is told of memory is the
//! peak above the idle server with all of them connected.

#![expect(clippy::print_stdout, reason = "a benchmark answers on standard output")]
#![expect(clippy::expect_used, clippy::panic, reason = "what goes wrong ends the benchmark")]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opencpm_tests::wire::{Form, Tc3, escaped, exchange_within};
use opencpm_tests::{Lab, eventually};
use serde_json::{Value, json};

/// Unless the environment says otherwise (`DEVICES`): the largest request of the contract.
const DEVICES: usize = 100_000;

/// Nothing may take longer: the deadline of the lab's jobs.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two small reads.
const PAUSE: Duration = Duration::from_millis(20);

fn main() {
    let devices = std::env::var("DEVICES").ok().map_or(DEVICES, |n| n.parse().expect("a number"));
    let lab = Lab::start_with(0, |lab| {
        lab.args(["--simulated", &devices.to_string()]);
        lab.args(["--job-deadline", &PATIENCE.as_secs().to_string()]);
    });
    let bench = Bench { lab, idle: 0 }.settled();
    println!("{devices} devices; {} MiB resident while idle", bench.idle >> 10);
    println!("{HEAD}");
    bench.during("idle", || thread::park_timeout(Duration::from_secs(5)));

    let task = bench.during("API 2.0: accept one request", || bench.reset_v2(0, devices));
    bench.during("API 2.0: until all have succeeded", || bench.wait(task));
    bench.during("API 2.0: status of all", || bench.status_v2(task));
    let task = bench.during("API 3.0: accept one request", || bench.reset_v3(0, devices));
    bench.during("API 3.0: until all have succeeded", || bench.wait(task));
    bench.during("API 3.0: status of all", || bench.status_v3(task));
    let tasks = bench.during("API 3.0: accept in requests of 1,000", || {
        let starts = (0..devices).step_by(1_000);
        starts.map(|n| bench.reset_v3(n, devices.min(n + 1_000))).collect::<Vec<_>>()
    });
    bench.during("API 3.0: until all have succeeded", || {
        tasks.iter().for_each(|task| bench.wait(*task));
    });
}

const HEAD: &str =
    "what | seconds | peak above idle, MiB | small reads | median ms | 99 % ms | slowest ms";

struct Bench {
    lab: Lab,
    /// KiB.
    idle: u64,
}

impl Bench {
    fn settled(mut self) -> Self {
        self.idle = self.status("VmRSS:");
        self
    }

    /// Does something while another thread asks for one device again and again.
    fn during<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let pid = self.lab.pid().as_raw_pid();
        // Resets the peak: proc_pid_clear_refs(5).
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("our own process");
        let over = AtomicBool::new(false);
        let (took, mut reads, result) = thread::scope(|scope| {
            let reads = scope.spawn(|| self.small_reads(&over));
            let begun = Instant::now();
            let result = work();
            let took = begun.elapsed();
            over.store(true, Ordering::Relaxed);
            (took, reads.join().expect("every read is answered"), result)
        });
        reads.sort_unstable();
        let at = |share: usize| reads[(reads.len() - 1) * share / 100].as_secs_f64() * 1e3;
        println!(
            "{what} | {:.2} | {} | {} | {:.1} | {:.1} | {:.1}",
            took.as_secs_f64(),
            self.status("VmHWM:").saturating_sub(self.idle) >> 10,
            reads.len(),
            at(50),
            at(99),
            at(100)
        );
        result
    }

    fn small_reads(&self, over: &AtomicBool) -> Vec<Duration> {
        let mut reads = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let one = [("instanceIds.0".to_owned(), self.lab.ready.simulated[0].clone())];
            assert_eq!(self.v2("DescribeDevice", &one)["data"]["totalNum"], 1);
            reads.push(begun.elapsed());
            thread::park_timeout(PAUSE);
        }
        reads
    }

    /// KiB, from proc_pid_status(5).
    fn status(&self, line: &str) -> u64 {
        let path = format!("/proc/{}/status", self.lab.pid().as_raw_pid());
        let text = fs::read_to_string(path).expect("our own process");
        let value = text.lines().find_map(|l| l.strip_prefix(line)).expect("documented");
        value.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn reset_v2(&self, from: usize, to: usize) -> u64 {
        let ids = self.lab.ready.simulated[from..to].iter().enumerate();
        let mut fields: Vec<_> =
            ids.map(|(n, id)| (format!("instanceIds.{n}"), id.clone())).collect();
        fields.push(("passwd".to_owned(), "abce1234".to_owned()));
        let answer = self.v2("ResetDevicePasswd", &fields);
        answer["data"]["taskId"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    fn reset_v3(&self, from: usize, to: usize) -> u64 {
        let ids = &self.lab.ready.simulated[from..to];
        let answer =
            self.v3("ResetDevicePassword", &json!({"InstanceIds": ids, "Password": "abce1234"}));
        answer["TaskId"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    fn status_v2(&self, task: u64) {
        let answer =
            self.v2("DescriptionOperationResult", &[("taskId".to_owned(), task.to_string())]);
        assert_eq!(answer["data"]["status"], 1);
    }

    fn status_v3(&self, task: u64) -> u64 {
        let answer = self.v3("DescribeOperationResult", &json!({"TaskId": task}));
        answer["TaskStatus"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    fn wait(&self, task: u64) {
        eventually("the task's end", PATIENCE, || match self.status_v3(task) {
            1 => Some(()),
            status if status & 2 == 0 => {
                thread::park_timeout(Duration::from_secs(1));
                None
            }
            status => panic!("some failed: {status}"),
        });
    }

    fn v2(&self, action: &str, more: &[(String, String)]) -> Value {
        let nonce = since_epoch().subsec_nanos().to_string();
        let common = [
            ("Action", action),
            ("Nonce", &nonce),
            ("SecretId", &self.lab.ready.secret_id),
            ("Timestamp", &since_epoch().as_secs().to_string()),
        ];
        let host = self.host().to_owned();
        let fields = common.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = Form {
            method: "POST".to_owned(),
            path: "/v2/index.php".to_owned(),
            signed_host: host.clone(),
            host,
            signed_method: "POST".to_owned(),
            fields: fields.into_iter().chain(more.iter().cloned()).collect(),
            secret_key: self.lab.ready.secret_key.clone(),
            unsigned: Vec::new(),
            signature: None,
            encode: escaped,
        };
        self.ask(&form.message().bytes())
    }

    fn v3(&self, action: &str, body: &Value) -> Value {
        let key = (self.lab.ready.secret_id.as_str(), self.lab.ready.secret_key.as_str());
        let mut ask = Tc3::new("POST", self.host(), key, action, since_epoch().as_secs());
        ask.payload = body.to_string();
        self.ask(&ask.message().bytes())["Response"].take()
    }

    fn host(&self) -> &str {
        self.lab.ready.http.strip_prefix("http://").expect("plain HTTP")
    }

    fn ask(&self, request: &[u8]) -> Value {
        let reply = exchange_within(self.host(), request, PATIENCE).expect("an answer");
        serde_json::from_str(&reply.body).expect("JSON")
    }
}

#[expect(clippy::disallowed_methods, reason = "a client signs the real time")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}
