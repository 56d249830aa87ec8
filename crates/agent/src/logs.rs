//! Logs go to standard error, through `tracing`.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("not a log filter: write for example `debug` or `info,opencpm_agent=trace`")]
    Filter(#[source] ParseError),
    /// Something else logs already.
    #[error("logging was started before")]
    Started(#[source] TryInitError),
}

/// Starts logging by a filter in the form of `RUST_LOG`, without spans and fields.
pub fn start(filter: &str) -> Result<(), LogError> {
    let targets = bounded(&filter.parse().map_err(LogError::Filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(targets).with(lines);
    subscriber.try_init().map_err(LogError::Started)
}

/// What was asked for, but no more than INFO of crates that are not ours: they would log what they
/// send and receive.
fn bounded(asked: &Targets) -> Targets {
    let most = |level: LevelFilter| level.min(LevelFilter::from_level(Level::INFO));
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    let base = Targets::new().with_default(most(default)).with_target(OURS, default);
    asked.iter().fold(base, |targets, (target, level)| {
        let level = if target.starts_with(OURS) { level } else { most(level) };
        targets.with_target(target, level)
    })
}

/// Every crate of ours begins with it.
const OURS: &str = "opencpm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_crates_stay_at_info_whatever_is_asked() {
        for asked in ["trace", "info,rustls=trace", "trace,tungstenite=debug"] {
            let filter = bounded(&asked.parse().unwrap());
            for target in ["rustls::client", "tungstenite::protocol"] {
                assert!(!filter.would_enable(target, &Level::DEBUG), "{asked} {target}");
                assert!(filter.would_enable(target, &Level::INFO), "{asked} {target}");
            }
        }
        let filter = bounded(&"warn,opencpm_agent=trace".parse().unwrap());
        assert!(filter.would_enable("opencpm_agent::job", &Level::TRACE));
        assert!(!filter.would_enable("opencpm_protocol", &Level::INFO));
        assert!(!filter.would_enable("rustls", &Level::INFO));
    }
}
