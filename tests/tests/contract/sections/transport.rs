//! Methods, paths, content types, headers, and which dialect answers (contract section 1).

use opencpm_domain::Condition::*;
use opencpm_tests::wire::{Message, Reply, answer_on, connect};
use std::io::{Read, Write};

use super::Section;
use crate::ask::{ALL, Ask, BOTH, Dialect, JSON, TC3, V2, V3, Way, devices, reset};
use crate::case::{Case, Expected, Failure, Story, done, refused, status};
use crate::target::Target;

pub(super) fn section() -> Section {
    let mut cases = vec![
        done("a POST's query is ignored", &[Way::V2Post, Way::V1Post, Way::Tc3Post], {
            devices().sent(|m| m.target.push_str("?Action=Other&Limit=0&a=%"))
        }),
        done(
            "a GET's body is ignored",
            &[Way::V2Get, Way::V1Get, Way::Tc3Get],
            devices().sent(|m| m.body = b"Action=Other&a=%".to_vec()),
        ),
        refused(
            "a GET with its parameters in the body",
            &[Way::V2Get],
            in_the_body(),
            CommonParameterMissing,
        ),
        refused("a POST without a body", &[Way::V2Post], without_body(), CommonParameterMissing),
        refused("a v1 POST without a body", &[Way::V1Post], without_body(), CommonParameterMissing),
        refused(
            "a GET without a query",
            &[Way::V2Get],
            target("/v2/index.php"),
            CommonParameterMissing,
        ),
        refused(
            "a 2.0 request on the path of 3.0 has no Version",
            V2,
            move_to("/"),
            CommonParameterMissing,
        ),
        refused(
            "a TC3 POST on the path of 2.0",
            JSON,
            move_to("/v2/index.php"),
            CommonParameterMissing,
        ),
        refused(
            "a JSON body on the path of 2.0",
            &[Way::V2Post],
            json_body(),
            CommonParameterMissing,
        ),
        refused("3.0 without Authorization", TC3, without("Authorization"), CommonParameterMissing),
        refused(
            "a v1 GET without Signature",
            &[Way::V1Get],
            target("/?Action=DescribeDevices"),
            CommonParameterMissing,
        ),
        done("a chunked body", &[Way::V2Post, Way::V1Post, Way::Tc3Post], devices().sent(chunked)),
        done("unknown headers", ALL, devices().sent(|m| m.set("X-Nobody-Knows", "me"))),
        done(
            "a client that wants another type",
            ALL,
            devices().sent(|m| m.set("Accept", "text/html")),
        ),
        done("headers of the SDKs", V3, {
            devices().sent(|m| {
                m.set("X-TC-TraceId", "8a1e9f2c-9c34-4a0e-b3b5-9d7d3a5b1f11");
                m.set("X-TC-RequestClient", "SDK_PYTHON_3.0.1459");
                m.set("X-TC-Language", "zh-CN");
            })
        }),
        done("names of headers in any case", TC3, {
            devices()
                .sent(|m| m.headers.iter_mut().for_each(|(name, _)| name.make_ascii_uppercase()))
        }),
        refused(
            "a header of 3.0 twice",
            TC3,
            {
                devices().sent(|m| m.headers.push(("X-TC-Action".into(), "DescribeDevices".into())))
            },
            Malformed,
        ),
    ];
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let ask = reset().sent(move |m| m.method = method.to_owned());
        cases.push(status(format!("method {method}"), BOTH, ask, 405));
    }
    for path in [
        "/v2",
        "/v2/",
        "/v2/index.php/",
        "/index.php",
        "/V2/index.php",
        "/v3",
        "//",
        "/favicon.ico",
    ] {
        cases.push(status(format!("path {path}"), BOTH, move_to(path), 404));
    }
    cases.extend(content_types());
    let stories = vec![
        Story { name: "several requests on one connection", run: one_connection },
        Story { name: "what is no HTTP is answered in the API's form", run: no_http },
    ];
    Section { title: "transport", cases, stories }
}

fn content_types() -> Vec<Case> {
    let signed = |kind: &'static str| devices().tc3(move |tc3| tc3.set("Content-Type", kind));
    let mut cases = Vec::new();
    for kind in
        ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
    {
        cases.push(done(format!("TC3 POST of {kind}"), JSON, signed(kind)));
    }
    for kind in [
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        cases.push(refused(format!("TC3 POST of {kind}"), JSON, signed(kind), Malformed));
    }
    for kind in ["application/x-www-form-urlencoded", "application/json"] {
        cases.push(done(format!("TC3 GET of {kind}"), &[Way::Tc3Get], signed(kind)));
    }
    cases.push(refused(
        "TC3 POST of no type",
        JSON,
        without("Content-Type"),
        CommonParameterMissing,
    ));
    let charset = "application/x-www-form-urlencoded; charset=utf-8";
    let ask = devices().sent(move |m| m.set("Content-Type", charset));
    cases.push(done("a form with its charset", &[Way::V2Post, Way::V1Post], ask));
    cases.push(done("a query with a content type", &[Way::V2Get, Way::V1Get], ask_with_type()));
    cases
}

fn ask_with_type() -> Ask {
    devices().sent(|m| m.set("Content-Type", "text/plain"))
}

fn target(target: &'static str) -> Ask {
    devices().sent(move |m| m.target = target.to_owned())
}

fn move_to(path: &'static str) -> Ask {
    devices().sent(move |m| {
        let query = m.target.split_once('?').map(|(_, query)| format!("?{query}"));
        m.target = format!("{path}{}", query.unwrap_or_default());
    })
}

fn without(header: &'static str) -> Ask {
    devices().sent(move |m| m.remove(header))
}

fn without_body() -> Ask {
    devices().sent(|m| m.body.clear())
}

fn in_the_body() -> Ask {
    devices().sent(|m| {
        let (path, query) = m.target.split_once('?').expect("a query");
        m.body = query.as_bytes().to_vec();
        m.target = path.to_owned();
    })
}

fn json_body() -> Ask {
    devices().sent(|m| {
        m.set("Content-Type", "application/json");
        m.body = br#"{"Action":"DescribeDevice"}"#.to_vec();
    })
}

fn chunked(message: &mut Message) {
    let (first, second) = message.body.split_at(message.body.len() / 2);
    let chunk =
        |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let pieces = [first, second].into_iter().filter(|piece| !piece.is_empty());
    message.body = pieces.flat_map(chunk).chain(*b"0\r\n\r\n").collect();
    message.set("Transfer-Encoding", "chunked");
}

fn one_connection(target: &Target) -> Result<(), Failure> {
    let mut stream = connect(&target.authority)?;
    for way in [Way::V2Get, Way::V2Post, Way::V1Post, Way::Tc3Get, Way::Tc3Post] {
        let message = target.message(&devices(), way)?;
        let head = message.head().replace("Connection: close\r\n", "");
        stream.write_all(&[head.as_bytes(), &message.body].concat())?;
        let mut bytes = Vec::new();
        while !is_whole(&bytes) {
            let mut some = [0; 4096];
            let count = stream.read(&mut some)?;
            if count == 0 {
                return Err(format!("closed after {way:?}").to_owned().into());
            }
            bytes.extend_from_slice(&some[..count]);
        }
        target.judged(&Reply::read(&bytes)?, way.dialect(), &Expected::Done(Vec::new()))?;
    }
    Ok(())
}

/// True for a head with a body of the announced length, or with all chunks.
fn is_whole(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    match head.split("content-length: ").nth(1) {
        Some(rest) => rest.lines().next().is_some_and(|n| n.parse() == Ok(body.len())),
        None => body.ends_with("0\r\n\r\n"),
    }
}

fn no_http(target: &Target) -> Result<(), Failure> {
    let requests = [
        ("GET /v2/index.php?a b HTTP/1.1\r\n\r\n", Dialect::V2),
        ("GET /v2/index.php HTTP/1.1\r\nno colon\r\n\r\n", Dialect::V2),
        ("GET /?a b HTTP/1.1\r\n\r\n", Dialect::V3),
        ("POST / HTTP/1.1\r\nno colon\r\n\r\n", Dialect::V3),
    ];
    for (text, dialect) in requests {
        let mut stream = connect(&target.authority)?;
        stream.write_all(text.as_bytes())?;
        target.judged(&answer_on(&mut stream)?, dialect, &Expected::Refused(Malformed))?;
    }
    Ok(())
}
