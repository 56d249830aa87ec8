//! The server that is asked, and what it has for the cases to use.

mod named;
mod own_lab;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opencpm_domain::Condition;
use opencpm_tests::wire::{Message, Reply, exchange};
use opencpm_tests::{Lab, Service, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::ask::Sender;
use crate::ask::{Ask, Dialect, Way, result};
use crate::case::{Expected, Failure, judged};

/// From acceptance to the end of a task: a lab's deadline and the sweep.
const TASK_TIME: Duration = Duration::from_secs(40);

pub(crate) struct Target {
    /// `host:port`.
    pub(crate) authority: String,
    keys: BTreeMap<String, Key>,
    /// What stands for `<name>` in a request.
    names: BTreeMap<String, String>,
    alive: RefCell<VecDeque<Alive>>,
    /// A lab of our own may be halted and started again.
    pub(crate) lab: Option<RefCell<Lab>>,
    /// Another server of our own, which counts requests.
    counting: Option<Service>,
    nonce: Cell<u64>,
    /// Which refusals were seen, each in the dialect.
    pub(crate) raised: RefCell<BTreeSet<(Condition, Dialect)>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    secret_id: String,
    secret_key: String,
    token: Option<String>,
    /// Where it is known, if not at the target.
    authority: Option<String>,
}

/// A device with an agent.
#[derive(Clone)]
struct Alive {
    id: String,
    /// Its last task, which may be under way.
    task: Option<u64>,
}

impl Target {
    /// The server that the environment names; a lab of our own without one.
    pub(crate) fn find() -> Self {
        named::find().unwrap_or_else(own_lab::start)
    }

    fn new(authority: &str, keys: BTreeMap<String, Key>, names: BTreeMap<String, String>) -> Self {
        Self {
            authority: authority.to_owned(),
            keys,
            names,
            alive: RefCell::default(),
            lab: None,
            counting: None,
            nonce: Cell::new(now().subsec_nanos().into()),
            raised: RefCell::default(),
        }
    }

    fn add_alive(&mut self, id: &str) {
        self.alive.get_mut().push_back(Alive { id: id.to_owned(), task: None });
    }

    /// Signs a request and sends it.
    pub(crate) fn answer(&self, ask: &Ask, way: Way) -> Result<Reply, Failure> {
        self.sent(ask.key, &self.message(ask, way)?)
    }

    /// Sends bytes to where a key is known.
    pub(crate) fn sent(&self, key: &str, message: &Message) -> Result<Reply, Failure> {
        let elsewhere = self.keys.get(key).and_then(|key| key.authority.as_ref());
        Ok(exchange(elsewhere.unwrap_or(&self.authority), &message.bytes())?)
    }

    /// The same; the answer must be the expected one.
    pub(crate) fn expect(
        &self,
        ask: &Ask,
        way: Way,
        expected: &Expected,
    ) -> Result<Value, Failure> {
        self.judged(&self.answer(ask, way)?, way.dialect(), expected)
    }

    pub(crate) fn done(&self, ask: &Ask, way: Way) -> Result<Value, Failure> {
        self.expect(ask, way, &Expected::Done(Vec::new()))
    }

    pub(crate) fn refused(&self, ask: &Ask, way: Way, condition: Condition) -> Result<(), Failure> {
        self.expect(ask, way, &Expected::Refused(condition)).map(|_| ())
    }

    /// Sends bytes as they are; the answer must be the expected one.
    pub(crate) fn expect_of(
        &self,
        message: &Message,
        dialect: Dialect,
        expected: &Expected,
    ) -> Result<Value, Failure> {
        self.judged(&exchange(&self.authority, &message.bytes())?, dialect, expected)
    }

    pub(crate) fn judged(
        &self,
        reply: &Reply,
        dialect: Dialect,
        expected: &Expected,
    ) -> Result<Value, Failure> {
        let value = judged(reply, dialect, &self.filled_in(expected)?)?;
        match expected {
            Expected::Refused(condition) => {
                self.raised.borrow_mut().insert((*condition, dialect));
            }
            Expected::Status(405) => {
                self.raised.borrow_mut().insert((Condition::UnsupportedProtocol, dialect));
            }
            _ => {
                let task = value.get("taskId").or_else(|| value.get("TaskId"));
                if let Some(task) = task.and_then(Value::as_u64) {
                    self.alive.borrow_mut().iter_mut().rev().take(2).for_each(|device| {
                        device.task = Some(task);
                    });
                }
            }
        }
        Ok(value)
    }

    /// Signs a request, with the target's own names in it and devices that are not busy.
    pub(crate) fn message(&self, ask: &Ask, way: Way) -> Result<Message, Failure> {
        let mut ask = ask.clone();
        let mut chosen = false;
        for text in ask.texts() {
            if text.contains("<alive") && !std::mem::replace(&mut chosen, true) {
                self.choose()?;
            }
            *text = self.filled(text)?;
        }
        let key = self.keys.get(ask.key);
        let key = key.ok_or_else(|| Failure::Lacking(format!("the key {}", ask.key)))?;
        let sender = Sender {
            authority: key.authority.as_ref().unwrap_or(&self.authority).clone(),
            secret_id: key.secret_id.clone(),
            secret_key: key.secret_key.clone(),
            token: key.token.clone(),
            now: now().as_secs(),
            nonce: self.nonce(),
        };
        Ok(ask.message(way, &sender))
    }

    /// One that was not used before.
    pub(crate) fn nonce(&self) -> String {
        self.nonce.set(self.nonce.get() + 1);
        self.nonce.get().to_string()
    }

    /// Puts what the target has in place of `<name>`.
    pub(crate) fn filled(&self, text: &str) -> Result<String, Failure> {
        let mut filled = text.to_owned();
        for (name, value) in &self.names {
            filled = filled.replace(&format!("<{name}>"), value);
        }
        for (device, name) in self.alive.borrow().iter().rev().zip(["<alive>", "<alive2>"]) {
            filled = filled.replace(name, &device.id);
        }
        let is_name = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let rest = filled.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
        match rest.map(|(name, _)| name).find(is_name) {
            Some(name) => Err(Failure::Lacking(name.to_owned())),
            None => Ok(filled),
        }
    }

    fn filled_in(&self, expected: &Expected) -> Result<Expected, Failure> {
        let Expected::Done(fields) = expected else { return Ok(expected.clone()) };
        let fields = fields.iter().map(|(place, value)| match value {
            Value::String(text) => self.filled(text).map(|text| (*place, text.into())),
            value => Ok((*place, value.clone())),
        });
        fields.collect::<Result<_, _>>().map(Expected::Done)
    }

    /// Makes two devices the ones that are meant by `<alive>` and `<alive2>`: those that were used
    /// longest ago, and their tasks have ended.
    fn choose(&self) -> Result<(), Failure> {
        for _ in 0..2 {
            let first = self.alive.borrow_mut().pop_front();
            let device = first.ok_or_else(|| Failure::Lacking("alive".to_owned()))?;
            if let Some(task) = device.task {
                self.wait_for(task)?;
            }
            self.alive.borrow_mut().push_back(Alive { task: None, ..device });
        }
        Ok(())
    }

    /// Waits until no device of a task is incomplete; tells its status.
    pub(crate) fn wait_for(&self, task: u64) -> Result<u64, Failure> {
        let ask = result().with("taskId", &task.to_string());
        eventually("the end of a task", TASK_TIME, || match self.done(&ask, Way::V2Post) {
            Ok(data) => data["status"].as_u64().filter(|status| status & 4 == 0).map(Ok),
            Err(failure) => Some(Err(failure)),
        })
    }

    /// Makes the agent of the device `<one>` stand still until what is returned is dropped.
    pub(crate) fn halt_one(&self) -> Result<Halted, Failure> {
        let lab = self.lab.as_ref().ok_or_else(|| Failure::Lacking("an agent to halt".into()))?;
        let (lab, one) = (lab.borrow(), self.filled("<one>")?);
        let device = lab.ready.devices.iter().find(|device| device.instance_id == one);
        let agent = lab.agent_of(device.expect("a device of the lab"));
        kill_process(agent, Signal::STOP).expect("the agent runs");
        Ok(Halted(agent))
    }

    /// Kills the server and starts it again.
    pub(crate) fn restart(&self) -> Result<(), Failure> {
        let lab =
            self.lab.as_ref().ok_or_else(|| Failure::Lacking("a server to restart".into()))?;
        lab.borrow_mut().start_again();
        Ok(())
    }
}

/// An agent that stands still.
pub(crate) struct Halted(Pid);

impl Drop for Halted {
    fn drop(&mut self) {
        // It may have ended with its lab.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[expect(clippy::disallowed_methods, reason = "a client signs the real time")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}
