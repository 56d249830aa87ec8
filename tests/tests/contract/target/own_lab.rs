//! A lab with real agents, and around them accounts, keys and devices in every state.

use std::cell::RefCell;
use std::collections::BTreeMap;

use opencpm_tests::{Client, Lab, Service};
use serde_json::Value;

use super::{Key, Target};

const AGENTS: usize = 8;

/// All of contract section 5 but 4, in operation.
const DEVICE_STATUSES: &[u8] = &[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16];
/// All of contract section 5 but 1, running, and 11, which an open task shows.
const OPERATE_STATUSES: &[u8] = &[2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 19, 20, 21, 23, 24];

struct Making {
    admin: Client,
    app_id: u64,
    keys: BTreeMap<String, Key>,
    names: BTreeMap<String, String>,
}

pub(super) fn start() -> Target {
    let lab = Lab::start_with(AGENTS, |command| {
        command.args(["--offline", "1"]);
    });
    let admin = lab.client();
    let first = admin.call("DescribeDevice", &[]);
    let app_id = first["data"]["deviceList"][0]["appId"].as_str().expect("an account");
    let app_id = app_id.parse().expect("a number");
    let (keys, names) = (BTreeMap::new(), BTreeMap::new());
    let mut making = Making { admin, app_id, keys, names };
    making.name_what_the_lab_has(&lab);
    making.make_keys();
    making.make_devices();
    making.make_a_list();
    making.make_limited_keys();
    let counting = making.start_another_that_counts();
    let authority = lab.ready.http.strip_prefix("http://").expect("plain HTTP").to_owned();
    let mut target = Target::new(&authority, making.keys, making.names);
    lab.alive().iter().skip(2).for_each(|id| target.add_alive(id));
    target.names.insert("one".to_owned(), lab.alive()[1].to_owned());
    // The first has a task that ended, for those who ask about tasks.
    let worked = lab.alive()[0].to_owned();
    let task = lab.client().reset(&[&worked], "abce1234").expect("accepted");
    target.names.insert("worked".to_owned(), worked);
    target.names.insert("task".to_owned(), task.to_string());
    target.counting = Some(counting);
    target.lab = Some(RefCell::new(lab));
    if let Err(failure) = target.wait_for(task) {
        panic!("the first task did not end: {failure}");
    }
    target
}

impl Making {
    fn name_what_the_lab_has(&mut self, lab: &Lab) {
        let other = &lab.ready.other_account;
        self.add_key("admin", &lab.ready.secret_id, &lab.ready.secret_key);
        self.add_key("other", &other.secret_id, &other.secret_key);
        self.name("foreign", &other.instance_id);
        let offline = lab.ready.devices.iter().find(|device| !device.alive);
        self.name("offline", &offline.expect("one without an agent").instance_id);
        let account = self.app_id.to_string();
        self.name("app", &account);
        self.name("administered", &account);
    }

    fn make_keys(&mut self) {
        let main = self.app_id;
        self.make_key("main", main, &[]);
        self.make_key("reader", main, &[("actions.0", "DescribeDevice")]);
        self.make_key("disabled", main, &[]);
        let disabled = self.keys["disabled"].secret_id.clone();
        self.change("ModifyApiKey", &[("keyId", &disabled), ("disabled", "1")]);
        let blocked = self.make_account(10, "blocked");
        self.make_key("blocked", blocked, &[]);
        let blocked = blocked.to_string();
        self.change("ModifyAccount", &[("appId", &blocked), ("blocked", "1")]);
    }

    /// Keys that end, and keys with devices of their own.
    fn make_limited_keys(&mut self) {
        let team = [("tags.0.tagKey", "team"), ("tags.0.tagValues.0", "db")];
        self.make_device("tagged", self.app_id, &team);
        let never = self.names["never"].clone();
        self.make_key("scoped", self.app_id, &[("instanceIds.0", &never)]);
        self.make_key("tagged", self.app_id, &team);
        let account = self.app_id.to_string();
        let order = [("validSeconds", "3600"), ("appId", account.as_str())];
        let made = self.change("CreateTemporaryKey", &order);
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        self.add_key("temporary", &text("secretId"), &text("secretKey"));
        self.keys.get_mut("temporary").expect("just made").token = Some(text("token"));
    }

    /// A key at a server that lets one request a minute of each action through.
    fn start_another_that_counts(&mut self) -> Service {
        let service = Service::start_configured("127.0.0.1", "[quota]\nper_action = 1\n");
        let (secret_id, secret_key) = service.key();
        self.add_key("limited", &secret_id, &secret_key);
        let authority = service.http().strip_prefix("http://").expect("plain HTTP").to_owned();
        self.keys.get_mut("limited").expect("just made").authority = Some(authority);
        service
    }

    /// Devices whose agents never enrolled: one for each state that keeps a reset away.
    fn make_devices(&mut self) {
        self.make_device("never", self.app_id, &[]);
        for number in DEVICE_STATUSES {
            let name = format!("device-status-{number}");
            self.make_device(&name, self.app_id, &[("deviceStatus", &number.to_string())]);
        }
        for number in OPERATE_STATUSES {
            let name = format!("operate-status-{number}");
            self.make_device(&name, self.app_id, &[("operateStatus", &number.to_string())]);
        }
    }

    /// An account that has these devices and no other, so that what a filter finds is known.
    fn make_a_list(&mut self) {
        let account = self.make_account(20, "lister");
        self.make_key("lister", account, &[]);
        for n in 1..=5 {
            let text = |prefix: &str| format!("{prefix}{n}");
            let values = [
                ("alias", ["gateway", "Web-Gate", "db-1", "db_2", "网关"][n - 1].to_owned()),
                ("lanIp", text("10.6.10.1")),
                ("wanIp", if n == 1 { "203.0.113.7".to_owned() } else { String::new() }),
                ("mgtIp", text("192.168.0.")),
                ("deadline", format!("2030-01-0{n} 00:00:00")),
                ("deliverTime", format!("2020-01-0{} 00:00:00", 6 - n)),
                ("autoRenewFlag", (n % 2).to_string()),
                ("vpcId", text("10")),
                ("subnetId", text("2")),
                ("unVpcId", text("vpc-")),
                ("unSubnetId", text("subnet-")),
                ("deviceClass", text("M1")),
                ("deviceClassCode", text("PS10")),
                ("projectId", text("7")),
                ("deviceType", ["compute", "storage"][n % 2].to_owned()),
                ("isLuckyDevice", (n / 5).to_string()),
                ("maintainStatus", if n == 2 { "WillExpire" } else { "" }.to_owned()),
                ("tags.0.tagKey", "team".to_owned()),
                ("tags.0.tagValues.0", if n < 3 { "web" } else { "db" }.to_owned()),
                ("deviceStatus", if n == 5 { "14" } else { "4" }.to_owned()),
            ];
            let given = values.iter().filter(|(_, value)| !value.is_empty());
            let values: Vec<_> = given.map(|(name, value)| (*name, value.as_str())).collect();
            self.make_device(&text("listed-"), account, &values);
        }
    }

    fn make_account(&self, distance: u64, name: &str) -> u64 {
        let account = self.app_id + distance;
        self.change("CreateAccount", &[("appId", &account.to_string()), ("name", name)]);
        account
    }

    fn make_key(&mut self, name: &str, account: u64, scope: &[(&str, &str)]) {
        let account = account.to_string();
        let key = [("appId", account.as_str()), ("uin", "1307774067")];
        let made = self.change("CreateApiKey", &[&key, scope].concat());
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        self.add_key(name, &text("secretId"), &text("secretKey"));
    }

    fn make_device(&mut self, name: &str, account: u64, attributes: &[(&str, &str)]) {
        let (account, id) = (account.to_string(), format!("cpm-{name}"));
        let device = [("appId", account.as_str()), ("instanceId", id.as_str())];
        self.change("CreateDevice", &[&device, attributes].concat());
        self.name(name, &id);
    }

    fn change(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.admin.call(action, parameters);
        assert_eq!(answer["code"], 0, "{action} {parameters:?}: {answer}");
        answer["data"].clone()
    }

    fn add_key(&mut self, name: &str, secret_id: &str, secret_key: &str) {
        let [secret_id, secret_key] = [secret_id, secret_key].map(str::to_owned);
        self.keys
            .insert(name.to_owned(), Key { secret_id, secret_key, token: None, authority: None });
    }

    fn name(&mut self, name: &str, value: &str) {
        self.names.insert(name.to_owned(), value.to_owned());
    }
}
