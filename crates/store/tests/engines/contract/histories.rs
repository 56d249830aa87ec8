//! Whatever happens in whatever order: the store says what a simple model of it says.

use std::collections::BTreeMap;

use opencpm_domain::{Ending, GatewayId, InstanceId, JobId, Sequence};
use opencpm_operations::port::Enrolled;
use opencpm_operations::row::{Acceptance, Connection, JobRow};

use super::world::{GATEWAY, World, enrolment, hello, id, next};

/// What is known of a device without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    generation: u32,
    epoch: Option<u64>,
    highest: Sequence,
    open: Option<JobId>,
}

struct History<'w> {
    world: &'w mut World,
    chance: u64,
    devices: BTreeMap<InstanceId, Known>,
    last_task: u64,
    last_epoch: BTreeMap<InstanceId, (GatewayId, u64)>,
}

pub(crate) async fn any_history_keeps_the_promises(world: &mut World) {
    let ids = world.devices(&["cpm-0", "cpm-1", "cpm-2", "cpm-3", "cpm-4"]).await;
    let fresh = Known { generation: 1, epoch: Some(1), highest: Sequence::default(), open: None };
    let devices = ids.iter().map(|id| (id.clone(), fresh.clone())).collect();
    let last_epoch = ids.into_iter().map(|id| (id, (GATEWAY, 1))).collect();
    let mut history = History { world, chance: 42, devices, last_task: 0, last_epoch };
    for _ in 0..300 {
        history.step().await;
        history.compare().await;
    }
    assert!(history.last_task > 20, "{} tasks are too few", history.last_task);
}

impl History<'_> {
    /// A number below `bound`, the same ones in every run.
    fn pick(&mut self, bound: u64) -> u64 {
        // Constants of Knuth's MMIX.
        let next = self.chance.wrapping_mul(6_364_136_223_846_793_005);
        self.chance = next.wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    fn device(&mut self) -> (InstanceId, Known) {
        let instance = id(&format!("cpm-{}", self.pick(5)));
        let known = self.devices[&instance].clone();
        (instance, known)
    }

    async fn step(&mut self) {
        match self.pick(20) {
            0..6 => self.ask().await,
            6..12 => self.end().await,
            12..16 => self.connect().await,
            16 => self.disconnect().await,
            17 => self.enrol_again().await,
            18 => assert!(self.world.store.scrub().await.unwrap()),
            _ => self.world.crash().await,
        }
        let moved = self.pick(3);
        self.world.clock.advance(moved);
    }

    /// A reset of one or two devices, whether they are ready for it or not.
    async fn ask(&mut self) {
        let mut ids = vec![self.device().0, self.device().0];
        ids.dedup();
        let number = self.last_task + 1;
        let task = self.world.task(number, &ids).await;
        let known = |id: &InstanceId| &self.devices[id];
        let unready = ids.iter().filter(|id| known(id).open.is_some() || known(id).epoch.is_none());
        let unready: Vec<_> = unready.cloned().collect();
        let answer = self.world.store.accept(task.clone().into()).await.unwrap();
        if !unready.is_empty() {
            assert_eq!(answer, Acceptance::Changed(unready));
            return;
        }
        assert_eq!(answer, Acceptance::Accepted);
        self.last_task = number;
        for job in task.jobs {
            let device = self.devices.get_mut(&job.instance).unwrap();
            device.open = Some(job.job);
            device.highest = job.sequence;
        }
    }

    async fn end(&mut self) {
        let open = self.devices.iter().filter_map(|(id, known)| Some((id.clone(), known.open?)));
        let open: Vec<_> = open.collect();
        let Some(place) = self.pick(5).checked_rem(open.len() as u64) else { return };
        let (instance, job) = open[usize::try_from(place).unwrap()].clone();
        let job = self.job(job).await;
        self.world.succeed(&job).await;
        self.devices.get_mut(&instance).unwrap().open = None;
    }

    async fn connect(&mut self) {
        let (instance, known) = self.device();
        let mut told = hello(&instance);
        // Now and then a copy of the machine with its former identity.
        let former = self.pick(4) == 0 && known.generation > 1;
        let generation = known.generation - u32::from(former);
        told.identity_generation = super::world::generation(generation);
        let bound = self.world.store.bind(self.world.gateway, vec![told]).await.unwrap();
        if former {
            assert_eq!(bound, []);
            return;
        }
        let epoch = self.last_epoch[&instance].1 + 1;
        assert_eq!(bound, [(instance.clone(), epoch)]);
        self.last_epoch.insert(instance.clone(), (self.world.gateway, epoch));
        self.devices.get_mut(&instance).unwrap().epoch = Some(epoch);
    }

    /// Of the connection in force, or of the one before.
    async fn disconnect(&mut self) {
        let (instance, _) = self.device();
        let (gateway, last) = self.last_epoch[&instance];
        let epoch = last - self.pick(2);
        let ended = vec![(instance.clone(), epoch)];
        self.world.store.unbind(gateway, ended).await.unwrap();
        let device = self.devices.get_mut(&instance).unwrap();
        device.epoch = device.epoch.filter(|in_force| *in_force != epoch);
    }

    async fn enrol_again(&mut self) {
        let (instance, known) = self.device();
        let now = self.world.now();
        let mut again = enrolment(&instance, known.generation + 1, now);
        if let Some(job) = known.open {
            let job = self.job(job).await;
            let ended = job.state.clone().end_unreported(Ending::ReEnrolled, now).unwrap();
            again.jobs = vec![next(&job, ended)];
        }
        assert_eq!(self.world.store.enrol(again).await.unwrap(), Enrolled::Done);
        let device = self.devices.get_mut(&instance).unwrap();
        *device = Known { generation: known.generation + 1, epoch: None, open: None, ..known };
    }

    async fn job(&self, job: JobId) -> JobRow {
        self.world.store.jobs(&[job]).await.unwrap().1.remove(0)
    }

    async fn compare(&self) {
        let ids: Vec<_> = self.devices.keys().cloned().collect();
        let open = self.world.store.open_jobs(&ids).await.unwrap();
        let open: BTreeMap<_, _> = open.into_iter().map(|job| (job.instance, job.job)).collect();
        let found = self.world.store.reset_candidates(&ids).await.unwrap();
        assert_eq!(found.last_task.map_or(0, |task| task.get()), self.last_task);
        let found = found.devices.into_iter().map(|device| {
            let known = Known {
                generation: device.authority.identity.unwrap().generation.get(),
                epoch: match device.connection {
                    Connection::None => None,
                    Connection::Bound { binding, .. } => Some(binding.epoch),
                },
                highest: device.highest_sequence,
                open: open.get(&device.authority.instance).copied(),
            };
            (device.authority.instance, known)
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), self.devices);
    }
}
