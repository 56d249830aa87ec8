//! Whether somebody wants what was shown.

use std::io::{BufRead, IsTerminal, stdin};

use crate::output;

/// Whether somebody at the terminal says yes.
pub(crate) fn is_confirmed() -> bool {
    if !stdin().is_terminal() {
        output::hint("no terminal to ask at: run it with --yes");
        return false;
    }
    output::hint("type yes to go on:");
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}
