//! A job moves only from the state that was read, and its device moves with it.

use opencpm_domain::{Advice, Generation, JobState, Reason, Sequence, Timestamp};
use opencpm_operations::port::Deliverable;
use opencpm_operations::row::DeviceProgress;

use super::world::{GATEWAY, World, next, sealing, span, succeeded};

pub(crate) async fn only_the_expected_version_is_changed(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let jobs = world.accept(100, &ids).await;
    let mut stale = next(&jobs[0], succeeded(world.now()));
    stale.version += 1;
    let good = next(&jobs[1], JobState::Attempted { attempts: 1 });
    assert_eq!(world.change(vec![stale, good.clone()]).await, [jobs[1].job]);
    assert_eq!(world.change(vec![good]).await, []);
    let after = world.jobs(100).await;
    assert_eq!((&after[0].state, after[0].version), (&JobState::Ready, jobs[0].version));
    assert_eq!(after[1].state, JobState::Attempted { attempts: 1 });
    assert_eq!(after[1].version, jobs[1].version + 1);
}

pub(crate) async fn every_state_is_read_as_it_was_written(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    world.accept(100, &ids).await;
    let (ended, applied) = (world.now(), Timestamp::from_secs(5));
    let advice = vec![Advice::Superseded, Advice::LockLifted];
    let mut states = vec![JobState::Attempted { attempts: 3 }];
    for reason in Reason::ALL {
        states.push(JobState::Failed { attempts: 0, ended, reason: *reason, corrected: false });
    }
    states.push(JobState::Failed { attempts: 2, ended, reason: Reason::Expired, corrected: true });
    for corrected in [false, true] {
        let advice = advice.clone();
        states.push(JobState::Succeeded { attempts: 4, ended, applied, advice, corrected });
    }
    for state in states {
        let job = &world.jobs(100).await[0];
        assert_eq!(world.change(vec![next(job, state.clone())]).await, [job.job]);
        assert_eq!(world.jobs(100).await[0].state, state);
    }
}

pub(crate) async fn an_ended_job_has_no_sealed_password_and_frees_its_device(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let jobs = world.accept(100, &ids).await;
    let open = async || {
        let all = Deliverable::Devices(ids.clone());
        let (_, jobs) = world.store.deliverable_jobs(GATEWAY, all, 10).await.unwrap();
        jobs.into_iter().map(|d| (d.job.instance, d.job.sealed.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [(ids[0].clone(), true), (ids[1].clone(), true)]);
    assert!(world.device(&ids[0]).await.has_open_job);
    world.succeed(&jobs[0]).await;
    assert_eq!(open().await, [(ids[1].clone(), true)]);
    assert!(!world.device(&ids[0]).await.has_open_job);
    assert!(world.store.scrub().await.unwrap());
    assert_eq!(open().await, [(ids[1].clone(), true)]);
}

pub(crate) async fn a_report_brings_its_device_forward(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    let progress = |sequence, generation| DeviceProgress {
        instance: ids[0].clone(),
        sequence: Sequence::new(sequence),
        sealing: Some((Generation::FIRST, sealing(generation))),
    };
    let mut stale = next(&jobs[0], succeeded(world.now()));
    stale.version += 1;
    stale.device = Some(progress(u64::MAX, 9));
    assert_eq!(world.change(vec![stale]).await, []);
    assert_eq!(world.device(&ids[0]).await.sealing, Some(sealing(1)));

    let mut change = next(&jobs[0], succeeded(world.now()));
    let higher = jobs[0].sequence.get() + 5;
    change.device = Some(progress(higher, 2));
    world.change(vec![change]).await;
    let device = world.device(&ids[0]).await;
    assert_eq!((device.sealing, device.highest_sequence.get()), (Some(sealing(2)), higher));

    // A late report of an earlier sequence lowers nothing.
    let job = &world.jobs(100).await[0];
    let mut late = next(job, succeeded(world.now()));
    late.device = Some(progress(1, 1));
    world.change(vec![late]).await;
    let device = world.device(&ids[0]).await;
    assert_eq!((device.sealing, device.highest_sequence.get()), (Some(sealing(2)), higher));
}

pub(crate) async fn two_reports_of_one_device_bring_the_later_keys(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let first = world.accept(100, &ids).await;
    let unknown = JobState::Failed {
        attempts: 1,
        ended: world.now(),
        reason: Reason::OutcomeUnknown,
        corrected: false,
    };
    world.change(vec![next(&first[0], unknown)]).await;
    let jobs = [world.jobs(100).await, world.accept(101, &ids).await].concat();
    let changes = jobs.iter().zip([3, 2]).map(|(job, number)| {
        let mut change = next(job, succeeded(world.now()));
        change.device = Some(DeviceProgress {
            instance: ids[0].clone(),
            sequence: job.sequence,
            sealing: Some((Generation::FIRST, sealing(number))),
        });
        change
    });
    assert_eq!(world.change(changes.collect()).await.len(), 2);
    let device = world.device(&ids[0]).await;
    assert_eq!(device.sealing, Some(sealing(3)));
    assert_eq!(device.highest_sequence, jobs[1].sequence);
}

pub(crate) async fn an_attempt_is_remembered_and_its_report_kept(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    let mut attempt = next(&jobs[0], JobState::Attempted { attempts: 1 });
    attempt.attempted = Some(world.now());
    world.change(vec![attempt]).await;
    let found = async |long| {
        let lost = Deliverable::NotAttemptedFor(span(long));
        world.store.deliverable_jobs(GATEWAY, lost, 9).await.unwrap().1.len()
    };
    assert_eq!((found(1).await, found(0).await), (0, 1));

    let mut report = next(&world.jobs(100).await[0], succeeded(world.now()));
    report.report = Some(vec![1, 2, 3]);
    world.change(vec![report]).await;
    world.change(vec![next(&world.jobs(100).await[0], succeeded(world.now()))]).await;
    assert_eq!(world.jobs(100).await[0].report, Some(vec![1, 2, 3]));
}
