use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use opencpm_api::action::Operation;
use opencpm_api::service::{AgentRequest, Service};
use opencpm_domain::{
    Advice, AppId, Condition, InstanceId, JobId, JobState, MaintainStatus, PayMode, Reason,
    Refusal, SecretId, Sequence, TaskId, Timestamp, Uin,
};
use opencpm_operations::administer::{
    Administrator, MadeKey, MadeTemporaryKey, MadeToken, NewApiKey, NewDevice, NewEnrolmentToken,
    NewNodeToken, NewTemporaryKey,
};
use opencpm_operations::agent_status::{AgentStatus, Presence};
use opencpm_operations::authenticate::{Caller, KnownKey};
use opencpm_operations::describe_devices::DescribedDevices;
use opencpm_operations::operation_log::LogRequest;
use opencpm_operations::operation_result::{OperationResult, TaskVerification};
use opencpm_operations::report_proof::ProofError;
use opencpm_operations::reset_password::ResetPassword;
use opencpm_operations::row::{
    Account, ApiKey, AttributeChanges, Attributes, Connection, Device, DeviceAuthority,
    DeviceQuery, DeviceScope, JobRow, LogEntry, Maintenance, Node, NodeId, Page, Scope, Tag,
    TagFilter, TaskRow, Unique,
};
use opencpm_protocol::key::{KeyId, VerifyingKey};
use opencpm_protocol::seal::Verb;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::world::{Asked, NOW, SECRET_ID, SECRET_KEY};

/// A service with a few keys, two devices and one task. What a name says is what happens.
pub(crate) struct Fake {
    pub(crate) asked: Asked,
    /// Resets of `cpm-slow` wait for a permit.
    pub(crate) gate: Semaphore,
    /// Refuses the next reset, and the next unknown action.
    pub(crate) used_up: AtomicBool,
    /// Said with every key.
    pub(crate) maintenance: AtomicBool,
    /// Requests of API 3.0 that came already, and their tasks.
    pub(crate) fingerprints: Mutex<HashMap<[u8; 32], u64>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            asked: Asked::default(),
            gate: Semaphore::new(0),
            used_up: AtomicBool::new(false),
            maintenance: AtomicBool::new(false),
            fingerprints: Mutex::default(),
        }
    }
}

const USED_NONCE: u64 = 77;

#[async_trait]
impl Service for Fake {
    async fn known_key(&self, secret_id: &SecretId) -> Result<KnownKey, Refusal> {
        let mut scope = Scope::default();
        let mut token_hash = None;
        match secret_id.as_str() {
            SECRET_ID => {}
            "AKIDADMIN" => scope.admin = true,
            "AKIDREADER" => scope.actions = Some(vec!["DescribeDevice".to_owned()]),
            "AKIDTEMPORARY" => token_hash = Some(Sha256::digest("tmp-token-1").into()),
            "AKIDBLOCKED" => return Err(Condition::AccountBlocked.into()),
            _ => return Err(Condition::SecretIdUnknown.into()),
        }
        let secret_id = secret_id.clone();
        let maker = token_hash.map(|_| SecretId::parse(SECRET_ID).unwrap());
        let caller = Caller { secret_id, app_id: app_id(), uin: uin(), scope, maker };
        let secret = SECRET_KEY.as_bytes().to_vec().into();
        let maintenance = self.describe_maintenance().await?;
        Ok(KnownKey { caller, secret, token_hash, maintenance })
    }

    async fn check_unused(&self, unique: &Unique) -> Result<Option<TaskId>, Refusal> {
        match unique {
            Unique::Nonce(nonce) if nonce.nonce == USED_NONCE => Err(Condition::Replayed.into()),
            Unique::Nonce(_) => Ok(None),
            Unique::Fingerprint(fingerprint) => {
                let mut seen = self.fingerprints.lock().unwrap();
                Ok(seen.insert(fingerprint.hash, 101).map(|first| TaskId::new(first).unwrap()))
            }
        }
    }

    async fn check_quota(&self, _: &Caller, operation: Option<Operation>) -> Result<(), Refusal> {
        match operation {
            Some(Operation::VerifyTask) => Err(Condition::QuotaExceeded.into()),
            Some(Operation::ResetPassword) | None
                if self.used_up.swap(false, Ordering::Relaxed) =>
            {
                Err(Condition::QuotaExceeded.into())
            }
            _ => Ok(()),
        }
    }

    async fn reset_password(&self, _: &Caller, request: ResetPassword) -> Result<TaskId, Refusal> {
        let ids: Vec<_> = request.instances.iter().map(InstanceId::as_str).collect();
        self.asked.note(format!("reset {} {}", ids.join(","), request.password.expose()));
        match ids.first() {
            Some(&"cpm-slow") => self.gate.acquire().await.unwrap().forget(),
            Some(&"cpm-broken") => panic!("a defect"),
            Some(id) if id.starts_with("cpm-refused-") => {
                let named = |c: &&Condition| id.ends_with(&format!("-{c:?}"));
                return Err((*Condition::ALL.iter().find(named).unwrap()).into());
            }
            Some(&"cpm-busy") => return Err(Refusal::new(Condition::DeviceBusy, "cpm-busy: no")),
            _ => {}
        }
        Ok(TaskId::new(101).unwrap())
    }

    async fn operation_result(&self, _: &Caller, task: TaskId) -> Result<OperationResult, Refusal> {
        if task.get() != 101 {
            return Err(Refusal::new(Condition::NotFound, format!("there is no task {task}")));
        }
        let jobs = jobs();
        let status = jobs.iter().map(|job| job.state.status()).collect();
        Ok(OperationResult { task: task_row(), status, jobs })
    }

    async fn describe_devices(
        &self,
        _: &Caller,
        query: DeviceQuery,
    ) -> Result<DescribedDevices, Refusal> {
        self.asked.note(format!("{query:?}"));
        let mut device = device();
        if query.instances == [id("cpm-known")] {
            device.attributes = known_attributes();
        }
        let page = Page { total: 1, items: vec![device] };
        Ok(DescribedDevices { now: Timestamp::from_secs(NOW), page })
    }

    async fn operation_log(
        &self,
        _: &Caller,
        request: LogRequest,
    ) -> Result<Page<LogEntry>, Refusal> {
        self.asked.note(format!("{request:?}"));
        let items = jobs().into_iter().map(|job| LogEntry { task: task_row(), job }).collect();
        Ok(Page { total: 30, items })
    }

    async fn agent_status(
        &self,
        _: &Caller,
        request: AgentRequest,
    ) -> Result<Page<AgentStatus>, Refusal> {
        self.asked.note(format!("{request:?}"));
        let agent = AgentStatus {
            instance: id("cpm-1"),
            presence: Presence::Connected,
            version: "0.1.0".to_owned(),
            last_seen: Some(Timestamp::from_secs(NOW)),
        };
        Ok(Page { total: 1, items: vec![agent] })
    }

    async fn verify_task(&self, _: &Caller, _: TaskId) -> Result<TaskVerification, Refusal> {
        let successes = vec![(id("cpm-1"), Ok(())), (id("cpm-2"), Err(ProofError::Missing))];
        Ok(TaskVerification { task: task_row(), successes })
    }

    async fn create_account(
        &self,
        _: Administrator,
        app_id: AppId,
        name: String,
    ) -> Result<Account, Refusal> {
        Ok(Account { app_id, name, blocked: false })
    }

    async fn modify_account(
        &self,
        _: Administrator,
        app_id: AppId,
        name: Option<String>,
        blocked: Option<bool>,
    ) -> Result<Account, Refusal> {
        let name = name.unwrap_or_else(|| "as it was".to_owned());
        Ok(Account { app_id, name, blocked: blocked.unwrap_or(false) })
    }

    async fn describe_accounts(&self) -> Result<Vec<Account>, Refusal> {
        Ok(vec![Account { app_id: app_id(), name: "first".to_owned(), blocked: false }])
    }

    async fn create_api_key(&self, _: Administrator, key: NewApiKey) -> Result<MadeKey, Refusal> {
        self.asked.note(format!("{key:?}"));
        let secret_id = SecretId::parse("AKIDNEW").unwrap();
        Ok(MadeKey { secret_id, secret_key: "new-secret".into() })
    }

    async fn create_temporary_key(
        &self,
        _: Administrator,
        key: NewTemporaryKey,
    ) -> Result<MadeTemporaryKey, Refusal> {
        self.asked.note(format!("{key:?}"));
        if key.scope.devices.is_some() {
            return Err(Condition::DeviceNotAllowed.into());
        }
        let secret_id = SecretId::parse("AKIDNEW").unwrap();
        let expires = Timestamp::from_secs(NOW) + key.lifetime;
        let key = MadeKey { secret_id, secret_key: "new-secret".into() };
        Ok(MadeTemporaryKey { key, token: "new-token".into(), expires })
    }

    async fn describe_api_keys(&self, _: Option<AppId>) -> Result<Vec<ApiKey>, Refusal> {
        Ok(vec![ApiKey {
            secret_id: SecretId::parse(SECRET_ID).unwrap(),
            encrypted_secret: b"hidden".to_vec(),
            app_id: app_id(),
            uin: uin(),
            scope: limited(),
            token_hash: None,
            expires: None,
            maker: None,
            disabled: false,
            created: Timestamp::from_secs(NOW),
            mac: [0; 32],
        }])
    }

    async fn disable_api_key(
        &self,
        _: Administrator,
        key: SecretId,
        disabled: bool,
    ) -> Result<(), Refusal> {
        self.asked.note(format!("{key} disabled {disabled}"));
        Ok(())
    }

    async fn create_device(
        &self,
        _: Administrator,
        device: NewDevice,
    ) -> Result<InstanceId, Refusal> {
        self.asked.note(format!("{} {}", device.attributes.alias, device.attributes.lan_ip));
        Ok(device.instance.unwrap_or_else(|| id("cpm-made")))
    }

    async fn modify_device(
        &self,
        _: Administrator,
        instance: InstanceId,
        changes: AttributeChanges,
    ) -> Result<(), Refusal> {
        self.asked.note(format!("{instance} {changes:?}"));
        Ok(())
    }

    async fn create_enrolment_token(
        &self,
        _: Administrator,
        token: NewEnrolmentToken,
    ) -> Result<MadeToken, Refusal> {
        self.asked.note(format!("{} uses", token.uses));
        let expires = Timestamp::from_secs(NOW) + token.lifetime;
        Ok(MadeToken { token: "opencpm1.text.sum".into(), expires })
    }

    async fn create_node_token(
        &self,
        _: Administrator,
        token: NewNodeToken,
    ) -> Result<MadeToken, Refusal> {
        self.asked.note(format!("{token:?}"));
        let expires = Timestamp::from_secs(NOW) + token.lifetime;
        Ok(MadeToken { token: "opencpm-node1.text.sum".into(), expires })
    }

    async fn describe_nodes(&self) -> Result<Vec<Node>, Refusal> {
        let key = VerifyingKey::from_bytes([0; 32]);
        Ok(vec![Node {
            id: key.key_id(),
            key,
            names: vec!["gw.example".to_owned()],
            hostname: "gw1".to_owned(),
            joined: Timestamp::from_secs(NOW),
            renewed: Timestamp::from_secs(NOW),
            revoked: None,
            mac: [0; 32],
        }])
    }

    async fn revoke_node(&self, _: Administrator, node: NodeId) -> Result<(), Refusal> {
        self.asked.note(format!("{node} revoked"));
        Ok(())
    }

    async fn modify_maintenance(
        &self,
        _: Administrator,
        message: Option<String>,
    ) -> Result<(), Refusal> {
        self.maintenance.store(message.is_some(), Ordering::Relaxed);
        Ok(())
    }

    async fn describe_maintenance(&self) -> Result<Option<Maintenance>, Refusal> {
        let begun =
            || Maintenance { since: Timestamp::from_secs(NOW), message: "until noon".to_owned() };
        Ok(self.maintenance.load(Ordering::Relaxed).then(begun))
    }
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

fn app_id() -> AppId {
    AppId::new(1_251_000_000).unwrap()
}

fn uin() -> Uin {
    Uin::parse("1307774067").unwrap()
}

/// May list devices, and see two kinds of them.
fn limited() -> Scope {
    let tags = vec![TagFilter { key: "team".to_owned(), values: vec!["db".to_owned()] }];
    let devices = DeviceScope { instances: [id("cpm-1")].into(), tags };
    let actions = Some(vec!["DescribeDevice".to_owned()]);
    Scope { admin: false, actions, devices: Some(devices) }
}

fn device() -> Device {
    let attributes = Attributes {
        alias: "gateway".to_owned(),
        vpc_id: 1025,
        deliver_time: Some(Timestamp::from_secs(NOW)),
        is_vpc_gateway: true,
        ..Attributes::default()
    };
    let authority = DeviceAuthority {
        instance: id("cpm-1"),
        account: app_id(),
        identity: None,
        retired: false,
        quarantined: false,
    };
    Device {
        authority,
        signature: [0; 64],
        attributes,
        sealing: None,
        highest_sequence: Sequence::default(),
        facts: None,
        agent_version: String::new(),
        last_seen: None,
        connection: Connection::None,
        has_open_job: true,
    }
}

/// Of a device of which all that is new in API 3.0 is known.
fn known_attributes() -> Attributes {
    let tag =
        |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned(), mac: None };
    Attributes {
        zone: "zone-1".to_owned(),
        mgt_ip: "192.0.2.1".to_owned(),
        dhcp_ip: "10.0.0.2".to_owned(),
        vpc_name: "office".to_owned(),
        vpc_cidr: "10.0.0.0/16".to_owned(),
        subnet_name: "second floor".to_owned(),
        subnet_cidr: "10.0.2.0/24".to_owned(),
        pay_mode: PayMode::Postpaid,
        is_lucky: true,
        device_type: "storage".to_owned(),
        maintain_status: Some(MaintainStatus::WillExpire),
        maintain_message: Some("renew it".to_owned()),
        tags: vec![tag("env", "eu"), tag("env", "prod"), tag("spare", "")],
        ..Attributes::default()
    }
}

fn task_row() -> TaskRow {
    TaskRow {
        task: TaskId::new(101).unwrap(),
        account: app_id(),
        action: "resetPasswd".to_owned(),
        uin: uin(),
        created: Timestamp::from_secs(NOW),
        deadline: Timestamp::from_secs(NOW + 120),
    }
}

/// One that succeeded, one that failed, one that runs.
fn jobs() -> Vec<JobRow> {
    let ended = Timestamp::from_secs(NOW + 2);
    let succeeded = JobState::Succeeded {
        attempts: 1,
        ended,
        applied: Timestamp::from_secs(NOW + 1),
        advice: vec![Advice::LockLifted],
        corrected: true,
    };
    let failed =
        JobState::Failed { attempts: 1, ended, reason: Reason::DiskFull, corrected: false };
    let running = JobState::Attempted { attempts: 1 };
    let states = [("cpm-1", succeeded), ("cpm-2", failed), ("cpm-3", running)];
    states.into_iter().zip(6958..).map(|((name, state), number)| job(name, state, number)).collect()
}

fn job(name: &str, state: JobState, number: u64) -> JobRow {
    let time = Timestamp::from_secs(NOW);
    JobRow {
        number,
        job: JobId::from_bytes([number.to_le_bytes()[0]; 16]),
        task: TaskId::new(101).unwrap(),
        devices: 3,
        instance: id(name),
        account: app_id(),
        sequence: Sequence::new(1),
        identity_generation: opencpm_domain::Generation::FIRST,
        sealing_generation: opencpm_domain::Generation::FIRST,
        verb: Verb::SetRootPassword,
        issued_at: time,
        not_after: time,
        deadline: time,
        authority: KeyId::from_bytes([0; 8]),
        sealed: None,
        state,
        report: None,
        mac: [0; 32],
        version: 1,
    }
}
