//! `opencpm-agent enroll`

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use opencpm_protocol::token::{EnrolmentToken, MAX_TOKEN};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::arguments::{EnrolOrder, TokenSource};
use super::{randomness, tell};
use crate::agent::Surroundings;
use crate::clock::SystemClock;
use crate::state::StateDir;

pub(super) fn enrol(root: &Path, state: &Path, order: EnrolOrder) -> Result<(), Box<dyn Error>> {
    let token = read_token(order.token)?;
    let mut rng = randomness()?;
    let surroundings = Surroundings::system(root, &SystemClock, &mut rng)?;
    let directory = StateDir::open(state)?;
    let again = order.again;
    let instance = crate::enrol::enrol(surroundings, directory, &token, order.server, again)?;
    tell(io::stdout(), &format!("enrolled as {instance}"));
    Ok(())
}

fn read_token(source: TokenSource) -> Result<EnrolmentToken, Box<dyn Error>> {
    let text = match source {
        TokenSource::Argument(text) => return Ok(EnrolmentToken::parse(text.expose_secret())?),
        TokenSource::File(path) => {
            let file = File::open(&path)
                .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            read_all(file)?
        }
        TokenSource::Input => {
            if rustix::termios::isatty(io::stdin()) {
                tell(io::stderr(), "Enrolment token, then Ctrl-D:");
            }
            read_all(io::stdin())?
        }
    };
    Ok(EnrolmentToken::parse(&text)?)
}

/// One byte more than a token can have tells that it is none.
fn read_all(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN + 1));
    from.take(MAX_TOKEN as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}
