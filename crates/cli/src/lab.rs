//! `opencpm lab`: a whole deployment on loopback with real agents on scratch roots.
//!
//! Agents die with the lab, also when it is killed: the kernel signals a child when the *thread*
//! that started it ends. So every child is started from the future that the main thread drives,
//! and no other; the service works on the runtime's other threads.

mod agent;
mod demo;
mod deployment;
mod machine;
mod memory;
mod ready;
mod scratch;
mod simulated;

use std::io;
use std::path::PathBuf;

use opencpm_domain::InstanceId;
use opencpm_fleet::{Fleet, FleetError};
use opencpm_protocol::token::TokenError;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::client::ClientError;
use crate::client::profile::ProfileError;
use crate::command::lab::Lab;
use crate::exit::Exit;
use crate::output;
use crate::serve::{Ending, ServeError};

use agent::{AgentError, Program};
use deployment::Deployment;
use machine::Machine;
use memory::Memory;

/// The lab cannot be brought up, or showed something unexpected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    /// Its folder.
    #[error("the lab's folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// A lab that was ended before it was ready.
    #[error("the folder {} holds an unfinished lab: remove it, or name another", .0.display())]
    Unfinished(PathBuf),
    /// A machine's file system.
    #[error("the machine {0} cannot be made")]
    Machine(String, #[source] io::Error),
    /// The agent's program, or an agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The service.
    #[error("the lab's service")]
    Serve(#[from] ServeError),
    /// The profile that the service wrote.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A request to the service.
    #[error("the lab's service refused a request")]
    Client(#[from] ClientError),
    /// The ready file.
    #[error("the ready file {} cannot be written", .0.display())]
    Ready(PathBuf, #[source] io::Error),
    /// Some machines did not come.
    #[error("not connected after {seconds} s: {names} (see {})", .logs.display())]
    NotConnected {
        /// How long was waited.
        seconds: u64,
        /// Which machines.
        names: String,
        /// What their agents said.
        logs: PathBuf,
    },
    /// The simulated machines.
    #[error("the simulated machines")]
    Fleet(#[from] FleetError),
    /// The token of the simulated machines.
    #[error("the simulated machines' token is damaged")]
    Token(#[from] TokenError),
    /// The keys of the simulated machines.
    #[error("the simulated machines' seed is damaged")]
    Seed,
    /// Each fault is one machine's.
    #[error("there are more faults than simulated machines to have them")]
    Faults,
    /// The machinery behind asynchronous work, or behind signals.
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
    /// What a machine's shadow file holds.
    #[error("the shadow file of {0} cannot be read")]
    Shadow(String, #[source] io::Error),
}

/// Brings a lab up and keeps it until it is asked to end, or until its demo is over.
pub(crate) fn run(order: Lab) -> Result<Exit, LabError> {
    let program = Program::find(order.agent_binary.as_deref())?;
    let folder = Folder::prepare(order.dir.as_deref())?;
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(LabError::Runtime)?;
    let ended = runtime.block_on(whole_life(&order, &program, &folder));
    drop(runtime);
    if ended.is_ok() {
        folder.remove_own();
    }
    folder.tell_what_stays();
    ended
}

async fn whole_life(order: &Lab, program: &Program, folder: &Folder) -> Result<Exit, LabError> {
    let mut ending = Ending::listen().map_err(LabError::Runtime)?;
    let memory = Memory::load(&folder.path)?;
    let deployment = Deployment::start(&folder.path, memory.as_ref(), order).await?;
    let stop = CancellationToken::new();
    let agents = agent::Agents::new(program, stop.clone());
    let mut fleet = None;
    let work = async {
        let ended = tokio::select! {
            ended = use_it(order, &deployment, &agents, &mut fleet, (folder, memory)) => ended,
            () = ending.asked() => Ok(Exit::DONE),
        };
        stop.cancel();
        ended
    };
    let (ended, ()) = tokio::join!(work, agents.run());
    let dispersed = match fleet {
        Some(fleet) => fleet.stop().await,
        None => Ok(()),
    };
    let stopped = deployment.stop().await;
    let exit = ended?;
    dispersed?;
    stopped?;
    Ok(exit)
}

/// Ends with the demo; without one, never.
async fn use_it(
    order: &Lab,
    deployment: &Deployment,
    agents: &agent::Agents<'_>,
    fleet: &mut Option<Fleet>,
    (folder, memory): (&Folder, Option<Memory>),
) -> Result<Exit, LabError> {
    let (machines, simulated) = match memory {
        Some(memory) => {
            tracing::warn!("going on with the machines of the lab that was here before");
            (memory.machines()?, memory.simulated)
        }
        None => {
            let plan = machine::Plan {
                agents: order.agents,
                offline: order.offline,
                odd: order.demo,
                simulated: order.simulated,
            };
            deployment.enrol(agents.program(), plan, &folder.path).await?
        }
    };
    for machine in machines.main.iter().filter(|machine| machine.alive) {
        agents.keep_running(machine.clone());
    }
    deployment.wait_until_connected(&machines.main, &folder.path).await?;
    if order.fault.len() > simulated.as_ref().map_or(0, |simulated| simulated.devices as usize) {
        return Err(LabError::Faults);
    }
    if let Some(simulated) = simulated {
        *fleet = Some(simulated.start(deployment, &order.fault).await?);
    }
    let simulated = fleet.as_ref().map_or(&[][..], |fleet| &fleet.instances);
    if let Some(path) = &order.ready_file {
        ready::write(path, deployment, &machines, simulated)?;
    }
    if order.demo {
        return demo::run(deployment, &machines.main).await;
    }
    tell(deployment, &machines.main, simulated, folder);
    std::future::pending().await
}

fn tell(deployment: &Deployment, machines: &[Machine], simulated: &[InstanceId], folder: &Folder) {
    let count = |alive| machines.iter().filter(|machine| machine.alive == alive).count();
    let program = std::env::current_exe().unwrap_or_else(|_| "opencpm".into());
    let opencpm =
        format!("{} --profile {}", program.display(), deployment.profile_path().display());
    let example = machines.iter().find(|machine| machine.alive);
    let id = example.map(|machine| &machine.instance).or(simulated.first());
    let id = id.map_or("ID".to_owned(), ToString::to_string);
    let shadow = example.map(|machine| scratch::shadow(&machine.root));
    let look = shadow.map(|path| format!("\n  grep ^root: {}", path.display()));
    let simulated = match simulated.len() {
        0 => String::new(),
        count => format!("\nand {count} that are simulated"),
    };
    output::line(&format!(
        "\
The lab is ready: {alive} machines with an agent and {offline} without, below
  {machines}{simulated}
The API is at {https} and {http}, its certificate's authority in
  {ca}

Try, in another terminal:
  {opencpm} device list
  {opencpm} reset-password --generate {id}
  {opencpm} log {id}{look}

Ctrl-C ends everything.",
        alive = count(true),
        offline = count(false),
        machines = folder.path.join(machine::FOLDER).display(),
        https = deployment.https(),
        http = deployment.http(),
        ca = deployment.ca().display(),
        look = look.unwrap_or_default(),
    ));
}

/// Where everything of a lab goes.
struct Folder {
    path: PathBuf,
    /// Nobody asked for it, so nobody needs it afterwards, unless something went wrong.
    own: bool,
}

impl Folder {
    fn prepare(wanted: Option<&std::path::Path>) -> Result<Self, LabError> {
        let own = wanted.is_none();
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("opencpm-lab-{}", std::process::id())),
        };
        let unusable = |error| LabError::Folder(path.clone(), error);
        crate::files::private_folder(&path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        let folder = Self { path, own };
        if folder.has_begun() && Memory::load(&folder.path)?.is_none() {
            return Err(LabError::Unfinished(folder.path));
        }
        Ok(folder)
    }

    fn has_begun(&self) -> bool {
        [machine::FOLDER, deployment::FOLDER].iter().any(|name| self.path.join(name).exists())
    }

    /// A lab that ended before its machines were enrolled cannot go on, and its folder is kept for
    /// whoever wants to know why.
    fn tell_what_stays(&self) {
        if self.has_begun() && Memory::load(&self.path).is_ok_and(|memory| memory.is_none()) {
            output::hint(&format!(
                "the unfinished lab stays in {}: remove this folder before a lab starts there again",
                self.path.display()
            ));
        }
    }

    fn remove_own(&self) {
        if self.own
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "cannot be removed");
        }
    }
}
