//! A client that speaks API 2.0 over plain HTTP, written for the tests alone, so that a mistake in
//! the product's own signing cannot hide.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::eventually;
use crate::wire::{Form, escaped};

/// One key of one account at one server.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    secret_id: String,
    secret_key: String,
}

const PATH: &str = "/v2/index.php";

static NONCE: AtomicU64 = AtomicU64::new(1);

impl Client {
    /// A client for `http://host:port`.
    pub fn new(http: &str, secret_id: &str, secret_key: &str) -> Self {
        let authority = http.strip_prefix("http://").expect("a plain HTTP address").to_owned();
        Self { authority, secret_id: secret_id.to_owned(), secret_key: secret_key.to_owned() }
    }

    /// Calls an action and returns the whole answer. Fails when the server cannot be reached.
    pub fn try_call(&self, action: &str, parameters: &[(&str, &str)]) -> std::io::Result<Value> {
        let body = self.signed_form("POST", action, parameters, &fresh_nonce());
        self.post(&body)
    }

    /// Calls an action and returns the whole answer.
    pub fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        self.try_call(action, parameters).expect("an answer")
    }

    /// Starts a reset and returns the task id, or the whole answer of a refusal.
    pub fn reset(&self, instances: &[&str], password: &str) -> Result<u64, Value> {
        self.try_reset(instances, password).expect("an answer")
    }

    /// The same, while the server may be away: without an answer nobody knows whether the reset
    /// was accepted.
    pub fn try_reset(
        &self,
        instances: &[&str],
        password: &str,
    ) -> std::io::Result<Result<u64, Value>> {
        let names: Vec<String> = (0..instances.len()).map(|i| format!("instanceIds.{i}")).collect();
        let mut parameters: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(instances.iter().copied()).collect();
        parameters.push(("passwd", password));
        let answer = self.try_call("ResetDevicePasswd", &parameters)?;
        Ok(answer["data"]["taskId"].as_u64().ok_or(answer))
    }

    /// The `data` of a task's status.
    pub fn task(&self, task: u64) -> Value {
        let id = task.to_string();
        let answer = self.call("DescriptionOperationResult", &[("taskId", &id)]);
        assert_eq!(answer["code"], 0, "{answer}");
        answer["data"].clone()
    }

    /// Waits until no device of the task is incomplete.
    pub fn wait(&self, task: u64, limit: Duration) -> Value {
        let start = Instant::now();
        eventually("the task's end", limit, || {
            let data = self.task(task);
            let status = data["status"].as_u64().expect("a status");
            assert!(start.elapsed() < limit, "still {data}");
            (status & 4 == 0).then_some(data)
        })
    }

    /// The body of a signed request, for those who want to send it twice or change it.
    pub fn signed_form(
        &self,
        method: &str,
        action: &str,
        parameters: &[(&str, &str)],
        nonce: &str,
    ) -> String {
        let timestamp = unix_time().to_string();
        let common = [
            ("Action", action),
            ("Nonce", nonce),
            ("SecretId", &self.secret_id),
            ("Timestamp", &timestamp),
        ];
        let all = common.into_iter().chain(parameters.iter().copied());
        let form = Form {
            method: method.to_owned(),
            path: PATH.to_owned(),
            host: self.authority.clone(),
            signed_host: self.authority.clone(),
            signed_method: method.to_owned(),
            fields: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            secret_key: self.secret_key.clone(),
            unsigned: Vec::new(),
            signature: None,
            encode: escaped,
        };
        form.encoded()
    }

    /// Sends a body as it is.
    pub fn post(&self, body: &str) -> std::io::Result<Value> {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send(&format!("POST {PATH}"), &format!("{form}Content-Length: {}", body.len()), body)
    }

    /// Sends a query as it is.
    pub fn get(&self, query: &str) -> std::io::Result<Value> {
        self.send(&format!("GET {PATH}?{query}"), "Accept: */*", "")
    }

    fn send(&self, what: &str, header: &str, body: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{header}\r\n\r\n{body}",
            self.authority
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let start = answer.windows(4).position(|w| w == b"\r\n\r\n");
        let body = &answer[start.ok_or(std::io::ErrorKind::UnexpectedEof)? + 4..];
        serde_json::from_slice(body).map_err(std::io::Error::from)
    }
}

/// A nonce that no other call of this process used; the time keeps processes apart.
pub fn fresh_nonce() -> String {
    let count = NONCE.fetch_add(1, Ordering::Relaxed);
    (u64::from(since_epoch().subsec_nanos()) << 20 | count).to_string()
}

/// Seconds since 1970, as clients sign them.
pub fn unix_time() -> u64 {
    since_epoch().as_secs()
}

#[expect(clippy::disallowed_methods, reason = "a client signs the real time")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}
