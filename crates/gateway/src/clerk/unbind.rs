use std::sync::Arc;

use opencpm_domain::InstanceId;

use super::{Batches, persist};
use crate::operations::Operations;
use crate::term::Term;

/// Unbinds connections that ended. Does not give up while the lease is valid: until then the
/// devices would count as alive.
pub(crate) async fn run(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    mut batches: Batches<(InstanceId, u64)>,
) {
    while let Some(gone) = batches.next().await {
        persist(&term, "unbind", || operations.unbind(term.id, gone.clone())).await;
    }
}
