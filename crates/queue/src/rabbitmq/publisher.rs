//! The publishing side. A connection of its own: the broker stops to read from those who publish
//! while it is short of memory, and must go on to read what gateways acknowledge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation, PublisherConfirm};
use opencpm_operations::port::ReadyJobs;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::keep::Work;
use super::link::{Link, LinkError};
use super::message;
use super::topology::{FRESH, Topology};

/// For the broker's answer to a probe. A broker that takes longer is as good as gone.
const PROBE: Duration = Duration::from_secs(1);
/// For a check as a whole, should our own side be late.
const CHECK: Duration = Duration::from_millis(1_300);
/// Checks that one probe answers at most; more wait for the next one.
const CHECKS: usize = 1_000;

/// What publishes, and says whether it could.
pub(super) struct Publisher {
    topology: Topology,
    link: watch::Receiver<Option<Arc<Link>>>,
    checks: mpsc::Sender<oneshot::Sender<()>>,
}

impl Publisher {
    /// And the work that keeps it going.
    pub(super) fn new(topology: Topology) -> (Self, Publishing) {
        let (current, link) = watch::channel(None);
        let (checks, asked) = mpsc::channel(CHECKS);
        let work = Publishing { topology: topology.clone(), current, asked };
        (Self { topology, link, checks }, work)
    }

    /// Waits for the first connection.
    pub(super) async fn connected(&self) {
        // Fails when the work has ended: then there is nothing to wait for.
        drop(self.link.clone().wait_for(Option::is_some).await);
    }

    /// Whether a publication would be taken now. Asks the broker each time: what was true a
    /// moment ago does not count. Checks that come in meanwhile share the next question, so many
    /// cost no more than a few.
    pub(super) async fn check(&self) -> Result<(), LinkError> {
        let link = self.usable()?;
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.checks.send(answer).await.map_err(|_| LinkError::Down)?;
            answered.await.map_err(|_| LinkError::NotTaken)
        };
        let asked = tokio::select! {
            asked = timeout(CHECK, asking) => asked.unwrap_or(Err(LinkError::Silent)),
            () = link.over() => Err(LinkError::Down),
        };
        // What the connection says of itself is the better reason.
        link.usable().and(asked)
    }

    /// Publishes, and returns when the broker has confirmed all of it.
    pub(super) async fn publish(&self, ready: Vec<ReadyJobs>) -> Result<(), LinkError> {
        let link = self.usable()?;
        let publishing = publish(&link, &self.topology, &ready);
        timeout(FRESH, publishing).await.unwrap_or_else(|_| {
            // No more use to anybody, and neither is what the connection keeps to wait for it.
            link.cut();
            Err(LinkError::Silent)
        })
    }

    fn usable(&self) -> Result<Arc<Link>, LinkError> {
        let link = self.link.borrow().clone().ok_or(LinkError::Down)?;
        link.usable()?;
        Ok(link)
    }
}

async fn publish(link: &Link, topology: &Topology, ready: &[ReadyJobs]) -> Result<(), LinkError> {
    let mut sent = Vec::new();
    for ReadyJobs { gateway, jobs } in ready {
        for some in jobs.chunks(message::LARGEST) {
            let message = message::encode(some);
            sent.push(send(link, topology, Topology::key(*gateway), &message).await?);
        }
    }
    let mut result = Ok(());
    for confirmation in sent {
        match confirmation.await? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(returned)) => {
                // The gateway is gone, and its queue with it.
                let gateway = returned.delivery.routing_key.as_str();
                let dropped = message::decode(&returned.delivery.data).map_or(0, |jobs| jobs.len());
                tracing::warn!(gateway, dropped, "jobs are left to the sweep");
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => result = Err(LinkError::NotTaken),
        }
    }
    result
}

async fn send(
    link: &Link,
    topology: &Topology,
    key: ShortString,
    message: &[u8],
) -> lapin::Result<PublisherConfirm> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default();
    link.channel().basic_publish(topology.jobs(), key, options, message, properties).await
}

/// Keeps the publisher's connection, and answers checks.
pub(super) struct Publishing {
    topology: Topology,
    current: watch::Sender<Option<Arc<Link>>>,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
}

#[async_trait]
impl Work for Publishing {
    const PURPOSE: &'static str = "publisher";

    async fn prepare(&mut self, link: &Link) -> Result<(), LinkError> {
        self.topology.declare(link.channel()).await?;
        Ok(link.channel().confirm_select(ConfirmSelectOptions::default()).await?)
    }

    async fn serve(&mut self, link: &Arc<Link>) -> Result<(), LinkError> {
        // The broker tells of an alarm only those who have published before.
        self.probe(link).await?;
        self.current.send_replace(Some(Arc::clone(link)));
        loop {
            let mut waiting = Vec::new();
            if self.asked.recv_many(&mut waiting, CHECKS).await == 0 {
                return Ok(());
            }
            if self.probe(link).await? {
                for check in waiting {
                    // Fails when the check has been given up.
                    let _ = check.send(());
                }
            }
        }
    }
}

impl Publishing {
    /// Publishes an empty message to nobody, which the broker confirms and forgets: the whole way
    /// of a publication, and no trace of it. Says whether it was taken; fails when the connection
    /// is of no more use.
    async fn probe(&self, link: &Link) -> Result<bool, LinkError> {
        let probe = async {
            let (key, nothing) = (ShortString::default(), BasicProperties::default());
            let options = BasicPublishOptions::default();
            let jobs = self.topology.jobs();
            link.channel().basic_publish(jobs, key, options, &[], nothing).await?.await
        };
        match timeout(PROBE, probe).await {
            Ok(confirmation) => Ok(confirmation?.is_ack()),
            Err(_) => match link.usable() {
                // It stays silent while it is blocked, and says when it is no longer.
                Err(LinkError::Blocked) => Ok(false),
                _ => Err(LinkError::Silent),
            },
        }
    }
}
