//! Logs go to standard error. Whoever asks for everything gets everything of ours: the crates
//! that see requests, keys and frames stay at INFO, because what they trace may hold a password.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Only what is logged under these names may be more verbose than INFO.
const OURS: &[&str] = &["opencpm"];

/// What these crates have to say they return as an error, which we log. Beside that, they print
/// whole messages.
const SILENT: &[&str] = &["lapin"];

/// Starts logging: `wanted`, else `RUST_LOG`, else `usual`. A filter that cannot be read is told
/// and replaced by `info`.
pub(crate) fn start(wanted: Option<&str>, usual: &str) {
    let variable = std::env::var("RUST_LOG").ok();
    let text = wanted.or(variable.as_deref()).unwrap_or(usual);
    let (filter, problem) = match EnvFilter::builder().parse(text) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::default().add_directive(LevelFilter::INFO.into()), Some(error)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(capped(filter));
    // Fails only when logging was started before.
    drop(tracing_subscriber::registry().with(lines).try_init());
    if let Some(error) = problem {
        tracing::warn!(%error, "the log filter cannot be read; logging at info");
    }
}

/// What was asked for, below the cap.
fn capped<S: Subscriber>(wanted: EnvFilter) -> impl Filter<S>
where
    EnvFilter: Filter<S>,
{
    wanted.and(filter_fn(may_be_logged))
}

/// The cap: not a list of crates that talk too much, but of those that may.
fn may_be_logged(event: &Metadata<'_>) -> bool {
    let level: &Level = event.level();
    let name = crate_name(event.target());
    (*level <= Level::INFO && !SILENT.contains(&name)) || is_ours(name)
}

fn crate_name(target: &str) -> &str {
    target.split("::").next().unwrap_or_default()
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| {
        name == *ours || name.strip_prefix(ours).is_some_and(|rest| rest.starts_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_party_crates_stay_at_info_whatever_is_asked() {
        for ours in ["opencpm", "opencpm::serve", "opencpm_api::v2", "opencpm_gateway"] {
            assert!(is_ours(crate_name(ours)), "{ours}");
        }
        let theirs = [
            "hyper::proto",
            "h2",
            "rustls::conn",
            "tungstenite",
            "reqwest",
            "sqlx::query",
            "opencpmx",
            "log",
            "",
        ];
        for theirs in theirs {
            assert!(!is_ours(crate_name(theirs)), "{theirs}");
        }
    }

    #[test]
    fn asking_for_a_third_party_crate_by_name_does_not_help() {
        let (out, written) = std::io::pipe().map(|(read, write)| (write, read)).unwrap();
        let wanted = EnvFilter::builder().parse("trace,hyper=trace").unwrap();
        let lines = tracing_subscriber::fmt::layer().with_writer(std::sync::Mutex::new(out));
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(capped(wanted)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "hyper::proto", "a password");
            tracing::info!(target: "hyper::proto", "a connection");
            tracing::trace!(target: "opencpm::lab", "ours");
            tracing::error!(target: "lapin::returned_messages", "a whole message");
        });
        let text = std::io::read_to_string(written).unwrap();
        assert!(text.contains("a connection") && text.contains("ours"), "{text}");
        assert!(!text.contains("a password") && !text.contains("whole message"), "{text}");
    }
}
