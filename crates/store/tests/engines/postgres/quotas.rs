//! Quotas hold across nodes.

use opencpm_domain::{Quota, SecretId, Timestamp};
use opencpm_operations::port::{QuotaLedger, QuotaLine};
use opencpm_store::PostgresStore;

use super::world::{Database, Server};

fn line(key: &str, action: Option<&'static str>, quota: u32) -> QuotaLine {
    let key = SecretId::parse(key).unwrap();
    QuotaLine { key, action, quota: Quota::per_minute(quota).unwrap() }
}

#[tokio::test]
async fn all_nodes_take_from_one_quota_and_from_all_of_a_requests_or_none() {
    let database = tokio::task::spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    let nodes = [
        PostgresStore::connect(&database.options()).await.unwrap(),
        PostgresStore::connect(&database.options()).await.unwrap(),
    ];
    let now = Timestamp::default();
    let lines = [line("AKID1", None, 20), line("AKID1", Some("ResetDevicePasswd"), 10)];
    let asked = (0..30).map(|number| nodes[number % 2].take(&lines, now));
    let answers = futures_util::future::join_all(asked).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 10);
    assert_eq!(answers.iter().filter(|answer| **answer == Some(1)).count(), 20);
    // What one line refused was not taken from the other.
    let rest = futures_util::future::join_all((0..12).map(|n| nodes[n % 2].take(&lines[..1], now)));
    assert_eq!(rest.await.into_iter().filter(|it| matches!(it, Ok(None))).count(), 10);
    assert_eq!(nodes[1].take(&[line("AKID2", None, 1)], now).await.unwrap(), None);
}
