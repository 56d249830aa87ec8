//! The store, as its port promises: every method is one transaction, a job changes only from the
//! version that was read, a gateway without a lease is refused.

use std::fmt;

use opencpm_domain::{Binding, Connection, GatewayId, JobState, Lease, Sequence, Timestamp};

use crate::agent::{Hello, Told};
use crate::state::{BEGIN, Rules, TASKS};

/// The rows that matter here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// Where the device is bound.
    pub bound: Option<Binding>,
    /// When the machine made the hello that it is bound by.
    pub made: u64,
    /// Counts its connections.
    pub epoch: u64,
    /// The highest sequence given to it or reported by it.
    pub highest: Sequence,
    /// The gateways' leases, by id.
    pub leases: Vec<(GatewayId, Lease)>,
    /// The job of each task, once it is accepted.
    pub jobs: [Option<JobRow>; TASKS],
}

/// A job as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobRow {
    /// Its place in the device's order.
    pub sequence: Sequence,
    /// Not to be applied later.
    pub not_after: Timestamp,
    /// Ends without a report then.
    pub deadline: Timestamp,
    /// Where it is.
    pub state: JobState,
    /// Grows with every change.
    pub version: u8,
    /// The machine's word, as it was sent.
    pub report: Option<Told>,
}

/// A job's next state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Which job.
    pub job: usize,
    /// The version that was read.
    pub version: u8,
    /// What it is to be.
    pub state: JobState,
    /// The report to keep.
    pub report: Option<Told>,
}

/// The lease of the gateway that asks is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease of the gateway has ended")]
pub struct LeaseEnded;

/// What became of a task to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is durable.
    Accepted,
    /// The same request was accepted before.
    AcceptedBefore,
    /// The device is not as the sealing relied on.
    Changed,
}

impl Store {
    /// Before the first connection.
    pub fn new(gateways: [GatewayId; 2]) -> Self {
        let lease = Lease { until: BEGIN + Lease::LENGTH };
        Self {
            bound: None,
            made: 0,
            epoch: 0,
            highest: Sequence::default(),
            leases: gateways.map(|gateway| (gateway, lease)).to_vec(),
            jobs: [const { None }; TASKS],
        }
    }

    /// The device's open job.
    pub fn open_job(&self) -> Option<(usize, &JobRow)> {
        let open = |(_, row): &(usize, &JobRow)| row.state.is_open();
        let rows = self.jobs.iter().enumerate().filter_map(|(job, row)| Some((job, row.as_ref()?)));
        rows.into_iter().find(open)
    }

    /// Where the device is connected, with the gateway's lease.
    pub fn connection(&self) -> Connection {
        let Some(binding) = self.bound else { return Connection::None };
        let lease = self.lease(binding.gateway).unwrap_or(Lease { until: BEGIN });
        Connection::Bound { binding, lease }
    }

    /// Whether any gateway has a valid lease.
    pub fn any_gateway_alive(&self, now: Timestamp) -> bool {
        self.leases.iter().any(|(_, lease)| lease.is_valid(now))
    }

    /// Writes a task, after checking again what could have changed.
    pub fn accept(
        &mut self,
        task: usize,
        row: JobRow,
        expected: (Binding, Sequence),
    ) -> Acceptance {
        if self.jobs[task].is_some() {
            return Acceptance::AcceptedBefore;
        }
        let (binding, highest) = expected;
        let as_expected = self.bound == Some(binding) && self.highest == highest;
        if !as_expected || self.open_job().is_some() {
            return Acceptance::Changed;
        }
        self.highest = self.highest.max(row.sequence);
        self.jobs[task] = Some(row);
        Acceptance::Accepted
    }

    /// Applies a change if the version is still the expected one; tells whether it was. With a
    /// fence, only while that gateway's lease is valid.
    pub fn change_job(
        &mut self,
        change: Change,
        fence: Option<GatewayId>,
        now: Timestamp,
    ) -> Result<bool, LeaseEnded> {
        self.check(fence, now)?;
        let row = self.jobs[change.job].as_mut().filter(|row| row.version == change.version);
        let Some(row) = row else { return Ok(false) };
        row.state = change.state;
        row.version += 1;
        row.report = change.report.or(row.report.take());
        Ok(true)
    }

    /// Binds the device to a connection of this gateway; the epoch that it gets. Nothing while it is
    /// connected by a hello that it made later.
    pub fn bind(
        &mut self,
        rules: &Rules,
        gateway: GatewayId,
        hello: Hello,
        now: Timestamp,
    ) -> Result<Option<u64>, LeaseEnded> {
        self.check(rules.fenced.then_some(gateway), now)?;
        let alive = self.bound.is_some_and(|bound| self.is_leased(bound.gateway, now));
        if rules.hellos_in_order && alive && hello.made < self.made {
            return Ok(None);
        }
        self.epoch += 1;
        self.bound = Some(Binding { gateway, epoch: self.epoch });
        self.made = hello.made;
        self.highest = self.highest.max(hello.highest);
        Ok(Some(self.epoch))
    }

    /// Ends a connection: clears only its own epoch.
    pub fn unbind(&mut self, ended: Binding) {
        self.bound = self.bound.filter(|bound| *bound != ended);
    }

    /// A gateway's lease, if it ever had one.
    pub fn lease(&self, gateway: GatewayId) -> Option<Lease> {
        self.leases.iter().find(|(id, _)| *id == gateway).map(|(_, lease)| *lease)
    }

    /// Whether a gateway may bind and deliver.
    pub fn is_leased(&self, gateway: GatewayId, now: Timestamp) -> bool {
        self.lease(gateway).is_some_and(|lease| lease.is_valid(now))
    }

    /// Takes or renews a lease; nothing when it had ended. Forgets those that nobody asks about any
    /// more, so that they do not make two states of one.
    pub fn renew(&mut self, gateway: GatewayId, now: Timestamp) {
        let until = now + Lease::LENGTH;
        match self.leases.iter_mut().find(|(id, _)| *id == gateway) {
            Some((_, lease)) if lease.is_valid(now) => lease.until = until,
            Some(_) => {}
            None => self.leases.push((gateway, Lease { until })),
        }
    }

    fn check(&self, fence: Option<GatewayId>, now: Timestamp) -> Result<(), LeaseEnded> {
        match fence {
            Some(gateway) if !self.is_leased(gateway, now) => Err(LeaseEnded),
            _ => Ok(()),
        }
    }

    /// For people.
    pub(crate) fn where_bound(&self) -> String {
        match self.bound {
            None => "bound nowhere".to_owned(),
            Some(Binding { gateway, epoch }) => {
                let [slot, term, ..] = *gateway.as_bytes();
                format!("bound to gateway {slot} term {term}, connection {epoch}")
            }
        }
    }
}

impl fmt::Display for JobRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            JobState::Ready => write!(f, "ready"),
            JobState::Attempted { attempts } => write!(f, "attempted {attempts}x"),
            JobState::Succeeded { .. } => write!(f, "succeeded"),
            JobState::Failed { reason, .. } => write!(f, "failed, {}", reason.name()),
        }
    }
}
