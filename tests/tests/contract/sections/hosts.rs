//! Which host was signed (contract section 1, 2.3, 2.4).

use opencpm_domain::Condition::SignatureWrong;

use super::Section;
use crate::ask::{ALL, Ask, FORMS, TC3, devices};
use crate::case::{Case, done, refused};

pub(super) fn section() -> Section {
    let mut cases = vec![
        done("without its port", ALL, hosts("127.0.0.1:8443", "127.0.0.1")),
        done("an address of IPv6 without its port", ALL, hosts("[::1]:8443", "[::1]")),
        refused(
            "with another port",
            ALL,
            hosts("127.0.0.1:8443", "127.0.0.1:8444"),
            SignatureWrong,
        ),
        refused(
            "with a port that was not sent",
            ALL,
            hosts("127.0.0.1", "127.0.0.1:80"),
            SignatureWrong,
        ),
        refused("another host", ALL, hosts("bm.example.com", "cvm.example.com"), SignatureWrong),
        refused("a part of the host", ALL, hosts("bm.example.com", "example.com"), SignatureWrong),
        refused("no host", ALL, hosts("bm.example.com", ""), SignatureWrong),
        refused(
            "a colon without a port",
            ALL,
            hosts("bm.example.com:", "bm.example.com"),
            SignatureWrong,
        ),
        refused(
            "a colon without a number",
            ALL,
            hosts("bm.example.com:http", "bm.example.com"),
            SignatureWrong,
        ),
        done(
            "upper case, signed in lower case by TC3",
            TC3,
            hosts("BM.Example.COM", "bm.example.com"),
        ),
        done("upper case, signed as it is by TC3", TC3, {
            hosts("BM.Example.COM", "BM.Example.COM").tc3(|t| t.lower = false)
        }),
        done("upper case and a port, signed in lower case without it by TC3", TC3, {
            hosts("BM.Example.COM:443", "bm.example.com")
        }),
        refused(
            "upper case, signed in lower case by a form",
            FORMS,
            hosts("BM.Example.COM", "bm.example.com"),
            SignatureWrong,
        ),
        refused(
            "lower case, signed in upper case",
            ALL,
            hosts("bm.example.com", "BM.EXAMPLE.COM").tc3(|t| t.lower = false),
            SignatureWrong,
        ),
    ];
    for host in [
        "bm.api.qcloud.com",
        "bm.tencentcloudapi.com",
        "bm.ap-guangzhou.tencentcloudapi.com",
        "http://127.0.0.1:8080",
        "https://bm.example.com",
        "BM.Example.COM:8443",
        "localhost:8443",
        "[::1]:80",
    ] {
        cases.push(done(format!("Host {host}"), ALL, hosts(host, host)));
    }
    cases.extend(services());
    Section { title: "hosts", cases, stories: Vec::new() }
}

fn hosts(sent: &'static str, signed: &'static str) -> Ask {
    devices()
        .form(move |f| {
            f.host = sent.to_owned();
            f.signed_host = signed.to_owned();
        })
        .tc3(move |t| {
            t.host = sent.to_owned();
            t.signed_host = signed.to_owned();
        })
}

/// `bm`, or the `Host` value before its first dot.
fn services() -> Vec<Case> {
    let of = |host, signed, service: &'static str| {
        hosts(host, signed).tc3(move |t| t.service = service.to_owned())
    };
    let mut cases = vec![
        done("Node: an address without its port", TC3, of("127.0.0.1:8443", "127.0.0.1", "127")),
        done(
            "Node: localhost and its port",
            TC3,
            of("localhost:8443", "localhost", "localhost:8443"),
        ),
        done("Java: an address", TC3, of("127.0.0.1:8443", "127.0.0.1:8443", "127")),
        done(
            "a name before its first dot",
            TC3,
            of("reset.example.com", "reset.example.com", "reset"),
        ),
        done("bm on a host of any name", TC3, of("reset.example.com", "reset.example.com", "bm")),
    ];
    for service in ["cvm", "BM", "bm ", "", "localhost", "bm.example", "tc3_request"] {
        let ask = of("localhost:8443", "localhost:8443", service);
        cases.push(refused(format!("service {service:?}"), TC3, ask, SignatureWrong));
    }
    cases
}
