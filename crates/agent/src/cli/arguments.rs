//! The command line.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use lexopt::ValueExt;
use opencpm_domain::PasswordPolicy;
use secrecy::SecretString;

use super::usual_state;
use crate::address::{Address, InvalidAddress};

/// What `--help` says.
pub(super) const HELP: &str = "\
opencpm-agent: lets OpenCPM reset root's password on this machine

  opencpm-agent enroll [--server URL] [--token-file FILE | --token TOKEN] [--again]
      Makes this machine a device. The token comes from FILE, from standard input
      when neither option is given, or from the command line, where other users of
      this machine can see it while the command runs. URL takes the place of the
      token's addresses: host:port, https://host:port or wss://host:port.
      --again makes an enrolled machine a new device.

  opencpm-agent run
      Connects and does what it is asked to, until it is stopped.

  opencpm-agent status
      Tells what this machine is enrolled as.

  opencpm-agent reset --root DIR [--password-fd N] [--policy seed|extended]
      Sets root's password of the system below DIR, without a server. It is asked
      for on the terminal, or read from file descriptor N.

  For all of them:
      --root DIR     act on the system below DIR (/)
      --state DIR    where the agent keeps its state (ROOT/var/lib/opencpm-agent)
      --log FILTER   what to log, such as debug (RUST_LOG, else info)
      --version, --help
";

pub(super) struct Arguments {
    pub(super) command: Command,
    pub(super) root: PathBuf,
    pub(super) state: PathBuf,
    pub(super) log: Option<String>,
}

pub(super) enum Command {
    Enrol(EnrolOrder),
    Run,
    Status,
    Reset(ResetOrder),
    Help,
    Version,
}

#[derive(Default)]
pub(super) struct EnrolOrder {
    pub(super) server: Option<Address>,
    pub(super) token: TokenSource,
    pub(super) again: bool,
}

#[derive(Default)]
pub(super) enum TokenSource {
    #[default]
    Input,
    File(PathBuf),
    Argument(SecretString),
}

#[derive(Default)]
pub(super) struct ResetOrder {
    pub(super) policy: PasswordPolicy,
    pub(super) descriptor: Option<RawFd>,
}

/// What is wrong with a command line.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error("which command? enroll, run, status or reset")]
    NoCommand,
    #[error("there is no command {0:?}")]
    UnknownCommand(String),
    #[error("reset acts on a system that is not running: say which with --root DIR")]
    NoRoot,
    #[error("there is no policy {0:?}: seed or extended")]
    UnknownPolicy(String),
}

/// Reads the command line; the first argument is the program's name.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, UsageError> {
    use lexopt::Arg::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut command = None;
    let (mut root, mut state, mut log) = (None, None, None);
    while let Some(argument) = parser.next()? {
        match (argument, &mut command) {
            (Long("help") | Short('h'), _) => command = Some(Command::Help),
            (Long("version") | Short('V'), _) => command = Some(Command::Version),
            (Long("root"), _) => root = Some(PathBuf::from(parser.value()?)),
            (Long("state"), _) => state = Some(PathBuf::from(parser.value()?)),
            (Long("log"), _) => log = Some(parser.value()?.string()?),
            (Value(name), None) => command = Some(named(&name.string()?)?),
            (Long("server"), Some(Command::Enrol(order))) => {
                order.server = Some(parser.value()?.string()?.parse()?);
            }
            (Long("token"), Some(Command::Enrol(order))) => {
                order.token = TokenSource::Argument(parser.value()?.string()?.into());
            }
            (Long("token-file"), Some(Command::Enrol(order))) => {
                order.token = TokenSource::File(parser.value()?.into());
            }
            (Long("again"), Some(Command::Enrol(order))) => order.again = true,
            (Long("policy"), Some(Command::Reset(order))) => {
                order.policy = policy(&parser.value()?.string()?)?;
            }
            (Long("password-fd"), Some(Command::Reset(order))) => {
                order.descriptor = Some(parser.value()?.parse::<u16>()?.into());
            }
            (other, _) => return Err(other.unexpected().into()),
        }
    }
    let command = command.ok_or(UsageError::NoCommand)?;
    if matches!(command, Command::Reset(_)) && root.is_none() {
        return Err(UsageError::NoRoot);
    }
    let root = root.unwrap_or_else(|| PathBuf::from("/"));
    let state = state.unwrap_or_else(|| usual_state(&root));
    Ok(Arguments { command, root, state, log })
}

fn named(name: &str) -> Result<Command, UsageError> {
    Ok(match name {
        "enroll" | "enrol" => Command::Enrol(EnrolOrder::default()),
        "run" => Command::Run,
        "status" => Command::Status,
        "reset" => Command::Reset(ResetOrder::default()),
        other => return Err(UsageError::UnknownCommand(other.to_owned())),
    })
}

fn policy(name: &str) -> Result<PasswordPolicy, UsageError> {
    match name {
        "seed" => Ok(PasswordPolicy::Seed),
        "extended" => Ok(PasswordPolicy::ExtendedLinux),
        other => Err(UsageError::UnknownPolicy(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn read(line: &str) -> Result<Arguments, UsageError> {
        parse(["opencpm-agent"].into_iter().chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_state_lies_below_the_root() {
        let Ok(plain) = read("run") else { panic!() };
        assert_eq!(plain.state, PathBuf::from("/var/lib/opencpm-agent"));
        let Ok(below) = read("--root /mnt status --log debug") else { panic!() };
        assert_eq!(below.state, PathBuf::from("/mnt/var/lib/opencpm-agent"));
        assert_eq!(below.log.as_deref(), Some("debug"));
    }

    #[test]
    fn a_token_comes_from_the_input_unless_a_file_or_an_argument_is_named() {
        let token = |line| match read(line).map(|arguments| arguments.command) {
            Ok(Command::Enrol(order)) => order.token,
            _ => panic!("{line}"),
        };
        assert!(matches!(token("enroll --server h:1"), TokenSource::Input));
        assert!(matches!(token("enroll --token-file /t"),
            TokenSource::File(path) if path.as_os_str() == "/t"));
        assert!(matches!(token("enroll --token=abc"),
            TokenSource::Argument(text) if text.expose_secret() == "abc"));
    }

    #[test]
    fn a_rescue_names_its_root_and_never_takes_a_password_as_argument() {
        assert!(matches!(read("reset"), Err(UsageError::NoRoot)));
        assert!(read("reset --root /mnt --policy extended --password-fd 3").is_ok());
        assert!(matches!(read("reset --root /mnt --password x"), Err(UsageError::Option(_))));
        assert!(matches!(read("reset --root /mnt secret"), Err(UsageError::Option(_))));
    }

    #[test]
    fn nonsense_is_refused() {
        let lines =
            ["", "dance", "run --token x", "enroll --server h:x", "reset --root / --policy none"];
        for line in lines {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
