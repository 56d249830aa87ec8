//! Whether this process can do the work of its roles now.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use opencpm_gateway::Connector;
use opencpm_operations::clock_check;
use opencpm_operations::port::{Clock, Queue, Store};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// A part that does not answer within this is away. Less than any prober waits.
const LIMIT: Duration = Duration::from_millis(800);

/// Whoever asks within this gets the same answer, so that probes cost little however many come.
const FRESH: Duration = Duration::from_millis(500);

/// Something that the work needs.
pub(super) struct Part {
    name: &'static str,
    /// What is missing of it.
    look: Box<dyn Fn() -> BoxFuture<'static, Option<&'static str>> + Send + Sync>,
}

impl Part {
    /// Takes changes: what every role needs first.
    pub(super) fn store(store: &Arc<dyn Store>) -> Self {
        let store = Arc::clone(store);
        Self::new("store", move || {
            let store = Arc::clone(&store);
            async move { store.check().await.is_ok() }
        })
    }

    /// The store, and a clock of this node that agrees with it: else the API role refuses every
    /// reset.
    pub(super) fn store_and_clock(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let look = move || {
            let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
            let look = async move {
                let before = clock.now();
                let Ok(now) = store.check().await else { return Some("store") };
                clock_check::check(before, now, clock.now()).is_err().then_some("clock")
            };
            Box::pin(look) as BoxFuture<'static, _>
        };
        Self { name: "store", look: Box::new(look) }
    }

    /// Takes publications: without it the API role refuses before it writes (9005).
    pub(super) fn queue(queue: &Arc<dyn Queue>) -> Self {
        let queue = Arc::clone(queue);
        Self::new("queue", move || {
            let queue = Arc::clone(&queue);
            async move { queue.check().await.is_ok() }
        })
    }

    /// Is valid: without it the gateway role takes nobody in and records nothing.
    pub(super) fn lease(gateway: Connector) -> Self {
        Self::new("lease", move || std::future::ready(gateway.holds_lease()))
    }

    fn new<F>(name: &'static str, works: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let look = move || {
            let works = works();
            let look = async move { (!works.await).then_some(name) };
            Box::pin(look) as BoxFuture<'static, _>
        };
        Self { name, look: Box::new(look) }
    }

    /// What is missing of it; all of it where it does not answer.
    async fn missing(&self) -> Option<&'static str> {
        timeout(LIMIT, (self.look)()).await.unwrap_or(Some(self.name))
    }
}

/// What this process is doing.
#[derive(Clone)]
enum Phase {
    Starting,
    Serving(Arc<[Part]>),
    Draining,
    Broken,
}

/// Whether the process is ready, and what it lacks if not.
pub(super) struct Readiness {
    phase: StdMutex<Phase>,
    /// Locked while somebody looks; the others wait for what is seen.
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    at: Instant,
    missing: Vec<&'static str>,
}

impl Readiness {
    /// Of a process that starts.
    pub(super) fn new() -> Self {
        Self { phase: StdMutex::new(Phase::Starting), seen: Mutex::default() }
    }

    /// From now on the process serves, as well as these parts work.
    pub(super) fn serves(&self, parts: Vec<Part>) {
        self.enter(Phase::Serving(parts.into()));
    }

    /// From now on the process finishes what was begun.
    pub(super) fn drains(&self) {
        self.enter(Phase::Draining);
    }

    /// A part of the process has panicked: it is about to end.
    pub(super) fn breaks(&self) {
        self.enter(Phase::Broken);
    }

    /// Whether the process is whole.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.phase(), Phase::Broken)
    }

    /// What is missing; empty when the process is ready.
    pub(super) async fn missing(&self) -> Vec<&'static str> {
        match self.phase() {
            Phase::Starting => vec!["starting"],
            Phase::Draining => vec!["draining"],
            Phase::Broken => vec!["broken"],
            Phase::Serving(parts) => self.look(&parts).await,
        }
    }

    async fn look(&self, parts: &[Part]) -> Vec<&'static str> {
        let mut seen = self.seen.lock().await;
        if let Some(last) = seen.as_ref()
            && last.at.elapsed() < FRESH
        {
            return last.missing.clone();
        }
        let missing = join_all(parts.iter().map(Part::missing)).await;
        let missing: Vec<_> = missing.into_iter().flatten().collect();
        let before = seen.as_ref().map(|last| &last.missing);
        if before != Some(&missing) {
            tell(&missing);
        }
        *seen = Some(Seen { at: Instant::now(), missing: missing.clone() });
        missing
    }

    fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self, next: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        // What is broken stays so while it ends.
        if !matches!(*phase, Phase::Broken) {
            *phase = next;
        }
    }
}

fn tell(missing: &[&str]) {
    if missing.is_empty() {
        tracing::info!("ready");
    } else {
        tracing::warn!(missing = missing.join(" "), "not ready");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    use opencpm_domain::Timestamp;
    use opencpm_store::SqliteStore;
    use tokio::time::advance;

    use super::*;

    /// A part that is away or not, and counts how often it is asked.
    fn part(name: &'static str, works: &Arc<AtomicBool>, asked: &Arc<AtomicUsize>) -> Part {
        let (works, asked) = (Arc::clone(works), Arc::clone(asked));
        Part::new(name, move || {
            asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready(works.load(Ordering::SeqCst))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_is_ready_while_its_parts_work_and_heals_with_them() {
        let readiness = Readiness::new();
        assert_eq!(readiness.missing().await, ["starting"]);
        let works = Arc::new(AtomicBool::new(true));
        readiness.serves(["store", "queue"].map(|name| part(name, &works, &Arc::default())).into());
        assert!(readiness.missing().await.is_empty());
        works.store(false, Ordering::SeqCst);
        advance(FRESH).await;
        assert_eq!(readiness.missing().await, ["store", "queue"]);
        works.store(true, Ordering::SeqCst);
        advance(FRESH).await;
        assert!(readiness.missing().await.is_empty());
        readiness.drains();
        assert_eq!(readiness.missing().await, ["draining"]);
        assert!(readiness.is_whole());
    }

    /// Seconds.
    struct HandClock(AtomicU64);

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn a_node_whose_clock_is_not_the_stores_is_not_ready_until_it_is() {
        let [own, stores] = [(); 2].map(|()| Arc::new(HandClock(AtomicU64::new(1_000))));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Arc::new(SqliteStore::open(&path, stores.clone()).await.unwrap());
        let (store_port, clock): (Arc<dyn Store>, Arc<dyn Clock>) = (store.clone(), own.clone());
        let part = Part::store_and_clock(&store_port, &clock);
        for (time, missing) in
            [(1_005, None), (1_006, Some("clock")), (994, Some("clock")), (995, None)]
        {
            own.0.store(time, Ordering::SeqCst);
            assert_eq!(part.missing().await, missing, "{time}");
        }
        store.close().await.unwrap();
        assert_eq!(part.missing().await, Some("store"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_answer_is_away() {
        let readiness = Readiness::new();
        readiness.serves(vec![
            Part::new("store", std::future::pending),
            Part::new("lease", || std::future::ready(true)),
        ]);
        let begin = Instant::now();
        assert_eq!(readiness.missing().await, ["store"]);
        assert_eq!(begin.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_at_once_share_one_look() {
        let readiness = Readiness::new();
        let (works, asked) = (Arc::new(AtomicBool::new(true)), Arc::default());
        readiness.serves(vec![part("store", &works, &asked)]);
        let all = join_all((0..100).map(|_| readiness.missing())).await;
        assert!(all.iter().all(Vec::is_empty));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        advance(FRESH).await;
        readiness.missing().await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_broken_stays_broken_while_it_ends() {
        let readiness = Readiness::new();
        readiness.serves(vec![]);
        readiness.breaks();
        readiness.drains();
        assert_eq!(readiness.missing().await, ["broken"]);
        assert!(!readiness.is_whole());
    }
}
