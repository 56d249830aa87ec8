use std::sync::Arc;

use opencpm_domain::InstanceId;
use opencpm_operations::port::StoreError;
use opencpm_protocol::message::Farewell;

use super::Batches;
use crate::line::{Command, Line};
use crate::operations::Operations;
use crate::term::{Claim, Term};

/// Looks up who says hello. When a whole fleet comes at once, the store is asked a few times.
pub(crate) async fn run(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    mut batches: Batches<Claim>,
) {
    while let Some(batch) = batches.next().await {
        let mut parts = vec![batch];
        while let Some(claims) = parts.pop() {
            parts.extend(recognise(&term, &*operations, claims).await);
        }
    }
}

/// Answers the claims. Where one of the rows cannot be read, halves are given back, to be looked up
/// apart: that is one device's trouble.
async fn recognise(
    term: &Term,
    operations: &dyn Operations,
    mut claims: Vec<Claim>,
) -> Vec<Vec<Claim>> {
    let mut instances: Vec<_> = claims.iter().map(|claim| claim.instance.clone()).collect();
    instances.sort_unstable();
    instances.dedup();
    match operations.recognise(instances).await {
        Ok(known) => {
            for Claim { line, instance } in claims {
                line.tell(match known.get(&instance) {
                    Some(Ok(candidate)) => Command::Recognised(Box::new(candidate.clone())),
                    Some(Err(farewell)) => Command::Dismiss(*farewell),
                    None => stranger(&instance),
                });
            }
        }
        Err(StoreError::Corrupt(_)) if claims.len() > 1 => {
            let half = claims.split_off(claims.len() / 2);
            return vec![half, claims];
        }
        Err(error) => {
            term.refused("hellos", &error);
            let lines = claims.iter().map(|claim| &claim.line);
            lines.for_each(|line: &Line| line.tell(Command::Dismiss(Farewell::Unavailable)));
        }
    }
    Vec::new()
}

fn stranger(instance: &InstanceId) -> Command {
    tracing::info!(%instance, "a device that nobody knows is not let in");
    Command::Dismiss(Farewell::NotRecognised)
}
