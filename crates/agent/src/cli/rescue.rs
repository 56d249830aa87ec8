//! `opencpm-agent reset`: sets root's password of a system that is not running.

use std::error::Error;
use std::io;
use std::path::Path;

use opencpm_domain::Password;
use rand_core::Rng;

use super::arguments::ResetOrder;
use super::{password, randomness, tell};
use crate::apply::{Order, Root, Unattended};
use crate::clock::{Clock, SystemClock};

/// A machine with a dead clock still gets a date of last change: day 0 would mean "must change".
const FIRST_DAY: u64 = 1;

pub(super) fn reset(directory: &Path, order: &ResetOrder) -> Result<(), Box<dyn Error>> {
    let root = Root::open(directory)?;
    let text = match order.descriptor {
        Some(number) => password::from_descriptor(number)?,
        None => password::ask()?,
    };
    let password = Password::new(text, order.policy)?;
    let mut salt = [0; 16];
    randomness()?.fill_bytes(&mut salt);
    let now = SystemClock.now();
    let order = Order {
        password: &password,
        today: now.as_days(),
        issued: FIRST_DAY,
        wait: Order::USUAL_WAIT,
        salt,
    };
    let applied = crate::apply::reset(&root, &order, &mut Unattended)?;
    tell(io::stdout(), &format!("root's password was set and verified ({})", applied.scheme));
    for advice in crate::job::advice(&root, now, applied.lifted) {
        tell(io::stdout(), &advice.to_string());
    }
    Ok(())
}
