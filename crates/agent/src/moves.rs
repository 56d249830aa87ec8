//! When an agent goes where it was asked to go.

use std::collections::VecDeque;

use opencpm_domain::{Span, Timestamp};

use crate::address::Address;

/// From one round through the addresses to the next: a gateway that asks all the time has its agents
/// storm nobody. Short enough that an agent which has just moved, and is asked again, is gone
/// before a drain has lost its patience: at least 15 s after it asked.
const PAUSE: Span = Span::from_secs(10);

/// Addresses that are to be tried, one after the other. Times are since boot.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// When the last round began, or the one to come begins.
    begin: Option<Timestamp>,
    to: VecDeque<Address>,
}

impl Moves {
    /// True while there is somewhere to go.
    pub(crate) fn is_asked(&self) -> bool {
        !self.to.is_empty()
    }

    /// The gateway asks. Nothing is to be asked of a round that is under way.
    pub(crate) fn ask(&mut self, now: Timestamp, to: Vec<Address>) {
        if !self.is_asked() {
            self.begin = Some(self.begin.map_or(now, |last| now.max(last + PAUSE)));
            self.to = to.into();
        }
    }

    /// How long until the next address is to be tried; `None` where there is none.
    pub(crate) fn wait(&self, now: Timestamp) -> Option<Span> {
        let begin = self.begin.filter(|_| self.is_asked())?;
        Some(if now < begin { begin.distance(now) } else { Span::default() })
    }

    /// The next address, if it is time.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Address> {
        if self.wait(now)? > Span::default() { None } else { self.to.pop_front() }
    }

    /// The agent has moved.
    pub(crate) fn arrived(&mut self) {
        self.to.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(100 + secs)
    }

    fn address(port: u16) -> Address {
        format!("gw:{port}").parse().unwrap()
    }

    #[test]
    fn a_gateway_that_asks_all_the_time_has_the_addresses_tried_once_in_ten_seconds() {
        let mut moves = Moves::default();
        assert_eq!((moves.wait(at(0)), moves.next(at(0))), (None, None));
        let mut tried = Vec::new();
        for second in 0..30 {
            moves.ask(at(second), vec![address(1), address(2)]);
            while let Some(next) = moves.next(at(second)) {
                tried.push((second, next));
            }
        }
        let rounds = [0, 10, 20].iter().flat_map(|&s| [(s, address(1)), (s, address(2))]);
        assert_eq!(tried, rounds.collect::<Vec<_>>());
    }

    #[test]
    fn an_agent_that_has_just_moved_and_is_asked_again_goes_ten_seconds_after() {
        let mut moves = Moves::default();
        moves.ask(at(0), vec![address(1), address(2)]);
        assert_eq!(moves.next(at(0)), Some(address(1)));
        moves.arrived();
        assert_eq!(moves.next(at(1)), None);
        moves.ask(at(3), vec![address(3)]);
        assert_eq!(moves.wait(at(3)), Some(Span::from_secs(7)));
        assert_eq!(moves.next(at(9)), None);
        assert_eq!(
            (moves.wait(at(10)), moves.next(at(10))),
            (Some(Span::default()), Some(address(3)))
        );
    }
}
