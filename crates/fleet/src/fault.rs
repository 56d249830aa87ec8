use std::str::FromStr;
use std::time::Duration;

use opencpm_domain::Reason;

/// What is wrong with a device. One without a fault does every job at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reports every job as failed for this reason: `fails=REASON`.
    Fails(Reason),
    /// Never answers a job: `silent`.
    Silent,
    /// Does a job at once, and tells it so long after the last one came: `late=SECONDS`.
    Late(Duration),
    /// The connection breaks after a job was done and before it is told. The device comes back:
    /// `breaks`.
    Breaks,
    /// The connection breaks when a job comes, and the device never comes back: `vanishes`.
    Vanishes,
}

/// A text that names no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of fails=REASON, silent, late=SECONDS, breaks, vanishes")]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let fault = match text.split_once('=') {
            None => match text {
                "silent" => Some(Self::Silent),
                "breaks" => Some(Self::Breaks),
                "vanishes" => Some(Self::Vanishes),
                _ => None,
            },
            Some(("fails", name)) => {
                let of_a_machine = |reason: &&Reason| !reason.is_servers_own();
                let mut reasons = Reason::ALL.iter().filter(of_a_machine);
                reasons.find(|reason| reason.name() == name).copied().map(Self::Fails)
            }
            Some(("late", seconds)) => seconds
                .parse()
                .ok()
                .map(|seconds: u32| Self::Late(Duration::from_secs(seconds.into()))),
            Some(_) => None,
        };
        fault.ok_or(UnknownFault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_as_it_is_documented() {
        assert_eq!("silent".parse(), Ok(Fault::Silent));
        assert_eq!("breaks".parse(), Ok(Fault::Breaks));
        assert_eq!("vanishes".parse(), Ok(Fault::Vanishes));
        assert_eq!("late=5".parse(), Ok(Fault::Late(Duration::from_secs(5))));
        let reason = Reason::DuplicateRootEntry;
        assert_eq!(format!("fails={}", reason.name()).parse(), Ok(Fault::Fails(reason)));
    }

    #[test]
    fn a_reason_that_no_machine_gives_is_no_fault() {
        for text in ["fails=outcome_unknown", "fails=", "fails", "late=", "late=-1", "sulks", ""] {
            assert_eq!(text.parse::<Fault>(), Err(UnknownFault), "{text}");
        }
    }
}
