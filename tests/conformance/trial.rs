//! One client, one way of sending, one lab: what cases work with.

use std::time::Duration;

use opencpm_tests::{Device, Lab, eventually, root_hash, verifies};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Client, Way};
use crate::dialect::{Ability, Dialect, INCOMPLETE, SUCCEEDED, text};
use crate::session::{Refusal, Session};

/// For a task to end: longer than a lab's jobs may take.
const LIMIT: Duration = Duration::from_secs(40);

/// What a case works with.
pub(crate) struct Trial<'a> {
    pub(crate) lab: &'a Lab,
    client: &'a Client,
    way: &'a Way,
    session: &'a mut Session,
    passwords: &'a mut u32,
}

/// The key that an order is signed with.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    /// Of a temporary key.
    pub(crate) token: Option<&'a str>,
}

/// A key that was made for a case.
pub(crate) struct MadeKey(Value);

/// Maintenance until this goes.
pub(crate) struct Maintenance<'a>(&'a Lab);

/// A refusal as the contract has it, in both dialects (section 7).
pub(crate) struct Expected {
    /// `code` and `codeDesc`.
    pub(crate) v2: (u64, &'static str),
    /// `Code`.
    pub(crate) v3: &'static str,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        lab: &'a Lab,
        (client, way): (&'a Client, &'a Way),
        (session, passwords): (&'a mut Session, &'a mut u32),
    ) -> Self {
        Self { lab, client, way, session, passwords }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.client.dialect
    }

    /// Whether this way is POST.
    pub(crate) fn posts(&self) -> bool {
        self.way.method == "POST"
    }

    /// A password that no machine has yet.
    pub(crate) fn new_password(&mut self) -> String {
        *self.passwords += 1;
        format!("Cl1ent!{:04}", *self.passwords)
    }

    /// The devices with an agent.
    pub(crate) fn alive(&self) -> Vec<&'a Device> {
        self.lab.ready.devices.iter().filter(|device| device.alive).collect()
    }

    /// The one without.
    pub(crate) fn offline(&self) -> &'a Device {
        let mut devices = self.lab.ready.devices.iter();
        devices.find(|device| !device.alive).expect("a lab with an offline device")
    }

    /// The lab's own key.
    pub(crate) fn key(&self) -> Key<'a> {
        let ready = &self.lab.ready;
        Key { id: &ready.secret_id, secret: &ready.secret_key, token: None }
    }

    /// Does what only an administrator may, past the client.
    #[track_caller]
    pub(crate) fn administrates(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.lab.client().call(action, parameters);
        assert_eq!(answer["code"], 0, "{action}: {answer}");
        answer["data"].clone()
    }

    /// A key made by this action.
    pub(crate) fn makes_key(&self, action: &str, parameters: &[(&str, &str)]) -> MadeKey {
        MadeKey(self.administrates(action, parameters))
    }

    /// A key of the lab's account that ends with the lab.
    pub(crate) fn makes_account_key(&self, limits: &[(&str, &str)]) -> MadeKey {
        let id = ("instanceIds.0", self.alive()[0].instance_id.as_str());
        let device = self.administrates("DescribeDevice", &[id])["deviceList"][0].clone();
        let account = text(&device["appId"]);
        let of = [("appId", account.as_str()), ("uin", "100000000001")];
        self.makes_key("CreateApiKey", &[&of, limits].concat())
    }

    /// Has the client do an operation, and expects that it succeeds.
    #[track_caller]
    pub(crate) fn does(&mut self, operation: Ability, with: &Value) -> Value {
        let key = self.key();
        self.does_with(key, operation, with, json!({}))
    }

    /// The same with another key, or with special settings of the client.
    #[track_caller]
    pub(crate) fn does_with(
        &mut self,
        key: Key<'_>,
        operation: Ability,
        with: &Value,
        settings: Value,
    ) -> Value {
        match self.order(key, operation, with, settings) {
            Ok(answer) => answer,
            Err(refusal) => panic!("{operation:?} was refused: {refusal:?}"),
        }
    }

    /// Has the client do an operation, and expects this refusal. Returns its message.
    #[track_caller]
    pub(crate) fn is_refused(
        &mut self,
        key: Key<'_>,
        (operation, with): (Ability, &Value),
        expected: &Expected,
    ) -> String {
        match self.order(key, operation, with, json!({})) {
            Err(refusal) => expected.check(self.dialect(), refusal),
            Ok(answer) => panic!("{operation:?} was not refused: {answer}"),
        }
    }

    fn order(
        &mut self,
        key: Key<'_>,
        operation: Ability,
        with: &Value,
        settings: Value,
    ) -> Result<Value, Refusal> {
        let action = self.dialect().action(operation).expect("an action of the dialect");
        let mut way = self.way.as_json(self.lab);
        let all = way.as_object_mut().expect("an object");
        all.extend(settings.as_object().expect("an object").clone());
        let key = json!({"id": key.id, "secret": key.secret, "token": key.token});
        let order = json!({"call": action, "with": with, "way": way, "key": key});
        self.session.order(&order)
    }

    /// Resets and returns the task.
    #[track_caller]
    pub(crate) fn reset(&mut self, devices: &[&Device], password: &str) -> u64 {
        let with = self.dialect().reset(&ids(devices), password);
        let answer = self.does(Ability::Reset, &with);
        self.dialect().task_id(&answer)
    }

    /// Asks for the task until it has ended, and checks that it succeeded on each of the devices:
    /// by the API's word, and on the machine by the system's own crypt(3).
    #[track_caller]
    pub(crate) fn succeeds(&mut self, task: u64, devices: &[&Device], password: &str) {
        let result = eventually("the task's end", LIMIT, || {
            let (status, results) = self.task(task);
            (status & INCOMPLETE == 0).then_some((status, results))
        });
        let each = ids(devices).iter().map(|&id| (id.to_owned(), SUCCEEDED)).collect();
        assert_eq!(result, (SUCCEEDED, each), "in the order of the request");
        for device in devices {
            assert!(verifies(&root_hash(&device.root), password), "{}", device.instance_id);
        }
    }

    /// The task's status and its devices'. A client that has no such action leaves this to
    /// another one.
    #[track_caller]
    pub(crate) fn task(&mut self, task: u64) -> (u64, Vec<(String, u64)>) {
        if self.client.can(Ability::Task) {
            let with = self.dialect().task(task);
            let answer = self.does(Ability::Task, &with);
            self.dialect().task_status(&answer)
        } else {
            Dialect::V2.task_status(&self.lab.client().task(task))
        }
    }
}

impl MadeKey {
    pub(crate) fn key(&self) -> Key<'_> {
        let field = |name| self.0[name].as_str();
        let id = field("secretId").expect("a secret id");
        let secret = field("secretKey").expect("a secret key");
        Key { id, secret, token: field("token") }
    }
}

impl<'a> Maintenance<'a> {
    pub(crate) fn begin(lab: &'a Lab, message: &str) -> Self {
        let on = [("enabled", "1"), ("message", message)];
        let answer = lab.client().call("ModifyMaintenance", &on);
        assert_eq!(answer["code"], 0, "{answer}");
        Self(lab)
    }
}

impl Drop for Maintenance<'_> {
    fn drop(&mut self) {
        self.0.client().call("ModifyMaintenance", &[("enabled", "0")]);
    }
}

impl Expected {
    #[track_caller]
    fn check(&self, dialect: Dialect, refusal: Refusal) -> String {
        let Refusal { code, name, message, request_id } = refusal;
        match dialect {
            Dialect::V2 => {
                let (number, text) = self.v2;
                assert_eq!((code, name.as_deref()), (number.into(), Some(text)), "{message}");
                assert!(message.starts_with(&format!("({number})")), "{message}");
            }
            Dialect::V3 => {
                assert_eq!(code, self.v3, "{message}");
                let id = request_id.expect("a request id in every error");
                assert_eq!(id.len(), 36, "a UUID: {id}");
            }
        }
        message
    }
}

/// An agent that stands still until this goes.
pub(crate) struct StandsStill(Pid);

impl StandsStill {
    pub(crate) fn agent_of(lab: &Lab, device: &Device) -> Self {
        let agent = lab.agent_of(device);
        kill_process(agent, Signal::STOP).expect("the agent runs");
        Self(agent)
    }
}

impl Drop for StandsStill {
    fn drop(&mut self) {
        // Not there any more when the lab ended first.
        kill_process(self.0, Signal::CONT).ok();
    }
}

pub(crate) fn ids<'a>(devices: &[&'a Device]) -> Vec<&'a str> {
    devices.iter().map(|device| device.instance_id.as_str()).collect()
}

/// `host:port` of an address.
pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://").expect("an address with a scheme").1
}
