//! The lab's service, and what is asked of it through the public API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use opencpm_gateway::Connector;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::LabError;
use super::agent::{LOGS, Program};
use super::machine::{Draft, Machine, Machines, Plan};
use super::memory::Memory;
use super::simulated::Simulated;
use crate::client::answer::{NewKey, NewToken};
use crate::client::profile::{Profile, ProfileArgs};
use crate::client::{Client, Parameters};
use crate::command::lab::Lab;
use crate::config::{Agents, Api, Config, Quota};
use crate::output::field;
use crate::serve::{ADMIN, CA, Server};
use crate::system::clock_and_random;

/// Below the lab's folder.
pub(super) const FOLDER: &str = "server";

/// Names of the certificate: where the lab is, and where clients with a fixed host believe to be.
const NAMES: [&str; 5] = [
    "127.0.0.1",
    "localhost",
    "bm.api.qcloud.com",
    "bm.api.cloud.tencent.com",
    "bm.tencentcloudapi.com",
];

/// So many machines enrol at a time.
const ENROLMENTS: usize = 8;

/// For all agents to connect.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A running service with two accounts.
pub(super) struct Deployment {
    server: Server,
    folder: PathBuf,
    accounts: Accounts,
    /// Asks with the first key.
    pub(super) client: Client,
    /// The other account's key.
    pub(super) other_key: NewKey,
}

/// Whose machines they are.
#[derive(Clone, Copy)]
struct Accounts {
    main: u64,
    other: u64,
}

impl Deployment {
    /// Starts the service in the lab's folder: a new one, or the one that the lab remembers.
    pub(super) async fn start(
        lab: &Path,
        memory: Option<&Memory>,
        order: &Lab,
    ) -> Result<Self, LabError> {
        let folder = lab.join(FOLDER);
        let ports = memory.map_or([0; 3], |memory| memory.ports);
        let config = config(&folder, ports, order);
        let accounts = Accounts { main: config.first.app_id, other: config.first.app_id + 1 };
        let server = Server::start(config).await?;
        match Self::begin(&folder, accounts, memory).await {
            Ok((client, other_key)) => Ok(Self { server, folder, accounts, client, other_key }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    /// The second account and its key, made with the first key like anybody could.
    async fn begin(
        folder: &Path,
        accounts: Accounts,
        memory: Option<&Memory>,
    ) -> Result<(Client, NewKey), LabError> {
        let (clock, random) = clock_and_random();
        let client = Client::new(ProfileArgs::file(folder.join(ADMIN)).load()?, clock, random)?;
        if let Some(memory) = memory {
            return Ok((client, memory.other_key()));
        }
        let account = || Parameters::new().with("appId", accounts.other);
        client.call("CreateAccount", account().with("name", "somebody else")).await?;
        let other_key = client.ask("CreateApiKey", account().with("uin", 2)).await?;
        Ok((client, other_key))
    }

    /// Makes the machines, enrols them, and remembers them and what makes the simulated ones.
    pub(super) async fn enrol(
        &self,
        program: &Program,
        plan: Plan,
        lab: &Path,
    ) -> Result<(Machines, Option<Simulated>), LabError> {
        let (_, random) = clock_and_random();
        let (main, other) = plan.make(lab, &*random)?;
        let token = self.token(self.accounts.main, main.len().max(1)).await?;
        let enrolments = main.into_iter().map(|draft| enrol(program, draft, &token));
        let main = stream::iter(enrolments).buffered(ENROLMENTS).try_collect().await?;
        let token = self.token(self.accounts.other, 1).await?;
        let machines = Machines { main, other: enrol(program, other, &token).await? };
        let simulated = match plan.simulated {
            0 => None,
            count => {
                let token = self.token(self.accounts.main, count as usize).await?;
                Some(Simulated::new(count, &token, &*random))
            }
        };
        let addresses = &self.server.addresses;
        Memory::keep(lab, addresses, &self.other_key, &machines, simulated.as_ref())?;
        Ok((machines, simulated))
    }

    async fn token(&self, account: u64, uses: usize) -> Result<SecretString, LabError> {
        let order = Parameters::new().with("appId", account).with("uses", uses);
        let made: NewToken = self.client.ask("CreateEnrolmentToken", order).await?;
        Ok(made.token)
    }

    /// Waits until the service would accept a reset of every machine that has an agent.
    pub(super) async fn wait_until_connected(
        &self,
        machines: &[Machine],
        lab: &Path,
    ) -> Result<(), LabError> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let missing = self.not_connected(machines).await?;
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > patience {
                let (seconds, logs) = (PATIENCE.as_secs(), lab.join(LOGS));
                return Err(LabError::NotConnected { seconds, names: missing.join(", "), logs });
            }
            sleep(PAUSE).await;
        }
    }

    async fn not_connected(&self, machines: &[Machine]) -> Result<Vec<String>, LabError> {
        let alive = || machines.iter().filter(|machine| machine.alive);
        let asked = Parameters::new()
            .with_list("instanceIds", alive().map(|machine| &machine.instance))
            .with("limit", alive().count().max(1));
        let data = self.client.call("DescribeBmAgentStatus", asked).await?;
        let agents = || data["agentList"].as_array().into_iter().flatten();
        let is_connected = |machine: &Machine| {
            let is_it = |agent: &&Value| field(agent, "instanceId") == machine.instance.as_str();
            agents().find(is_it).is_some_and(|agent| field(agent, "agentStatus") == "1")
        };
        let missing = alive().filter(|machine| !is_connected(machine));
        Ok(missing.map(|machine| machine.name.clone()).collect())
    }

    /// Connects the simulated machines.
    pub(super) fn connector(&self) -> Option<Connector> {
        self.server.connector()
    }

    /// The API over TLS.
    pub(super) fn https(&self) -> String {
        format!("https://{}", self.api())
    }

    /// The API over plain HTTP; a lab always has it.
    pub(super) fn http(&self) -> String {
        let address = self.server.addresses.http.unwrap_or(self.api());
        format!("http://{address}")
    }

    /// A lab has both roles.
    fn api(&self) -> SocketAddr {
        self.server.addresses.https.unwrap_or(self.server.addresses.agents)
    }

    /// The certificate's authority.
    pub(super) fn ca(&self) -> PathBuf {
        self.folder.join(CA)
    }

    /// The first key and where the service is, for `--profile`.
    pub(super) fn profile_path(&self) -> PathBuf {
        self.folder.join(ADMIN)
    }

    /// The first key and where the service is.
    pub(super) fn profile(&self) -> &Profile {
        self.client.profile()
    }

    /// Ends the service in good order.
    pub(super) async fn stop(self) -> Result<(), LabError> {
        Ok(self.server.stop().await?)
    }
}

async fn enrol(program: &Program, draft: Draft, token: &SecretString) -> Result<Machine, LabError> {
    let instance = program.enrol(&draft.root, token).await?;
    Ok(draft.enrolled_as(instance))
}

/// Everything on loopback; at port 0, the system chooses one.
fn config(folder: &Path, ports: [u16; 3], order: &Lab) -> Config {
    let usual = Config::default();
    let [https, http, agents] = ports.map(|port| ([127, 0, 0, 1], port).into());
    Config {
        dir: folder.to_owned(),
        api: Api {
            listen: https,
            http: Some(http),
            names: NAMES.map(str::to_owned).into(),
            job_deadline: order.job_deadline,
            ..usual.api
        },
        agents: Agents { listen: agents, ..usual.agents },
        quota: order.quota.iter().cloned().fold(usual.quota, Quota::with),
        ..usual
    }
}
