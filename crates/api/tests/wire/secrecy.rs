//! A password is in no message and in no log, whatever is wrong with its request.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::ask::{Ask, get, post};
use crate::world::World;

const MARKER: &str = "Mark3r!Secret";

/// Requests that carry the marker and are wrong, or right, in many ways.
fn requests() -> Vec<String> {
    let ask = || Ask::reset(MARKER);
    let asks = [
        ask(),
        ask().with("Nonce", "x"),
        ask().without("Timestamp"),
        ask().with("Timestamp", "1"),
        ask().with("SecretId", "AKIDUNKNOWN"),
        ask().signature("wrong"),
        ask().with("Action", "NoSuch"),
        ask().with("Action", "DescribeDevice"),
        ask().with("Action", "DescribeAccounts"),
        ask().with("instanceIds.0", MARKER),
        ask().with("instanceIds.0", "cpm-busy"),
        ask().with("instanceIds.0", "cpm-broken"),
        ask().with("instanceIds.1", "cpm-1"),
        ask().with("passwd", &format!("{MARKER}{MARKER}")),
        ask().with("passwd", &format!("{MARKER}é")),
        ask().with(MARKER, "1"),
        ask().with("RequestClient", MARKER),
        ask().with("RequestClient", "SDK_PYTHON_2.0.15"),
        ask().with("RequestSource", "qcloudcli_1.9.20"),
        Ask::new("DescribeDevice").with("limit", MARKER),
        Ask::new("DescribeDevice").with("orderField", MARKER),
        Ask::new("DescriptionOperationResult").with("taskId", MARKER),
    ];
    let mut requests: Vec<_> = asks.iter().flat_map(|ask| [ask.get(), ask.post()]).collect();
    let form = ask().form("GET");
    for raw in [
        form.replace("Mark3r%21Secret", "Mark3r!Secret%"),
        format!("{form}&{MARKER}&{MARKER}"),
        format!("{form}&passwd={MARKER}"),
        MARKER.to_owned(),
    ] {
        requests.extend([get(&raw), post(&raw)]);
    }
    requests.push(get(&form).replacen("GET", MARKER, 1));
    requests.push(get(&form).replacen("/v2/", &format!("/{MARKER}/"), 1));
    requests
}

#[tokio::test]
async fn a_password_is_in_no_message() {
    let world = World::new().await;
    for request in requests() {
        let reply = world.send(&request).await;
        assert!(!reply.body.contains("Mark3r"), "{reply:?} to {request}");
    }
}

#[tokio::test]
async fn a_password_is_in_no_log_of_ours() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("opencpm_api=trace")
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    for request in requests() {
        world.send(&request).await;
    }
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("action=\"ResetDevicePasswd\""), "{text}");
    assert!(text.contains("code=4100"), "{text}");
    assert!(text.contains("client=\"SDK_PYTHON_2.0.15\""), "{text}");
    assert!(text.contains("client=\"qcloudcli_1.9.20\""), "{text}");
    assert!(!text.contains("Mark3r"), "{text}");
    assert!(!text.contains("instanceIds"), "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
