//! What a message holds: a version, and ids of jobs. Nothing else, so the broker learns nothing
//! else.

use opencpm_domain::JobId;

/// Job ids in one message at most: 16 KB, far below the size of a frame.
pub(super) const LARGEST: usize = 1_000;

/// The first byte. A receiver that does not know a version leaves the jobs to the sweep, so a new
/// one is first understood everywhere and then sent.
const VERSION: u8 = 1;

/// The length of an id.
const ID: usize = 16;

/// A message that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message with job ids of version 1")]
pub(super) struct Undecodable;

/// The version, then the ids without anything between. At most [`LARGEST`].
pub(super) fn encode(jobs: &[JobId]) -> Vec<u8> {
    let ids = jobs.iter().flat_map(|job| *job.as_bytes());
    std::iter::once(VERSION).chain(ids).collect()
}

/// The ids of a message: one at least, [`LARGEST`] at most.
pub(super) fn decode(message: &[u8]) -> Result<Vec<JobId>, Undecodable> {
    let Some((&VERSION, ids)) = message.split_first() else { return Err(Undecodable) };
    let (ids, rest) = ids.as_chunks::<ID>();
    if !rest.is_empty() || ids.is_empty() || ids.len() > LARGEST {
        return Err(Undecodable);
    }
    Ok(ids.iter().map(|id| JobId::from_bytes(*id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_read_is_written_the_same_again() {
        for bytes in [&encode(&jobs(7))[..], b"", &[1], &[1; 17], &[1; 18]] {
            crate::fuzzing::queue_message(bytes);
        }
    }

    fn jobs(count: usize) -> Vec<JobId> {
        (0..count).map(|n| JobId::from_bytes((n as u128).to_be_bytes())).collect()
    }

    #[test]
    fn ids_come_out_as_they_went_in_and_nothing_is_beside_them() {
        for count in [1, 2, LARGEST] {
            let message = encode(&jobs(count));
            assert_eq!(message.len(), 1 + 16 * count);
            assert_eq!(decode(&message), Ok(jobs(count)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = encode(&jobs(3));
        let other_version = [&[2], &good[1..]].concat();
        let too_many = encode(&jobs(LARGEST + 1));
        let cut: Vec<&[u8]> =
            (0..good.len()).filter(|n| n % 16 != 1 || *n == 1).map(|n| &good[..n]).collect();
        for message in cut.into_iter().chain([&other_version[..], &too_many, b"reset root"]) {
            assert_eq!(decode(message), Err(Undecodable), "{message:?}");
        }
    }
}
