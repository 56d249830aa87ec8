//! The service's configuration: built-in values, a file, the environment, flags; later ones win.
//!
//! The file is TOML with the names of [`Config`]. In the environment, `OPENCPM_API__LISTEN` is
//! `listen` in the section `api`.

mod metrics;
mod quota;
mod remote;
mod retention;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use opencpm_domain::{AppId, PasswordPolicy, Span, Uin};
use opencpm_operations::role::Settings;
use serde::{Deserialize, Serialize};

pub(crate) use metrics::Metrics;
pub(crate) use quota::Quota;
pub(crate) use remote::{Remote, secret_line};
pub(crate) use retention::Retention;
pub(crate) use value::parse_offset;
use value::{address, app_id, host_and_port, offset, user};

/// Looked at unless another file is named; may be absent.
const DEFAULT_FILE: &str = "/etc/opencpm/opencpm.toml";

/// The keys outside of any section.
const TOP: &[&str] = &["dir", "roles"];

/// Everything that an operator can choose.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where everything is kept that the service makes.
    pub(crate) dir: PathBuf,
    /// What this process does.
    pub(crate) roles: Vec<Role>,
    /// The API.
    pub(crate) api: Api,
    /// The agents' connections.
    pub(crate) agents: Agents,
    /// The database; SQLite in the folder unless given.
    pub(crate) store: Remote,
    /// The broker; within the process unless given.
    pub(crate) queue: Remote,
    /// What a process without the API role joins with.
    pub(crate) node: Node,
    /// Where keys are that are not kept in the store.
    pub(crate) keys: Keys,
    /// How many requests a key may make.
    pub(crate) quota: Quota,
    /// What watches the process from outside.
    pub(crate) metrics: Metrics,
    /// How long what is over is kept.
    pub(crate) retention: Retention,
    /// What the first start makes.
    pub(crate) first: First,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Accepts requests; holds the deployment's keys.
    Api,
    /// Holds the agents' connections.
    Gateway,
}

/// The API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    /// TLS listener.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// Plain listener; none unless given.
    #[serde(deserialize_with = "value::some_address")]
    pub(crate) http: Option<SocketAddr>,
    /// Names and addresses that the deployment's certificate carries.
    pub(crate) names: Vec<String>,
    /// Own certificate chain (PEM) instead of the deployment's.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub(crate) key: Option<PathBuf>,
    /// Hosts that a signature may name; any when empty.
    pub(crate) hosts: Vec<String>,
    /// Which passwords are accepted.
    pub(crate) policy: Policy,
    /// From acceptance to the end of every job, in seconds.
    pub(crate) job_deadline: u64,
    /// How far a request's time may be from the clock, in seconds.
    pub(crate) clock_window: u64,
    /// Whether values that begin with `@` may be left unsigned (contract 2.5).
    pub(crate) at_sign_rule: bool,
    /// Whether an API 3.0 request may leave its payload unsigned (contract 2.3)
    pub(crate) unsigned_payload: bool,
    /// The zone of times in answers.
    #[serde(deserialize_with = "offset")]
    pub(crate) time_offset: String,
}

/// The agents' connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agents {
    /// TLS listener; always with the deployment's certificate.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// `host:port` under which agents reach the listener; the API's first name and the
    /// listener's port unless given.
    #[serde(deserialize_with = "host_and_port")]
    pub(crate) addresses: Vec<String>,
    /// `host:port` of the listeners where machines enrol and nodes join, written into tokens; where
    /// the process has both roles the addresses above, else the API's first name and the
    /// listener's port.
    #[serde(deserialize_with = "host_and_port")]
    pub(crate) enrolment: Vec<String>,
}

/// A process without the API role.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    /// The token with which it joins at its first start.
    pub(crate) token_file: Option<PathBuf>,
}

/// Where keys are.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    /// The master key; `master.key` in the folder unless given.
    pub(crate) master: Option<PathBuf>,
    /// The root key; `root.key` in the folder unless given. Not needed but for renewals.
    pub(crate) root: Option<PathBuf>,
}

/// What the first start makes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct First {
    /// The first account.
    #[serde(deserialize_with = "app_id")]
    pub(crate) app_id: u64,
    /// Its name.
    pub(crate) name: String,
    /// The user of the first key.
    #[serde(deserialize_with = "user")]
    pub(crate) uin: String,
}

/// Which passwords are accepted (contract section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// Ten symbols.
    Default,
    /// More symbols.
    Extended,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file that was named and is not there, or cannot be read.
    #[error("the configuration file {0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// What a value is, and what was expected. Says file, variable or flag, and the key.
    #[error("the configuration is wrong: {0}")]
    Value(String),
    /// A value that has the right form and makes no sense.
    #[error("the configuration is wrong: {key}: {problem}")]
    Sense {
        /// Which key.
        key: &'static str,
        /// What was expected.
        problem: String,
    },
}

/// What flags say.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "OPENCPM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept that the service makes [default: /var/lib/opencpm]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// What this process does [default: api,gateway]
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    pub(crate) roles: Option<Vec<Role>>,
    /// Address of the API over TLS [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Turn the API over plain HTTP on, at this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,
    /// Address for the agents' connections [default: 0.0.0.0:8444]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) agents_listen: Option<SocketAddr>,
    /// A name of this server, for its certificate and for the agents; may be given again
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Option<Vec<String>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: "/var/lib/opencpm".into(),
            roles: vec![Role::Api, Role::Gateway],
            api: Api {
                listen: ([0, 0, 0, 0], 8443).into(),
                http: None,
                names: ["localhost", "127.0.0.1"].map(str::to_owned).into(),
                certificate: None,
                key: None,
                hosts: Vec::new(),
                policy: Policy::Default,
                job_deadline: 120,
                clock_window: 300,
                at_sign_rule: true,
                unsigned_payload: true,
                time_offset: "+00:00".to_owned(),
            },
            agents: Agents {
                listen: ([0, 0, 0, 0], 8444).into(),
                addresses: Vec::new(),
                enrolment: Vec::new(),
            },
            store: Remote::default(),
            queue: Remote::default(),
            node: Node::default(),
            keys: Keys::default(),
            quota: Quota::default(),
            metrics: Metrics::default(),
            retention: Retention::default(),
            first: First { app_id: 1_251_000_000, name: "main".to_owned(), uin: "1".to_owned() },
        }
    }
}

impl Config {
    /// Reads file, environment and flags, and checks the values.
    pub(crate) fn load(flags: &Flags) -> Result<Self, ConfigError> {
        // Other variables of this prefix are the client's, or somebody else's.
        let is_ours = |name: &str| {
            name.contains("__") || TOP.iter().any(|top| name.eq_ignore_ascii_case(top))
        };
        let variables =
            Env::prefixed("OPENCPM_").filter(move |name| is_ours(name.as_str())).split("__");
        let mut all = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file(flags)? {
            all = all.merge(Toml::file_exact(file));
        }
        let config: Self = flags
            .over(all.merge(variables))
            .extract()
            .map_err(|error| ConfigError::Value(value::explain(error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Sense { key, problem: problem.into() });
        let checked = self.store.check(&remote::STORE).and(self.queue.check(&remote::QUEUE));
        checked.map_err(|(key, problem)| ConfigError::Sense { key, problem })?;
        self.check_roles()?;
        if self.has(Role::Api) && self.api.names.is_empty() {
            return wrong("api.names", "expected at least one name for the certificate");
        }
        if self.api.certificate.is_some() != self.api.key.is_some() {
            return wrong("api.certificate", "expected together with api.key, or neither");
        }
        let deadline = Span::from_secs(self.api.job_deadline);
        if !(Settings::SHORTEST_DEADLINE..=Settings::LONGEST_DEADLINE).contains(&deadline) {
            let [least, most] = [Settings::SHORTEST_DEADLINE, Settings::LONGEST_DEADLINE];
            let text = format!("expected {} to {} seconds", least.as_secs(), most.as_secs());
            return wrong("api.job_deadline", &text);
        }
        Ok(())
    }

    /// Roles in several processes meet in the database and at the broker only.
    fn check_roles(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Sense { key, problem: problem.into() });
        let (api, gateway) = (self.has(Role::Api), self.has(Role::Gateway));
        match (api, gateway) {
            (false, false) => return wrong("roles", "expected api, gateway, or both"),
            (true, true) => return self.check_node_token(),
            _ => {}
        }
        if self.store.url.is_none() {
            return wrong(
                "store.url",
                "roles in several processes need a database that all of them reach: expected \
                 postgresql://user@host/database, or both roles here",
            );
        }
        if self.queue.url.is_none() {
            return wrong(
                "queue.url",
                "roles in several processes need a broker that all of them reach: expected \
                 amqps://user@host/vhost, or both roles here",
            );
        }
        if self.agents.addresses.is_empty() {
            return wrong(
                "agents.addresses",
                "expected host:port of the gateways, which agents are told, where a process has \
                 not both roles",
            );
        }
        if !api && (self.keys.master.is_some() || self.keys.root.is_some()) {
            return wrong("keys", "a process without the api role must not have these keys");
        }
        self.check_node_token()
    }

    fn check_node_token(&self) -> Result<(), ConfigError> {
        if self.has(Role::Api) && self.node.token_file.is_some() {
            let problem = "a process with the api role joins nobody: expected none".to_owned();
            return Err(ConfigError::Sense { key: "node.token_file", problem });
        }
        Ok(())
    }

    /// Whether this process has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The first account.
    pub(crate) fn first_account(&self) -> Option<(AppId, Uin)> {
        let app_id = AppId::new(self.first.app_id).ok()?;
        Some((app_id, Uin::parse(&self.first.uin).ok()?))
    }

    /// What the operations need to know.
    pub(crate) fn settings(&self, gateways: Vec<String>, enrolment: Vec<String>) -> Settings {
        let policy = match self.api.policy {
            Policy::Default => PasswordPolicy::Seed,
            Policy::Extended => PasswordPolicy::ExtendedLinux,
        };
        Settings {
            policy,
            job_deadline: Span::from_secs(self.api.job_deadline),
            gateways,
            enrolment,
            api_names: self.api.names.clone(),
        }
    }

    /// The master key's file.
    pub(crate) fn master_key(&self) -> PathBuf {
        self.keys.master.clone().unwrap_or_else(|| self.dir.join("master.key"))
    }

    /// The root key's file.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.keys.root.clone().unwrap_or_else(|| self.dir.join("root.key"))
    }
}

impl Flags {
    /// Adds what was given on the command line.
    fn over(&self, all: Figment) -> Figment {
        fn set<T: Serialize>(all: Figment, key: &str, value: Option<&T>) -> Figment {
            match value {
                Some(value) => all.merge(Serialized::default(key, value)),
                None => all,
            }
        }
        let all = set(all, "dir", self.dir.as_ref());
        let all = set(all, "roles", self.roles.as_ref());
        let all = set(all, "api.listen", self.listen.as_ref());
        let all = set(all, "api.http", self.http.as_ref());
        let all = set(all, "agents.listen", self.agents_listen.as_ref());
        set(all, "api.names", self.names.as_ref())
    }
}

/// The file to read; none when nobody named one and the usual one is not there.
fn file(flags: &Flags) -> Result<Option<&Path>, ConfigError> {
    let (path, named) = match &flags.config {
        Some(path) => (path.as_path(), true),
        None => (Path::new(DEFAULT_FILE), false),
    };
    match std::fs::File::open(path) {
        Ok(_) => Ok(Some(path)),
        Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Read(path.to_owned(), error)),
    }
}
