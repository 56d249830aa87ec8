//! Targets of `cargo xtask fuzz`: each takes any bytes and says what holds for them. Here because
//! what they ask is private to this module. `fuzz/README.md` lists all of them.

use opencpm_domain::Span;

use super::configuration::{Configuration, in_hosts};
use super::query::{Kind, Query, QueryError};

/// resolv.conf and the hosts file, with a name: waiting is bounded, the name itself is among
/// those asked for, and no address is found twice.
pub fn name_files(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut pieces = text.splitn(3, '\u{1e}');
    let mut piece = || pieces.next().unwrap_or_default();
    let (host, resolv_conf, hosts) = (piece(), piece(), piece());
    let configuration = Configuration::parse(resolv_conf);
    assert!((1..=3).contains(&configuration.servers.len()));
    assert!((1..=5).contains(&configuration.attempts));
    let waits = Span::from_secs(1)..=Span::from_secs(30);
    assert!(waits.contains(&configuration.timeout));
    let names = configuration.candidates(host);
    assert!((1..=7).contains(&names.len()));
    assert!(names.iter().any(|name| name == host.strip_suffix('.').unwrap_or(host)));
    let mut found = in_hosts(hosts, host);
    assert!(found.is_sorted_by_key(|address| address.is_ipv6()));
    assert!(found.iter().all(|address| address.is_ipv4() || hosts.contains(':')));
    let all = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), all);
}

/// A name server's answer, from whoever sends it: only one with our number is taken, and it gives
/// addresses of the kind that was asked for, no more than fit into it.
pub fn dns_answer(input: &[u8]) {
    const ID: u16 = 0x1234;
    /// Name, type, class, time to live, length and address (RFC 1035, section 4.1.3).
    const SHORTEST_RECORD: usize = 1 + 2 + 2 + 4 + 2 + 4;
    for kind in [Kind::V4, Kind::V6] {
        let query = Query { name: "gate.example", kind, id: ID, timeout: Span::from_secs(1) };
        match query.read(input) {
            Ok(Some(found)) => {
                assert!(input.starts_with(&ID.to_be_bytes()));
                assert!(found.iter().all(|address| address.is_ipv4() == (kind == Kind::V4)));
                assert!(found.len() <= input.len() / SHORTEST_RECORD);
            }
            Ok(None) | Err(QueryError::Refused(_)) => {
                assert!(input.starts_with(&ID.to_be_bytes()));
            }
            Err(QueryError::Malformed(_) | QueryError::OtherQuestion) => {}
            Err(other) => assert!(matches!(other, QueryError::Malformed(_)), "{other:?}"),
        }
    }
}
