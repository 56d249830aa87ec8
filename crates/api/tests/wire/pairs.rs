//! The order of evaluation (contract 7.1), every pair of steps: a request with two faults is
//! answered as one with the earlier fault alone.
//!
//! Steps 10 to 13 are taken behind the edge: their order among each other is shown with the
//! operations. Here each of them is behind each of the nine before it.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::Ordering;

use opencpm_domain::Condition::{self, *};

use crate::ask::{Ask, Reply};
use crate::ask3::Ask3;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    V2Get,
    V2Post,
    V1Get,
    V1Post,
    Tc3Get,
    Tc3Post,
}
use Way::*;

const ALL: &[Way] = &[V2Get, V2Post, V1Get, V1Post, Tc3Get, Tc3Post];
const V2: &[Way] = &[V2Get, V2Post];
const V3: &[Way] = &[V1Get, V1Post, Tc3Get, Tc3Post];
const FORMS: &[Way] = &[V2Get, V2Post, V1Get, V1Post];
const ENCODED: &[Way] = &[V2Get, V2Post, V1Get, V1Post, Tc3Get];
const TC3: &[Way] = &[Tc3Get, Tc3Post];

/// What a fault is made of: two of one kind cannot be in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Which key asks.
    Key,
    Version,
    Nonce,
    Action,
    /// The one device that is asked for.
    Device,
    /// The body's text.
    Json,
    /// The same signed request came before.
    Again,
    Other,
}

/// A way to be wrong at one step.
struct Fault {
    step: u8,
    ways: &'static [Way],
    /// `None` for the first answer again.
    condition: Option<Condition>,
    part: Part,
    make: fn(&mut Draft),
}

/// A reset that is right in every point, as each way sends it, and the state of the service.
struct Draft {
    v2: Ask,
    v1: Ask,
    tc3_get: Ask3,
    tc3_post: Ask3,
    /// Changes what was signed.
    sent: Vec<fn(String) -> String>,
    used_up: bool,
    maintenance: bool,
    again: bool,
}

impl Draft {
    fn new() -> Self {
        Self {
            v2: Ask::reset("abce1234"),
            v1: Ask::new("ResetDevicePassword")
                .with("Version", "2018-04-23")
                .with("InstanceIds.0", "cpm-1")
                .with("Password", "abce1234"),
            tc3_get: Ask3::get("ResetDevicePassword", "InstanceIds.0=cpm-1&Password=abce1234"),
            tc3_post: Ask3::reset("abce1234"),
            sent: Vec::new(),
            used_up: false,
            maintenance: false,
            again: false,
        }
    }

    fn with(first: &Fault, second: Option<&Fault>) -> Self {
        let mut draft = Self::new();
        second.into_iter().chain([first]).for_each(|fault| (fault.make)(&mut draft));
        draft
    }

    /// A common parameter, in forms and in headers.
    fn common(&mut self, name: &str, value: &str) {
        for ask in [&mut self.v2, &mut self.v1] {
            *ask = ask.clone().with(name, value);
        }
        for ask in [&mut self.tc3_get, &mut self.tc3_post] {
            *ask = ask.clone().with(&format!("X-TC-{name}"), value);
        }
    }

    fn key(&mut self, secret_id: &str) {
        self.v2 = self.v2.clone().with("SecretId", secret_id);
        self.v1 = self.v1.clone().with("SecretId", secret_id);
        secret_id.clone_into(&mut self.tc3_get.secret_id);
        secret_id.clone_into(&mut self.tc3_post.secret_id);
    }

    /// The device or the password, which stand in the parameters as they are.
    fn parameter(&mut self, from: &str, to: &str) {
        let (v2, v1) = match from {
            "cpm-1" => ("instanceIds.0", "InstanceIds.0"),
            _ => ("passwd", "Password"),
        };
        self.v2 = self.v2.clone().with(v2, to);
        self.v1 = self.v1.clone().with(v1, to);
        for ask in [&mut self.tc3_get, &mut self.tc3_post] {
            ask.payload = ask.payload.replace(from, to);
        }
    }

    fn device(&mut self, condition: Condition) {
        self.parameter("cpm-1", &format!("cpm-refused-{condition:?}"));
    }

    fn raw(&self, way: Way) -> String {
        let signed = match way {
            V2Get => self.v2.get(),
            V2Post => self.v2.post(),
            V1Get => self.v1.v1_get(),
            V1Post => self.v1.v1_post(),
            Tc3Get => self.tc3_get.raw(),
            Tc3Post => self.tc3_post.raw(),
        };
        self.sent.iter().fold(signed, |raw, change| change(raw))
    }

    async fn answer(&self, world: &World, way: Way) -> Reply {
        world.service.fingerprints.lock().unwrap().clear();
        world.service.maintenance.store(self.maintenance, Ordering::Relaxed);
        let raw = self.raw(way);
        if self.again && !V2.contains(&way) {
            self.send(world, &raw).await;
        }
        self.send(world, &raw).await
    }

    async fn send(&self, world: &World, raw: &str) -> Reply {
        world.service.used_up.store(self.used_up, Ordering::Relaxed);
        let reply = world.send(raw).await;
        world.service.used_up.store(false, Ordering::Relaxed);
        reply
    }
}

/// At least one for each step and way.
fn faults() -> Vec<Fault> {
    let fault = |step, ways, part, condition, make| Fault {
        step,
        ways,
        part,
        condition: Some(condition),
        make,
    };
    use Part::*;
    vec![
        fault(1, ALL, Other, UnsupportedProtocol, |d| d.sent.push(with_method)),
        fault(1, ALL, Other, TooLarge, |d| d.sent.push(too_large)),
        fault(1, ENCODED, Other, Malformed, |d| d.sent.push(|raw| with_field(raw, "&%=1"))),
        fault(1, ENCODED, Other, Malformed, |d| d.sent.push(|raw| with_field(raw, "&Zz=1&Zz=1"))),
        fault(2, FORMS, Nonce, Malformed, |d| d.common("Nonce", "many")),
        fault(2, TC3, Version, CommonParameterMissing, |d| d.common("Version", "")),
        fault(2, &[Tc3Post], Other, Malformed, |d| {
            d.tc3_post = d.tc3_post.clone().with("Content-Type", "text/plain");
        }),
        fault(3, ALL, Key, SecretIdUnknown, |d| d.key("AKIDUNKNOWN")),
        fault(3, ALL, Key, AccountBlocked, |d| d.key("AKIDBLOCKED")),
        fault(4, ALL, Other, ClockSkew, |d| d.common("Timestamp", "1699999699")),
        fault(4, ALL, Other, ClockSkew, |d| d.common("Timestamp", "1700000301")),
        fault(5, ALL, Other, SignatureWrong, wrong_signature),
        fault(6, ALL, Other, TokenWrong, |d| d.common("Token", "tmp-token-1")),
        fault(6, V2, Nonce, Replayed, |d| d.common("Nonce", "77")),
        Fault { step: 6, ways: V3, part: Again, condition: None, make: |d| d.again = true },
        fault(7, ALL, Other, QuotaExceeded, |d| d.used_up = true),
        fault(8, ALL, Action, UnknownAction, |d| d.common("Action", "NoSuchAction")),
        fault(8, V3, Version, WrongVersion, |d| d.common("Version", "2017-03-12")),
        fault(8, ALL, Key, ActionNotAllowed, |d| d.key("AKIDREADER")),
        fault(8, ALL, Other, Maintenance, |d| d.maintenance = true),
        fault(9, ALL, Other, ParameterOutOfBounds, |d| d.parameter("abce1234", "short")),
        fault(9, ALL, Other, ParameterUnknown, unknown_parameter),
        fault(9, &[Tc3Post], Json, Malformed, |d| d.tc3_post.payload = "{".to_owned()),
        fault(10, ALL, Device, NotFound, |d| d.device(NotFound)),
        fault(10, ALL, Device, DeviceNotAllowed, |d| d.device(DeviceNotAllowed)),
        fault(11, ALL, Device, DeviceStateWrong, |d| d.device(DeviceStateWrong)),
        fault(11, ALL, Device, DeviceBusy, |d| d.device(DeviceBusy)),
        fault(12, ALL, Device, GatewayLost, |d| d.device(GatewayLost)),
        fault(12, ALL, Device, AgentNotAlive, |d| d.device(AgentNotAlive)),
        fault(13, ALL, Device, StoreUnavailable, |d| d.device(StoreUnavailable)),
        fault(13, ALL, Device, BrokerUnavailable, |d| d.device(BrokerUnavailable)),
    ]
}

fn with_method(raw: String) -> String {
    let (_, rest) = raw.split_once(' ').unwrap();
    format!("PUT {rest}")
}

/// A request line over its bound, or a body that is announced so.
fn too_large(raw: String) -> String {
    match raw.starts_with("POST") {
        true => raw.replacen("Content-Length: ", "Content-Length: 99999999", 1),
        false => with_field(raw, &"&".repeat(70_000)),
    }
}

fn with_field(raw: String, field: &str) -> String {
    if raw.starts_with("GET") {
        return raw.replacen(" HTTP/1.1", &format!("{field} HTTP/1.1"), 1);
    }
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let (was, is) = (body.len(), body.len() + field.len());
    let head = head.replace(&format!("Content-Length: {was}"), &format!("Content-Length: {is}"));
    format!("{head}\r\n\r\n{body}{field}")
}

fn wrong_signature(draft: &mut Draft) {
    draft.v2 = draft.v2.clone().signed_for("another.example.com");
    draft.v1 = draft.v1.clone().signed_for("another.example.com");
    for ask in [&mut draft.tc3_get, &mut draft.tc3_post] {
        "another.example.com".clone_into(&mut ask.signed_host);
    }
}

fn unknown_parameter(draft: &mut Draft) {
    draft.v2 = draft.v2.clone().with("force", "1");
    draft.v1 = draft.v1.clone().with("Force", "1");
    draft.tc3_get.payload.push_str("&Force=1");
    draft.tc3_post.payload = draft.tc3_post.payload.replacen('{', r#"{"Force":1,"#, 1);
}

/// Why two faults cannot be in one request; `None` when they can.
fn cannot_meet(first: &Fault, second: &Fault) -> Option<&'static str> {
    use Part::*;
    match (first.part, second.part) {
        (Other, Other) => None,
        (a, b) if a == b => Some("both are what one part of the request is"),
        (_, Again) => Some("what was accepted before was right up to there"),
        (_, Action) if first.step == 6 => {
            (first.condition != Some(TokenWrong)).then_some("only a change is done once")
        }
        (Action, _) => Some("an unknown action has neither parameters nor devices"),
        (Json, Device) => Some("a body that cannot be decoded names no device"),
        _ => None,
    }
}

#[tokio::test]
async fn of_two_faults_at_any_two_steps_the_earlier_answers() {
    let world = World::new().await;
    let faults = faults();
    let (mut pairs, mut met, mut cannot) = (0, 0, BTreeSet::new());
    for way in ALL {
        let here = || faults.iter().filter(|fault| fault.ways.contains(way));
        let mut steps = BTreeSet::new();
        for first in here() {
            let alone = Draft::with(first, None).answer(&world, *way).await;
            assert_answers(&alone, *way, first);
            for second in here().filter(|second| second.step > first.step) {
                if let Some(why) = cannot_meet(first, second) {
                    cannot.insert((first.condition, second.condition, why));
                    continue;
                }
                let both = Draft::with(first, Some(second)).answer(&world, *way).await;
                let steps_of = (first.step, second.step);
                assert_eq!(said(&both), said(&alone), "{way:?} {steps_of:?} {second:?}");
                steps.insert(steps_of);
                pairs += 1;
            }
        }
        let all = (1..=9).flat_map(|first| (first + 1..=13).map(move |second| (first, second)));
        assert_eq!(steps, all.collect(), "{way:?}");
        met += steps.len();
    }
    let told = format!("{met} pairs of steps in {} ways, {pairs} pairs of faults", ALL.len());
    writeln!(std::io::stdout(), "{told}; {} cannot meet", cannot.len()).unwrap();
}

fn assert_answers(reply: &Reply, way: Way, fault: &Fault) {
    match (fault.condition, V2.contains(&way)) {
        (None, _) => assert_eq!(reply.done_v3()["TaskId"], 101),
        (Some(UnsupportedProtocol), _) => assert_eq!(reply.status, 405, "{reply:?}"),
        (Some(condition), true) => reply.assert_refused(condition.row().code.unwrap().into()),
        (Some(condition), false) => reply.assert_refused_v3(condition.row().code_v3.unwrap()),
    }
}

/// Everything but the name of the request.
fn said(reply: &Reply) -> (u16, serde_json::Value) {
    let mut json = reply.json();
    if let Some(response) = json.get_mut("Response").and_then(|response| response.as_object_mut()) {
        response.remove("RequestId");
    }
    (reply.status, json)
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at step {}", self.condition, self.step)
    }
}
