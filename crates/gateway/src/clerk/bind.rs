use std::collections::HashMap;
use std::sync::Arc;

use opencpm_domain::InstanceId;
use opencpm_operations::connect::Bound;
use opencpm_protocol::message::Farewell;

use super::Batches;
use crate::line::{Command, Line};
use crate::operations::Operations;
use crate::term::{BindRequest, Seat, Term};

/// Binds connections to their devices. One at a time for all, so that of two connections of one
/// device the later one wins.
pub(crate) async fn run(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    mut batches: Batches<BindRequest>,
) {
    while let Some(batch) = batches.next().await {
        bind(&term, &*operations, newest(batch)).await;
    }
}

async fn bind(
    term: &Arc<Term>,
    operations: &dyn Operations,
    mut requests: HashMap<InstanceId, BindRequest>,
) {
    if term.draining.is_cancelled() {
        return dismiss(requests, term.farewell());
    }
    let arrivals = requests.values().map(|request| (*request.arrival).clone()).collect();
    match operations.bind(term.id, arrivals).await {
        Ok(bound) => {
            for bound in bound {
                if let Some(request) = requests.remove(&bound.instance) {
                    seat(term, request.line, bound);
                }
            }
            // Changed since it was recognised, or connected elsewhere since it said hello. Whoever
            // still listens hears more when it comes again.
            dismiss(requests, Farewell::Replaced);
        }
        Err(error) => {
            term.refused("devices", &error);
            dismiss(requests, Farewell::Unavailable);
        }
    }
}

/// Takes the device in. Registered before it is told: should its session have ended meanwhile,
/// dropping the seat undoes both. A job that comes in between finds no welcome sent, is dropped
/// by the conversation, and asked for again as the device's arrival.
fn seat(term: &Arc<Term>, line: Line, Bound { instance, epoch, welcome }: Bound) {
    let seat = Seat { term: Arc::clone(term), instance: instance.clone(), epoch };
    term.registry.insert(instance.clone(), epoch, line.clone());
    line.tell(Command::Bound(Box::new(seat), Box::new(welcome)));
    // Fails only at the end of the term.
    let _ = term.arrivals.send(instance);
}

/// Of several connections of one device, the one that it made last; where it does not tell, the
/// one that came last.
fn newest(batch: Vec<BindRequest>) -> HashMap<InstanceId, BindRequest> {
    let mut newest: HashMap<InstanceId, BindRequest> = HashMap::new();
    for request in batch {
        let hello = &request.arrival.hello;
        let older = match newest.get(&hello.instance) {
            Some(known) if hello.is_older_than(&known.arrival.hello) => Some(request),
            _ => newest.insert(hello.instance.clone(), request),
        };
        if let Some(older) = older {
            older.line.tell(Command::Dismiss(Farewell::Replaced));
        }
    }
    newest
}

fn dismiss(requests: HashMap<InstanceId, BindRequest>, farewell: Farewell) {
    requests.values().for_each(|request| request.line.tell(Command::Dismiss(farewell)));
}
