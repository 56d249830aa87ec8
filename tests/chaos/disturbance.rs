//! When the cluster was not whole: only then may an end be late.

use std::time::{Duration, Instant};

/// The times from a fault's beginning until the cluster was whole again.
#[derive(Default)]
pub(crate) struct Disturbances(Vec<(Instant, Option<Instant>)>);

impl Disturbances {
    /// A fault begins.
    pub(crate) fn begin(&mut self, at: Instant) {
        if self.0.last().is_none_or(|(_, end)| end.is_some()) {
            self.0.push((at, None));
        }
    }

    /// The cluster is whole.
    pub(crate) fn end(&mut self, at: Instant) {
        if let Some((_, end)) = self.0.last_mut() {
            end.get_or_insert(at);
        }
    }

    /// When something with this deadline must have happened: so long after it, or so long after
    /// the end of a disturbance that was under way meanwhile. Nothing while one is.
    pub(crate) fn due(&self, deadline: Instant, grace: Duration) -> Option<Instant> {
        let mut due = deadline + grace;
        for (begin, end) in &self.0 {
            if *begin < due && end.is_none_or(|end| end > deadline) {
                due = due.max((*end)? + grace);
            }
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disturbance_at_the_deadline_excuses_a_late_end() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut all = Disturbances::default();
        assert_eq!(all.due(start + 20 * second, 5 * second), Some(start + 25 * second));
        all.begin(start);
        all.end(start + 3 * second);
        assert_eq!(all.due(start + 20 * second, 5 * second), Some(start + 25 * second));
        all.begin(start + 21 * second);
        assert_eq!(all.due(start + 20 * second, 5 * second), None);
        all.end(start + 30 * second);
        assert_eq!(all.due(start + 20 * second, 5 * second), Some(start + 35 * second));
        assert_eq!(all.due(start + 31 * second, 5 * second), Some(start + 36 * second));
    }
}
